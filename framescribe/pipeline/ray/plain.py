"""Clips and rows as JSON, in files and between processes: whoever can write there runs no code by it.

As JSON escapes, names that are no UTF-8 survive too.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Any

from framescribe.caption_row import CaptionRow
from framescribe.errors import UsageError
from framescribe.feature_row import FeatureRow
from framescribe.prepare import with_tuples
from framescribe.reading import Member
from framescribe.score_row import ScoreRow
from framescribe.task import ClipTask, Question
from framescribe.types import Clip
from framescribe.video.table import TableMember
from framescribe.video.tar import TarMember

_MEMBERS: dict[str, type[Member]] = {"tar": TarMember, "table": TableMember}


def task_text(task: ClipTask) -> str:
    """A clip with its questions for ``read_task``.

    Raises:
        UsageError: its video is in this process's memory.
    """
    clip = task.clip
    values: dict[str, Any] = {
        field.name: getattr(clip, field.name) for field in dataclasses.fields(Clip) if field.name != "data"
    }
    if clip.data is not None:
        if not isinstance(clip.data, Member):
            raise UsageError(f"{clip.source_video}: is in memory here; a cluster takes paths and URLs")
        kinds = [name for name, kind in _MEMBERS.items() if type(clip.data) is kind]
        values["member"] = [*kinds, *clip.data.where]
    return json.dumps({"questions": [(each.index, each.text) for each in task.questions], **values})


def read_task(text: str) -> ClipTask:
    """What ``task_text`` was given.

    Raises:
        ValueError: it is none.
    """
    try:
        values = json.loads(text)
        questions = tuple(Question(int(index), str(asked)) for index, asked in values.pop("questions"))
        member = values.pop("member", None)
        data = None if member is None else _member(*member)
        clip = Clip(data=data, **values)
        if not isinstance(clip.source_video, str):
            raise TypeError("source_video is no text")
        return ClipTask(clip, questions)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"is no clip: {error}") from error


def _member(kind: str, archive: str, *where: Any) -> Member:
    if not isinstance(archive, str):
        raise TypeError("an archive is no text")
    if kind == "tar":
        size, pieces = where
        return TarMember(archive, int(size), tuple(tuple(map(int, piece)) for piece in pieces))
    column, row = where
    return _MEMBERS[kind](archive, str(column), int(row))


def row_text(row: CaptionRow) -> str:
    """A row for ``read_row``."""
    return json.dumps(row.to_dict())


def side_text(rows: Iterable[ScoreRow | FeatureRow]) -> str:
    """Rows of other tables for ``read_side``."""
    plain = [row.to_dict() for row in rows]
    for row in plain:
        if isinstance(content := row.get("features"), bytes):
            row["features"] = base64.b64encode(content).decode()
    return json.dumps(plain)


def read_side(text: str) -> Iterator[ScoreRow | FeatureRow]:
    """Rows of ``side_text``."""
    for row in json.loads(text):
        if "features" in row:
            yield FeatureRow(**row | {"features": base64.b64decode(row["features"])})
        else:
            yield ScoreRow(**with_tuples(row))


def read_row(text: str) -> CaptionRow:
    """A row of ``row_text``."""
    return CaptionRow(**with_tuples(json.loads(text)))
