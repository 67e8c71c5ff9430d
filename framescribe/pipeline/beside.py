"""What a run keeps of a clip beside its captions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from framescribe.feature_row import FeatureRow, features_of
from framescribe.heads.apply import scores_of
from framescribe.heads.head import Head
from framescribe.score_row import ScoreRow

if TYPE_CHECKING:
    from framescribe.pipeline.caption_run import CaptionRun
    from framescribe.side_rows import Beside


def kept_beside(run: CaptionRun, write: Beside) -> Beside | None:
    """What takes a clip's features, and writes them and what heads say of them, as a run asks; None for neither."""
    return keeping(run.heads, run.features, write) if run.features or run.heads else None


def keeping(heads: Sequence[Head], keeps_features: bool, write: Beside) -> Beside:
    """As ``kept_beside``."""

    def keep(rows: Iterable[ScoreRow | FeatureRow]) -> None:
        for row in rows:
            if not isinstance(row, FeatureRow):
                write([row])
                continue
            write([*[row] * keeps_features, *scores_of(row, heads)])

    return keep


def check_heads(heads: Iterable[Head], model: str, revision: str | None) -> None:
    """
    Raises:
        UsageError: a head was taught with features of another model.
    """
    for head in heads:
        head.check_features(features_of(model, revision))
