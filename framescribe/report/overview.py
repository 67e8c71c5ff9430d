"""Rows to what the page says of them, in one pass that holds counts and a few rows."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from framescribe.errors import UsageError
from framescribe.quality.budget import count_words
from framescribe.quality.duplicates import flag_duplicates

Row = Mapping[str, Any]

_MADE_BY = (
    "model", "model_revision", "precision", "strategy", "num_frames", "template", "prompt",
    "max_new_tokens", "temperature", "top_p", "repetition_penalty", "seed", "stop_loops", "engine_version",
)  # fmt: skip


@dataclass(slots=True)
class Overview:
    """A run, counted.

    Attributes:
        statuses, flags: rows that have each.
        flagged: rows with any flag.
        words: rows by the number of words in their caption.
        coverage: rows by the percent of their clip that the frames stand for.
        seconds: rows by when they were made, in seconds since 1970.
        duration_s, covered_s: of all clips together.
        made_by: rows by what made them: (name, value) pairs.
        repeats: clips whose caption nearly repeats another clip's, by the id of that one.
        repeated: the last of those captions, by the same id.
        clips: rows for the page, by clip id.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    flagged: int = 0
    words: Counter[int] = field(default_factory=Counter)
    coverage: Counter[int] = field(default_factory=Counter)
    seconds: Counter[int] = field(default_factory=Counter)
    duration_s: float = 0.0
    covered_s: float = 0.0
    made_by: Counter[tuple[tuple[str, Any], ...]] = field(default_factory=Counter)
    repeats: Counter[str] = field(default_factory=Counter)
    repeated: dict[str, str] = field(default_factory=dict)
    clips: list[Row] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.statuses.total()


def look_over(rows: Iterable[Row], max_clips: int) -> Overview:
    """Counts rows and picks clips to show: half of them good ones, half with something wrong, as far as there are.

    Args:
        rows: columns by name, of ``framescribe caption``.
        max_clips: how many clips to pick at most; the same ones every time.

    Raises:
        UsageError: they are no such rows.
    """
    overview = Overview()
    good, bad = _Sample(max_clips), _Sample(max_clips)
    for row in flag_duplicates(map(_checked, rows)):
        _count(row, overview)
        is_good = row["caption_status"] == "success" and not row.get("flags")
        (good if is_good else bad).offer(row)
    num_bad = min(len(bad.rows), max(max_clips // 2, max_clips - len(good.rows)))
    chosen = bad.rows[:num_bad] + good.rows[: max_clips - num_bad]
    overview.clips = sorted(chosen, key=lambda row: str(row["clip_id"]))
    return overview


def _checked(row: Row) -> Row:
    if not {"clip_id", "source_video", "caption_status"} <= row.keys():
        raise UsageError("these are not rows of `framescribe caption`: clip_id or caption_status is missing")
    return row


def _count(row: Row, overview: Overview) -> None:
    overview.statuses[row["caption_status"]] += 1
    flags = row.get("flags") or ()
    overview.flags.update(flags)
    overview.flagged += bool(flags)
    if first := row.get("duplicate_of"):
        overview.repeats[first] += 1
        overview.repeated[first] = row["caption"]
    if row.get("caption"):
        overview.words[count_words(row["caption"])] += 1
    duration_s, covered_s = row.get("duration_s"), row.get("covered_s")
    if duration_s and covered_s is not None:
        overview.duration_s += duration_s
        overview.covered_s += min(covered_s, duration_s)
        overview.coverage[min(100, round(100 * covered_s / duration_s))] += 1
    if row.get("created_at"):
        overview.seconds[int(datetime.fromisoformat(row["created_at"]).timestamp())] += 1
    overview.made_by[tuple((name, row.get(name)) for name in _MADE_BY)] += 1


class _Sample:
    """The rows with the smallest clip ids, which are hashes: a fair draw, and the same one every time."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[tuple[_Descending, int, Row]] = []
        self._count = 0

    def offer(self, row: Row) -> None:
        self._count += 1
        entry = (_Descending(str(row["clip_id"])), self._count, row)
        if len(self._heap) < self._size:
            heapq.heappush(self._heap, entry)
        elif self._heap:
            heapq.heappushpop(self._heap, entry)

    @property
    def rows(self) -> list[Row]:
        return [row for _, _, row in sorted(self._heap, reverse=True)]


class _Descending(str):
    """A string that sorts the other way round: the heap's first entry is then the one to give up."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)
