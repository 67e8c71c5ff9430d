"""Checks a stranger's ``tokenizer.json``: it may ask for what such models have, and for nothing that grows text.

The library does whatever the file says: a normalizer may turn a letter into thousands, a template may repeat the text,
a pattern may backtrack without end.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from framescribe.errors import UsageError
from framescribe.reading import read_json
from framescribe.shown import shown_value

_MAX_BYTES = 64 << 20
_MAX_PART_CHARS = 16 << 10
_MAX_TOKEN_ID = 1 << 24
_PARTS: dict[str, tuple[str, ...]] = {
    "normalizer": ("NFC", "NFD", "NFKC", "NFKD"),
    "pre_tokenizer": ("ByteLevel", "Split"),
    "post_processor": ("ByteLevel", "TemplateProcessing"),
    "decoder": ("ByteLevel", "ByteFallback", "Fuse"),
}
_LIST_OF = {"normalizers", "pretokenizers", "processors", "decoders"}
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{)")  # what makes a pattern backtrack without end


def check_tokenizer_file(path: Path) -> int:
    """Looks at a ``tokenizer.json`` before the library does.

    Returns:
        The highest token id plus 1.

    Raises:
        UsageError: it asks for something else; the message names the file and the value.
        OSError: it cannot be opened.
    """
    try:
        values = read_json(path, _MAX_BYTES)
        for part, known in _PARTS.items():
            _check_part(part, values.get(part), known)
        model = values["model"]
        if model.get("type", "BPE") != "BPE" or model.get("dropout"):
            raise UsageError(
                f"model is {shown_value(model.get('type'))} with dropout {shown_value(model.get('dropout'))}"
            )
        ids = [*model["vocab"].values(), *(token["id"] for token in values.get("added_tokens") or ())]
        if wrong := [id for id in ids if type(id) is not int or not 0 <= id < _MAX_TOKEN_ID]:
            raise UsageError(f"a token's id is {shown_value(wrong[0])}")
    except UsageError as error:
        raise UsageError(f"{path} is not a tokenizer file that framescribe reads: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is not a tokenizer file: {shown_value(error)}") from error
    return max(ids, default=-1) + 1


def _check_part(part: str, value: Any, known: tuple[str, ...]) -> None:
    if value is None:
        return
    if len(json.dumps(value)) > _MAX_PART_CHARS:
        raise UsageError(f"{part} is longer than {_MAX_PART_CHARS} characters")
    kind = value["type"]
    if kind == "Sequence":
        for name in _LIST_OF & value.keys():
            for each in value[name]:
                _check_part(part, each, known)
        return
    if kind not in known:
        raise UsageError(f"{part} is {shown_value(kind)}, not one of {', '.join(known)}")
    pattern = json.dumps(value.get("pattern"))
    if _REPEATED_GROUP.search(pattern):
        raise UsageError(f"{part} has a pattern that may take for ever: {shown_value(pattern)}")
