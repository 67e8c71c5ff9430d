"""The captioner as a service: OpenAI's chat completions over HTTP, and batches of such requests in a file."""
