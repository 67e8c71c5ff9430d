"""What scorers found of a clip, as rows of the tables that stand beside captions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from framescribe.feature_row import FeatureRow
from framescribe.measured import Measured
from framescribe.score_row import ScoreRow
from framescribe.scores.scorer import Scorer
from framescribe.types import Clip
from framescribe.version import __version__

Beside = Callable[[Iterable[ScoreRow | FeatureRow]], None]
"""Takes what a clip gives beside its captions."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """Has clips measured while they are decoded.

    Attributes:
        scorers: which measure them.
        take: is given the rows of each clip, from the thread that had it decoded.
    """

    scorers: tuple[Scorer, ...]
    take: Beside


def side_rows(clip: Clip, measured: Sequence[Measured]) -> list[ScoreRow | FeatureRow]:
    """``score_rows`` and ``feature_rows``, in the order in which they are to be written."""
    return [*feature_rows(clip, measured), *score_rows(clip, measured)]


def score_rows(clip: Clip, measured: Sequence[Measured]) -> list[ScoreRow]:
    """A row for each scorer."""
    return [
        ScoreRow(
            scorer=each.scorer,
            version=each.version,
            names=() if each.values is None else each.names,
            values=each.values or (),
            error_stage=each.error_stage,
            error_message=each.error_message,
            **_whose(clip),
        )
        for each in measured
    ]


def feature_rows(clip: Clip, measured: Sequence[Measured]) -> list[FeatureRow]:
    """A row for each scorer that gives a vector."""
    return [
        FeatureRow(
            features_of=each.features_of,
            features=each.features,
            num_frames=each.num_frames,
            **_whose(clip),
        )
        for each in measured
        if each.features is not None
    ]


def _whose(clip: Clip) -> dict[str, Any]:
    """The columns that say of which clip a row is, and from when."""
    return {
        "clip_id": clip.id,
        "source_video": clip.source_video,
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "engine_version": __version__,
        "created_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
