"""Batched generation: requests in, completions out."""
