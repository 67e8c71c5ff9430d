"""What one scorer found of one clip, as it leaves the process that measured it."""

from __future__ import annotations

from dataclasses import dataclass

from framescribe.errors import ErrorStage


@dataclass(frozen=True, slots=True)
class Measured:
    """A scorer's numbers for a clip, or why there are none.

    Attributes:
        scorer: its name.
        version: its version.
        names: of its scores.
        values: in the order of its scores; NaN where the clip has no such value. None if it failed.
        num_frames: pictures that were looked at, of those at 2 a second.
        features: little-endian float16, of a scorer that gives a vector; None of others.
        features_of: the name of such a vector.
        error_stage, error_message: where and why it failed.
    """

    scorer: str
    version: int
    names: tuple[str, ...] = ()
    values: tuple[float, ...] | None = None
    num_frames: int = 0
    features: bytes | None = None
    features_of: str = ""
    error_stage: ErrorStage | None = None
    error_message: str | None = None
