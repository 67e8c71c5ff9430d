"""CogVLM2-Llama3-Caption in plain PyTorch: EVA2-CLIP-E vision tower, Llama decoder, the official checkpoint layout."""
