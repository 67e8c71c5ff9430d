"""A clip to its scores, in the process that decodes it."""

from __future__ import annotations

from framescribe.measured import Measured
from framescribe.scores.scorer import Scorer
from framescribe.types import Clip, FrameSampling
from framescribe.video.decode import decode_frames

_FIRST_FRAME = FrameSampling("uniform", 1)


def score_clip(clip: Clip, scorers: tuple[Scorer, ...], max_threads: int = 1) -> tuple[Measured, ...]:
    """Decodes what scorers need of a clip, and measures it.

    Raises:
        ClipError: as ``decode_frames``; what a scorer raises is its own failure.
    """
    return decode_frames(clip, _FIRST_FRAME, max_threads=max_threads, scorers=scorers).measured
