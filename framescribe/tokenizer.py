"""The checkpoint's tokenizer: ``tokenizer.json`` read by the tokenizers library, nothing executed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

# What transformers 4.42, which the model was published with, tidies in decoded English text.
_TIDY_UP = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"),
    (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip


class CaptionTokenizer:
    """Text to ids without special tokens, and ids to text without special tokens.

    Args:
        folder: holds ``tokenizer.json`` and, optionally, ``tokenizer_config.json``.

    Raises:
        ValueError: a file is missing or not what it should be.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise ValueError(f"{path} is missing; the checkpoint's folder must hold the tokenizer's files too")
        try:
            self._tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001 - the library raises bare Exception for malformed files
            raise ValueError(f"{path} is not a tokenizer file: {error}") from error
        config_path = folder / "tokenizer_config.json"
        config = json.loads(config_path.read_text(encoding="utf-8")) if config_path.is_file() else {}
        self._tidies_up = bool(config.get("clean_up_tokenization_spaces", True))

    def __len__(self) -> int:
        """Size of the vocabulary, added tokens included."""
        return self._tokenizer.get_vocab_size(with_added_tokens=True)

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; no BOS, no EOS."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of ``token_ids``; special tokens are left out, spaces are tidied as the published script's library does."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        if self._tidies_up:
            for untidy, tidy in _TIDY_UP:
                text = text.replace(untidy, tidy)
        return text
