"""What scorers found of a clip, as rows; and which clips of a folder have such rows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from framescribe.dataset.store import RowFolder
from framescribe.feature_row import FeatureRow
from framescribe.measured import Measured
from framescribe.score_row import ScoreRow
from framescribe.scores.registry import scorers_named
from framescribe.scores.scorer import Scorer
from framescribe.types import Clip
from framescribe.version import __version__


def score_rows(clip: Clip, measured: Sequence[Measured]) -> list[ScoreRow]:
    """A row for each scorer."""
    return [
        ScoreRow(
            clip_id=clip.id,
            source_video=clip.source_video,
            start_s=clip.start_s,
            end_s=clip.end_s,
            scorer=each.scorer,
            version=each.version,
            names=() if each.values is None else _scorer(each).names,
            values=each.values or (),
            error_stage=each.error_stage,
            error_message=each.error_message,
            engine_version=__version__,
            created_at=_now(),
        )
        for each in measured
    ]


def feature_rows(clip: Clip, measured: Sequence[Measured]) -> list[FeatureRow]:
    """A row for each scorer that gives a vector."""
    return [
        FeatureRow(
            clip_id=clip.id,
            source_video=clip.source_video,
            start_s=clip.start_s,
            end_s=clip.end_s,
            features_of=_scorer(each).features_of or "",
            features=each.features,
            num_frames=each.num_frames,
            engine_version=__version__,
            created_at=_now(),
        )
        for each in measured
        if each.features is not None
    ]


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


def _scorer(measured: Measured) -> Scorer:
    (scorer,) = scorers_named([measured.scorer])
    return scorer


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
