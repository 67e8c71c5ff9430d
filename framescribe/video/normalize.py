"""Clips made anew as trainers want them: a constant rate, one size without distortion, so many frames, upright.

A frame of the result shows what a player shows at that moment: the latest picture that the video has by then.
Colours are written as BT.601 with limited range, and say so: loaders that look at the tags and loaders that do not
(many convert by BT.601 whatever the file says) then give the same colours.

HDR is refused: without tone mapping its colours would be wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from framescribe.errors import UsageError

Fit = Literal["crop", "pad"]

DEFAULT_CRF = 16
"""Visually lossless for x264; a training clip is encoded once more than its source was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalize:
    """What clips are made into: H.264 (x264) in yuv420p in MP4, upright, with square pixels and a constant rate.

    Attributes:
        fps: frames per second; None keeps the video's average.
        size: width and height in pixels; None keeps the clip's, but for what ``side_step`` takes off.
        fit: how a picture of another shape gets to ``size``: ``crop`` fills it and cuts off what sticks out, the same
            on both sides; ``pad`` keeps all of it and adds black.
        frames: the most frames, taken from the clip's start; None takes all.
        frame_step: the number of frames is a multiple of this and one: 4 gives 1, 5, 9 …, 81; 1 gives any number.
        side_step: width and height are multiples of this.
        keep_audio: keep the sound, as AAC.
        crf: x264's quality, 0 (lossless) to 51; 16 cannot be told from the source by eye.
    """

    fps: float | None = None
    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    frames: int | None = None
    frame_step: int = 1
    side_step: int = 2
    keep_audio: bool = False
    crf: int = DEFAULT_CRF

    def __post_init__(self) -> None:
        if self.fps is not None and not (math.isfinite(self.fps) and 0 < self.fps <= 240):
            raise UsageError(f"`fps` must be above 0 and at most 240, not {self.fps}")
        if self.fit not in get_args(Fit):
            raise UsageError(f"unknown `fit` {self.fit!r}; choose crop or pad")
        if self.frame_step < 1 or self.side_step < 2 or self.side_step % 2:
            raise UsageError("frame_step must be 1 or more, side_step even and 2 or more")
        if self.frames is not None and (self.frames < 1 or (self.frames - 1) % self.frame_step):
            nearest = max(0, round((self.frames - 1) / self.frame_step)) * self.frame_step + 1
            raise UsageError(
                f"`frames` must be a multiple of {self.frame_step} and one, not {self.frames}; take {nearest}"
                if self.frame_step > 1
                else f"`frames` must be 1 or more, not {self.frames}"
            )
        if self.size is not None and any(
            side < 2 or side > 8192 or side % self.side_step for side in self.size
        ):
            nearest_size = "x".join(
                str(min(8192, max(1, round(side / self.side_step)) * self.side_step)) for side in self.size
            )
            raise UsageError(
                f"`size` must be multiples of {self.side_step} and at most 8192, "
                f"not {self.size[0]}x{self.size[1]}; take {nearest_size}"
            )
        if not 0 <= self.crf <= 51:
            raise UsageError(f"`crf` must be 0 to 51, not {self.crf}")

    def num_frames(self, duration_s: float, fps: Fraction) -> int:
        """How many frames the result has for a clip of ``duration_s`` seconds at ``fps``: at least one."""
        shown = max(1, round(duration_s * fps))
        if self.frames is not None:
            shown = min(shown, self.frames)
        return (shown - 1) // self.frame_step * self.frame_step + 1


@dataclass(frozen=True, slots=True)
class Geometry:
    """How stored pictures become upright ones of one size, in this order.

    Attributes:
        quarter_turns: counterclockwise.
        scaled: width and height after turning.
        placed: left and top of the scaled picture in the result; below 0 where it is cropped.
        size: width and height of the result.
    """

    quarter_turns: int
    scaled: tuple[int, int]
    placed: tuple[int, int]
    size: tuple[int, int]


def geometry(
    stored: tuple[int, int], pixel_aspect: Fraction, quarter_turns: int, wanted: Normalize
) -> Geometry:
    """The scaling and cropping that distorts nothing.

    Args:
        stored: width and height in the file.
        pixel_aspect: width of a stored pixel divided by its height; above 0.
        quarter_turns: by which the picture is turned upright, counterclockwise.
        wanted: what it is to become.

    Raises:
        UsageError: the picture is smaller than ``wanted.side_step``.
    """
    # Stretched, never shrunk: nothing that was stored is lost.
    width = stored[0] * max(Fraction(1), pixel_aspect)
    height = stored[1] / min(Fraction(1), pixel_aspect)
    if quarter_turns % 2:
        width, height = height, width
    step = wanted.side_step
    if wanted.size is None:
        scaled = round(width), round(height)
        size = scaled[0] // step * step, scaled[1] // step * step
        if not all(size):
            raise UsageError(f"a picture of {scaled[0]}x{scaled[1]} is smaller than {step}x{step}")
    else:
        size = wanted.size
        factors = size[0] / width, size[1] / height
        factor = max(factors) if wanted.fit == "crop" else min(factors)
        # The nearest even number, for the sake of chroma; never a pixel short of what is to be filled.
        scaled = _scaled(width * factor, size[0], wanted.fit), _scaled(height * factor, size[1], wanted.fit)
    placed = _centred(scaled[0], size[0]), _centred(scaled[1], size[1])
    return Geometry(quarter_turns % 4, scaled, placed, size)


def _scaled(length: Fraction, wanted: int, fit: Fit) -> int:
    even = max(2, round(length / 2) * 2)
    return max(even, wanted) if fit == "crop" else min(even, wanted)


def _centred(length: int, within: int) -> int:
    """Where something of ``length`` begins to be in the middle; even, as chroma has half the resolution."""
    return math.floor((within - length) / 4) * 2
