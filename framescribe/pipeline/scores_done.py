"""Which clips of a folder have scores already."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from framescribe.dataset.store import RowFolder
from framescribe.feature_row import are_alike
from framescribe.pipeline.hashes import source_sha256
from framescribe.score_row import ScoreRow
from framescribe.scores.scorer import Scorer
from framescribe.types import Clip


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

    def left_of_bytes(self, clip: Clip) -> tuple[Scorer, ...]:
        """As ``left``; all scorers of a clip whose bytes have changed. Rows without a hash tell of no change."""
        sha256 = source_sha256(clip)
        has_changed = self._recorded.get(clip.id) not in (None, sha256 or "")
        left = self._scorers if has_changed else self.left(clip)
        if left:
            self._hashes[clip.id] = sha256
        return left

    def with_hash(self, rows: Iterable[ScoreRow]) -> list[ScoreRow]:
        """A clip's rows with the hash of its source, if that was taken; it is forgotten then."""
        rows = list(rows)
        sha256 = self._hashes.pop(rows[0].clip_id, None) if rows else None
        return rows if sha256 is None else [replace(row, source_sha256=sha256) for row in rows]
