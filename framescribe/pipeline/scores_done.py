"""Which clips of a folder have scores already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from framescribe.dataset.ahead import ahead
from framescribe.dataset.store import RowFolder
from framescribe.feature_row import are_alike
from framescribe.pipeline.hashes import source_sha256
from framescribe.score_row import ScoreRow
from framescribe.scores.scorer import Scorer
from framescribe.types import Clip

_READ_AT_A_TIME = 8


class ScoresDone:
    """Which scorers each clip of a folder has rows of, in their present version.

    Args:
        folder: read now.
        scorers: that are asked about.
        redo_failed: a row that tells of a failure does not count.

    Raises:
        UsageError: a shard is damaged, or written by a newer framescribe.
    """

    def __init__(self, folder: RowFolder, scorers: Sequence[Scorer], redo_failed: bool = False) -> None:
        self._scorers = tuple(scorers)
        bits = {(scorer.name, scorer.version): 1 << place for place, scorer in enumerate(scorers)}
        self._has: dict[str, int] = {}  # by clip id, a bit for each scorer: there may be millions
        self._recorded: dict[str, str] = {}  # empty where there was nothing to hash
        self._hashes: dict[str, str | None] = {}
        columns = ["clip_id", "scorer", "version", "error_stage", "source_sha256"]
        for batch in folder.scores.batches(columns):
            for clip_id, scorer, version, stage, sha256 in zip(
                *(batch[name].to_pylist() for name in columns), strict=True
            ):
                if bit := bits.get((scorer, version), 0):
                    self._has[clip_id] = self._has.get(clip_id, 0) | (0 if redo_failed and stage else bit)
                    if sha256 or stage:
                        self._recorded[clip_id] = sha256 or ""
        for place, scorer in enumerate(scorers):
            if scorer.features_of == scorer.name:  # captioning keeps them too, without a row of scores
                for row in folder.features.rows(["clip_id", "features_of"]):
                    if are_alike(row["features_of"], scorer.name):
                        self._has[row["clip_id"]] = self._has.get(row["clip_id"], 0) | 1 << place

    def left(self, clip: Clip) -> tuple[Scorer, ...]:
        """The scorers that a clip has no row of."""
        has = self._has.get(clip.id, 0)
        return tuple(scorer for place, scorer in enumerate(self._scorers) if not has >> place & 1)

    def tasks(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, tuple[Scorer, ...]]]:
        """The clips that are not done, with the scorers that each has no row of."""
        return ((clip, left) for clip in clips if (left := self.left(clip)))

    def tasks_of_bytes(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, tuple[Scorer, ...]]]:
        """As ``tasks``; all scorers of a clip whose bytes have changed. Rows without a hash tell of no change.

        Sources are read several at a time, as each may be far away.
        """
        hashed = ahead(lambda clip: (clip, source_sha256(clip)), clips, _READ_AT_A_TIME)
        for clip, sha256 in hashed:
            has_changed = self._recorded.get(clip.id) not in (None, sha256 or "")
            if left := self._scorers if has_changed else self.left(clip):
                self._hashes[clip.id] = sha256
                yield clip, left

    def with_hash(self, rows: Iterable[ScoreRow]) -> list[ScoreRow]:
        """A clip's rows with the hash of its source, if that was taken; it is forgotten then."""
        rows = list(rows)
        sha256 = self._hashes.pop(rows[0].clip_id, None) if rows else None
        return rows if sha256 is None else [replace(row, source_sha256=sha256) for row in rows]
