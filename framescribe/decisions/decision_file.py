"""Decisions that were made in a spreadsheet: a CSV file with the columns that rows have for them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike, fspath

from framescribe.decision_row import RowKey
from framescribe.errors import UsageError
from framescribe.reading import read_text
from framescribe.shown import shown, shown_value

_MAX_BYTES = 256 << 20
_COLUMNS = ("clip_id", "prompt_index", "decision", "decision_reason", "edited_caption", "tags")
_IGNORED = ("caption", "source_video", "reviewer", "decided_at", "decision_is_stale")
"""What a table of rows may have beside them, for whoever reads it."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one line decides about one caption; empty where it says nothing.

    Attributes:
        where: file and number of the line.
        key: clip id and prompt index of the row.
        verdict: ``accept``, ``reject`` or empty.
        reason: of the rejection.
        text: what the caption is edited to.
        tags: that the clip has.
    """

    where: str
    key: RowKey
    verdict: str
    reason: str
    text: str
    tags: tuple[str, ...]


def read_decisions(path: str | PathLike[str]) -> Iterator[Line]:
    """The lines of a CSV file in UTF-8.

    Args:
        path: of the file, whose first line names its columns: ``clip_id`` and any of ``prompt_index``, ``decision``,
            ``decision_reason``, ``edited_caption`` and ``tags`` (apart by ``;``).

    Raises:
        UsageError: it cannot be read, has other columns, or a line makes no sense.
    """
    name = fspath(path)
    try:
        reader = csv.DictReader(io.StringIO(read_text(name, _MAX_BYTES)), strict=True)
        columns = list(reader.fieldnames or ())
        if unknown := [each for each in columns if each not in (*_COLUMNS, *_IGNORED)]:
            raise UsageError(
                f"{shown(name)} has a column {shown(unknown[0])}; there are {', '.join(_COLUMNS)}"
            )
        if "clip_id" not in columns:
            raise UsageError(f"{shown(name)} needs a column clip_id")
        for row in reader:
            yield _line(f"{shown(name)}, line {reader.line_num}", row)
    except csv.Error as error:
        raise UsageError(f"{shown(name)} is no CSV: {error}") from error
    except OSError as error:
        raise UsageError(f"{shown(name)} cannot be read: {error.strerror or error}") from error


def _line(where: str, row: dict[str, str | None]) -> Line:
    if None in row:
        raise UsageError(f"{where} has more values than the file has columns")
    clip, prompt, verdict, reason, text, tags = ((row.get(name) or "").strip() for name in _COLUMNS)
    if not clip:
        raise UsageError(f"{where} names no clip")
    if not (prompt or "0").isdecimal() or len(prompt) > 9:
        raise UsageError(f"{where}: `prompt_index` must be a number, not {shown_value(prompt)}")
    if verdict not in ("accept", "reject", ""):
        raise UsageError(f"{where}: `decision` must be accept, reject or empty, not {shown_value(verdict)}")
    if reason and verdict != "reject":
        raise UsageError(f"{where} has a reason, but rejects nothing")
    names = tuple(filter(None, (each.strip() for each in tags.split(";"))))
    return Line(where, (clip, int(prompt or 0)), verdict, reason, text, names)
