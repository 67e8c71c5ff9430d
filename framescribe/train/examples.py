"""Captioned clips from files: what can be learnt from, and what had to be left out and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from framescribe.errors import UsageError
from framescribe.pipeline.sidecars import sidecar_path
from framescribe.pipeline.sinks import read_rows
from framescribe.pipeline.sources import expand_sources
from framescribe.tokenizer import CaptionTokenizer
from framescribe.types import Clip


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
    for clip, text, problem in found:
        caption = " ".join((text or "").split())
        if problem or not caption:
            examples.skipped.append((clip.source_video, problem or "the caption is empty"))
        else:
            examples.usable.append(Example(clip, caption))
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


def _from_folder(folder: Path) -> Iterator[tuple[Clip, str | None, str | None]]:
    for clip in expand_sources([str(folder)]):
        if clip.source_video == str(folder):
            return  # the folder itself: it holds no videos
        path = sidecar_path(clip.source_video)
        try:
            yield clip, path.read_text(encoding="utf-8"), None
        except FileNotFoundError:
            yield clip, None, f"no caption: {path.name} is missing"
        except (OSError, UnicodeDecodeError) as error:
            yield clip, None, f"{path.name} cannot be read: {error}"


def _from_rows(path: Path) -> Iterator[tuple[Clip, str | None, str | None]]:
    for number, row in enumerate(read_rows(path), start=1):
        source = row.get("source_video")
        if source is None:
            name = row.get("file_name") or row.get("file")
            if name is None:
                raise UsageError(f"{path}, row {number}: has neither source_video nor file_name nor file")
            source = str(path.parent / name)
        problem = "its row is an error" if row.get("caption_status") == "error" else None
        yield Clip(source, row.get("start_s") or 0.0, row.get("end_s")), row.get("caption"), problem
