"""How long a caption may be: the text encoders of trainers cut off what is longer, without a word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from framescribe.errors import UsageError
from framescribe.quality.words import count_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

T5_TOKENS = 226
"""What CogVideoX 2B and 5B read of a caption."""
CLIP_TEXT_TOKENS = 77
"""What CLIP's text encoder reads."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A length that captions must keep.

    Attributes:
        max_words: 100 as in the CogVideoX paper, which T5's 226 tokens hold; None for no limit.
        max_tokens: as the trainer's text encoder counts them, its special tokens included, such as ``T5_TOKENS``.
        tokenizer_file: that encoder's ``tokenizer.json``; goes with ``max_tokens``.

    Raises:
        UsageError: a limit below 1, a token limit without a tokenizer or the other way round.
    """

    max_words: int | None = 100
    max_tokens: int | None = None
    tokenizer_file: Path | None = None

    def __post_init__(self) -> None:
        for name, limit in (("words", self.max_words), ("tokens", self.max_tokens)):
            if limit is not None and limit < 1:
                raise UsageError(f"a caption's budget must be at least 1 of {name}, not {limit}")
        if (self.max_tokens is None) != (self.tokenizer_file is None):
            raise UsageError(
                "a token budget needs both: max_tokens, and the text encoder's tokenizer.json that counts them"
            )
        if self.tokenizer_file is not None:
            _load_tokenizer(self.tokenizer_file)

    def holds(self, text: str) -> bool:
        """Whether ``text`` keeps every limit."""
        if self.max_words is not None and count_words(text) > self.max_words:
            return False
        if self.max_tokens is None or self.tokenizer_file is None:
            return True
        return count_tokens(text, self.tokenizer_file) <= self.max_tokens


def count_tokens(text: str, tokenizer_file: Path) -> int:
    """How many tokens ``text`` has for a text encoder, its special tokens included.

    Raises:
        UsageError: the file is no ``tokenizer.json``.
    """
    return len(_load_tokenizer(tokenizer_file).encode(text).ids)


@lru_cache(maxsize=4)
def _load_tokenizer(path: Path) -> Tokenizer:
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: the tokenizer cannot be read: {error.strerror}") from error
    except Exception as error:  # the library raises bare Exception for malformed files
        raise UsageError(f"{path} is not a tokenizer.json: {error}") from error
    # Such files often carry the truncation and padding of their training: both would hide a caption's length.
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
