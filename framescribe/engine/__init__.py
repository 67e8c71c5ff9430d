"""Requests in, completions out: batched generation."""
