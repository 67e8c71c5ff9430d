"""Captioning through OpenAI-compatible servers: requests, retries, budget, what is sent, rows."""
