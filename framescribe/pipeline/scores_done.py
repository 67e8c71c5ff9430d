"""Which clips of a folder have scores already."""

from __future__ import annotations

from collections.abc import Sequence

from framescribe.dataset.store import RowFolder
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
        self._scorers = scorers
        bits = {(scorer.name, scorer.version): 1 << place for place, scorer in enumerate(scorers)}
        self._has: dict[str, int] = {}  # by clip id, a bit for each scorer: there may be millions
        columns = ["clip_id", "scorer", "version", "error_stage"]
        for batch in folder.scores.batches(columns):
            for clip_id, scorer, version, stage in zip(
                *(batch[name].to_pylist() for name in columns), strict=True
            ):
                if bit := bits.get((scorer, version), 0):
                    self._has[clip_id] = self._has.get(clip_id, 0) | (0 if redo_failed and stage else bit)

    def left(self, clip: Clip) -> tuple[Scorer, ...]:
        """The scorers that a clip has no row of."""
        has = self._has.get(clip.id, 0)
        return tuple(scorer for place, scorer in enumerate(self._scorers) if not has >> place & 1)
