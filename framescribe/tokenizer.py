"""The checkpoint's tokenizer: ``tokenizer.json`` read by the tokenizers library, nothing executed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.files import write_file
from framescribe.reading import read_json, read_text
from framescribe.shown import shorten, shown
from framescribe.tokenizer_file import check_tokenizer_file

# What transformers 4.42, which the model was published with, tidies in decoded English text.
_TIDY_UP = (
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"),
    (" n't", "n't"), (" 'm", "'m"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
)  # fmt: skip

_MAX_CONFIG_BYTES = 4 << 20
_SPECIAL_TOKENS = ("<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>")


class CaptionTokenizer:
    """Text to ids without special tokens, and ids to text without special tokens.

    Args:
        folder: holds ``tokenizer.json`` and, optionally, ``tokenizer_config.json``.

    Raises:
        UsageError: a file is missing or not what it should be.
    """

    def __init__(self, folder: Path) -> None:
        from tokenizers import Tokenizer

        path = folder / "tokenizer.json"
        if not path.is_file():
            raise UsageError(
                f"{path} is missing; the checkpoint's folder must hold the tokenizer's files too"
            )
        try:
            self._size = check_tokenizer_file(path)
            self._tokenizer = Tokenizer.from_str(read_text(path))
            # Left by whoever trained with them: a caption's prompt is neither cut nor filled up.
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
        except UsageError:
            raise
        except Exception as error:  # the library raises bare Exception for malformed files
            raise UsageError(f"{path} is not a tokenizer file: {shown(shorten(str(error), 300))}") from error
        config_path = folder / "tokenizer_config.json"
        try:
            config = read_json(config_path, _MAX_CONFIG_BYTES) if config_path.is_file() else {}
        except UsageError as error:
            raise UsageError(f"{config_path} is not a tokenizer config: {error}") from error
        self._tidies_up = bool(config.get("clean_up_tokenization_spaces", True))

    def __len__(self) -> int:
        """Size of the vocabulary, added tokens included: the highest id plus 1."""
        return self._size

    @property
    def special_ids(self) -> tuple[int | None, int | None, int | None]:
        """Ids of the BOS, EOS and padding tokens that ``learn_tokenizer`` adds; None where there is none."""
        bos, eos, pad = (self._tokenizer.token_to_id(token) for token in _SPECIAL_TOKENS)
        return bos, eos, pad

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; no BOS, no EOS."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of ``token_ids`` without special tokens, spaces tidied as the published script's library does."""
        return self._tidied(self._decode(token_ids))

    def decode_settled(self, token_ids: Sequence[int]) -> str:
        """The start of ``decode(token_ids)`` that no further token changes."""
        text = self._decode(token_ids).rstrip("\ufffd")  # the last character may be half there
        while self._tidies_up and (end := _first_open_space(text)) is not None:
            text = text[:end]
        return self._tidied(text)

    def _decode(self, token_ids: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=True)
        return text

    def _tidied(self, text: str) -> str:
        return tidied(text) if self._tidies_up else text


def tidied(text: str) -> str:
    """Decoded text without the spaces that the published script's library takes away."""
    for untidy, tidy in _TIDY_UP:
        text = text.replace(untidy, tidy)
    return text


def _first_open_space(text: str) -> int | None:
    """Where the first space is that tidying may yet take away, depending on what follows ``text``; None: nowhere.

    Spaces after it are left out of account: tidying may take these away first.
    """
    first, tail = None, ""
    for place in reversed(range(len(text))):
        if text[place] != " ":
            tail = text[place] + tail
            if not any(tail in tidy for _, tidy in _TIDY_UP):
                break
        elif any(tidy.startswith(tail) for _, tidy in _TIDY_UP):
            first = place
    return first


def learn_tokenizer(captions: Iterable[str], vocab_size: int, folder: Path) -> None:
    """Learns a byte-level BPE (arXiv 1508.07909) of at most ``vocab_size`` tokens and writes it into ``folder``.

    Every text can be encoded: the 256 bytes are tokens. BOS, EOS and padding have ids 0, 1 and 2.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    least = len(_SPECIAL_TOKENS) + 256
    if vocab_size < least:
        raise UsageError(f"a new tokenizer needs a vocabulary of at least {least}, not {vocab_size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(_SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / "tokenizer.json", tokenizer.to_str(pretty=True))
    config = {
        "bos_token": _SPECIAL_TOKENS[0],
        "eos_token": _SPECIAL_TOKENS[1],
        "pad_token": _SPECIAL_TOKENS[2],
        "clean_up_tokenization_spaces": False,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    write_file(folder / "tokenizer_config.json", json.dumps(config, indent=2) + "\n")
