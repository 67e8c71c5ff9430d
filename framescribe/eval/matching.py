"""Caption rows meet references of the same clips: by clip id where all have one, else by file name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from framescribe.errors import UsageError
from framescribe.synthetic.facts import Facts

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """A clip: what was written about it (None where nothing was), and what is known of it."""

    clip: str
    caption: str | None
    references: tuple[str, ...]
    facts: Facts | None


def match(rows: Sequence[Row], references: Sequence[Row]) -> list[Pair]:
    """One pair for each clip that has references, in their order; rows of other clips are left out.

    Args:
        rows: with ``caption`` and ``source_video`` (or ``file``), perhaps ``clip_id``; the last row of a clip counts.
        references: likewise, perhaps with ``facts``; several rows of a clip are several references of it. Where people
            decided on them, only what they accepted or wrote is one.

    Raises:
        UsageError: a row says no clip, or two different files have the same name.
    """
    by_id = all(row.get("clip_id") for row in (*rows, *references))
    written = {clip: same[-1].get("caption") for clip, same in _by_clip(rows, by_id).items()}
    pairs = []
    for clip, same in _by_clip(references, by_id).items():
        facts = next((Facts.from_dict(row["facts"]) for row in same if row.get("facts")), None)
        texts = tuple(text for row in same if (text := _reference(row)))
        pairs.append(Pair(clip, written.get(clip) or None, texts, facts))
    return pairs


def _reference(row: Row) -> str | None:
    """What a row says of its clip for certain: of rows with decisions, what people wrote, or accepted."""
    if "decision" not in row or (row["decision"] == "accept" and not row["decision_is_stale"]):
        return row.get("edited_caption") or row.get("caption")
    is_rejected = row["decision"] == "reject" and not row["decision_is_stale"]
    return None if is_rejected else row.get("edited_caption")


def _by_clip(rows: Sequence[Row], by_id: bool) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    owner: dict[str, str] = {}
    for number, row in enumerate(rows, 1):
        name = row.get("clip_id") if by_id else row.get("source_video") or row.get("file")
        if not name:
            raise UsageError(f"row {number} says no clip: it needs source_video, file or clip_id")
        clip = name if by_id else PurePath(name).stem
        if owner.setdefault(clip, name) != name:
            raise UsageError(f"{owner[clip]} and {name} have the same name; clip ids would tell them apart")
        groups.setdefault(clip, []).append(row)
    return groups
