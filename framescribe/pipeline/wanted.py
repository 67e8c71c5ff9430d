"""Which clips a run captions by their scores: those of the folder that it captions into."""

from __future__ import annotations

from collections.abc import Sequence

from framescribe.dataset.dataset import Dataset
from framescribe.types import Clip


class ScoreCondition:
    """Whether a clip's scores fulfil a condition.

    Attributes:
        failed: how many clips were seen whose scores do not.
        unscored: how many have no scores.

    Args:
        folder: with scores.
        where: SQL conditions over them, which must all hold.

    Raises:
        UsageError: the folder has no scores, or the condition cannot be answered.
    """

    def __init__(self, folder: str, where: str | Sequence[str]) -> None:
        scored = Dataset.scored(folder)
        self._holds = {row["clip_id"]: False for row in scored.rows(columns=["clip_id"])}
        self._holds |= {row["clip_id"]: True for row in scored.rows(where, columns=["clip_id"])}
        self.begin()

    def begin(self) -> None:
        """Counts anew, for another pass over the clips."""
        self.failed = self.unscored = 0

    def __call__(self, clip: Clip) -> bool:
        """Whether the clip is wanted; counts it if not."""
        holds = self._holds.get(clip.id)
        self.failed += holds is False
        self.unscored += holds is None
        return bool(holds)
