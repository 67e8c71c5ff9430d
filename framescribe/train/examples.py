"""Captioned clips from files: what can be learnt from, and what had to be left out and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from framescribe.dataset.dataset import Dataset
from framescribe.errors import UsageError
from framescribe.pipeline.lists import seconds
from framescribe.pipeline.sidecars import sidecar_path
from framescribe.pipeline.sources import expand_sources
from framescribe.reading import read_text
from framescribe.shown import one_line, shown_value
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import Clip
from framescribe.video.address import protocol_of


@dataclass(frozen=True, slots=True)
class Example:
    """A clip and the caption to learn."""

    clip: Clip
    caption: str


@dataclass(slots=True)
class Examples:
    """What a data source holds.

    Attributes:
        usable: in a stable order.
        skipped: (source, reason) of what was left out.
    """

    usable: list[Example] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)


def read_examples(data: str) -> Examples:
    """Reads a folder of clips with .txt files, or a file of rows (see ``TrainSettings.data``).

    Raises:
        UsageError: neither of these, or nothing usable in it.
    """
    path = Path(data)
    if path.is_dir():
        found = _from_folder(path)
    elif path.is_file():
        found = _from_rows(path)
    else:
        raise UsageError(f"data {data!r} is neither `synthetic` nor a folder nor a file of rows")
    examples = Examples()
    for source, found_one in found:
        if isinstance(found_one, str):
            examples.skipped.append((source, found_one))
        else:
            examples.usable.append(found_one)
    return examples


def drop_long_captions(examples: Examples, tokenizer: CaptionTokenizer, max_tokens: int) -> None:
    """Moves examples whose caption has more than ``max_tokens`` tokens to ``skipped``."""
    kept = []
    for example in examples.usable:
        if (length := len(tokenizer.encode(example.caption))) > max_tokens:
            reason = f"the caption has {length} tokens, more than max_caption_tokens = {max_tokens}"
            examples.skipped.append((example.clip.source_video, reason))
        else:
            kept.append(example)
    examples.usable = kept


_Found = tuple[str, Example | str]
"""A source, and what can be learnt from it, or why nothing can."""


def _from_folder(folder: Path) -> Iterator[_Found]:
    for clip in expand_sources([str(folder)]):
        try:
            path = sidecar_path(clip.source_video)
            yield clip.source_video, _example(clip, read_text(path))
        except FileNotFoundError:
            yield clip.source_video, f"no caption: {path.name} is missing"
        except OSError as error:
            yield clip.source_video, f"{path.name} cannot be read: {error.strerror or error}"
        except UsageError as error:  # no UTF-8, or a video in a tar, which has no text beside it
            yield clip.source_video, str(error)


def _from_rows(path: Path) -> Iterator[_Found]:
    bad: list[tuple[int, str]] = []
    rows = Dataset(path, required=(), on_bad=lambda line, reason: bad.append((line, reason)))
    for number, row in enumerate(rows, start=1):
        for line, reason in bad:
            yield f"{path}, line {line}", reason
        bad.clear()
        try:
            source = _source(row, path)
            if row.get("caption_status") == "error":
                yield source, "its row is an error"
            else:
                clip = Clip(source, seconds(row, "start_s", 0.0), seconds(row, "end_s", None))
                yield source, _example(clip, row.get("caption"))
        except UsageError as error:
            yield f"{path}, row {number}", str(error)
    for line, reason in bad:
        yield f"{path}, line {line}", reason


def _source(row: Mapping[str, Any], path: Path) -> str:
    column = next((name for name in ("source_video", "file_name", "file") if row.get(name) is not None), None)
    if column is None:
        raise UsageError("has neither source_video nor file_name nor file")
    source = row[column]
    if not isinstance(source, str) or not source.strip():
        raise UsageError(f"{column} is {shown_value(source)}, not a path or URL")
    # framescribe's own rows name sources as they were named; others name them from their own folder on.
    return source if column == "source_video" or protocol_of(source) else str(path.parent / source)


def _example(clip: Clip, caption: Any) -> Example | str:
    if caption is None or (isinstance(caption, float) and math.isnan(caption)):
        return "it has no caption"
    if not isinstance(caption, str):
        return f"the caption is {shown_value(caption)}, not text"
    text = one_line(caption)
    return Example(clip, text) if text else "the caption is empty"
