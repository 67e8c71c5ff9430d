"""All scorers of a run over one clip: whatever one of them does, the others give their values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from framescribe.errors import ErrorStage
from framescribe.measured import Measured
from framescribe.scores.pictures import ClipPictures
from framescribe.scores.scorer import Scorer
from framescribe.shown import shorten


def measure_all(pictures: ClipPictures, scorers: Iterable[Scorer], source: str) -> tuple[Measured, ...]:
    """What each scorer finds; one that raises has failed at stage ``score``.

    Args:
        pictures: with all that the scorers need.
        scorers: which.
        source: the clip's name, for messages.
    """
    return tuple(_measured(scorer, pictures, source) for scorer in scorers)


def all_failed(scorers: Sequence[Scorer], stage: ErrorStage, message: str) -> tuple[Measured, ...]:
    """What is said of a clip that could not be read."""
    return tuple(_failed(scorer, stage, message) for scorer in scorers)


def _measured(scorer: Scorer, pictures: ClipPictures, source: str) -> Measured:
    try:
        values = scorer.measure(pictures)
        numbers = tuple(float(values[score.name]) for score in scorer.scores)
        vector = scorer.features(pictures)
        return Measured(
            scorer.name,
            scorer.version,
            scorer.names,
            numbers,
            len(pictures.small_s),
            vector,
            scorer.features_of or "",
        )
    except MemoryError:
        raise  # of the whole clip
    except Exception as error:  # noqa: BLE001 - the one boundary: a measurement that fails is one row
        return _failed(scorer, "score", f"{source}: {scorer.name}: {type(error).__name__}: {error}")


def _failed(scorer: Scorer, stage: ErrorStage, message: str) -> Measured:
    return Measured(scorer.name, scorer.version, error_stage=stage, error_message=shorten(message))
