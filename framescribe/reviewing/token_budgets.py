"""How long a caption is for the text encoders of trainers, where their tokenizers are given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from framescribe.errors import UsageError
from framescribe.quality.budget import CLIP_TEXT_TOKENS, T5_TOKENS, count_tokens

LIMITS: Mapping[str, int] = MappingProxyType({"words": 100, "t5": T5_TOKENS, "clip": CLIP_TEXT_TOKENS})
"""The most that a caption should have: words as in the CogVideoX paper, tokens as the encoders read."""


class TokenBudgets:
    """Counts tokens.

    Args:
        tokenizer_files: by encoder, ``t5`` or ``clip``: its ``tokenizer.json``.

    Raises:
        UsageError: an encoder is unknown, or a file is no tokenizer.
    """

    def __init__(self, tokenizer_files: Mapping[str, Path]) -> None:
        if unknown := set(tokenizer_files) - {"t5", "clip"}:
            raise UsageError(f"unknown text encoder {sorted(unknown)[0]!r}; there are t5 and clip")
        self._files = dict(tokenizer_files)
        self.counts("")

    def counts(self, text: str) -> dict[str, int | None]:
        """Tokens for each encoder, special tokens included; None where there is no tokenizer."""
        return {
            name: count_tokens(text, self._files[name]) if name in self._files else None
            for name in ("t5", "clip")
        }
