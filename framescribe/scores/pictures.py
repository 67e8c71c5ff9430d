"""What measurements are given of a clip: pictures at three sizes, and the facts of its file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.luma import luma

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

LOOKED_AT_S = 120.0
"""Of a longer clip only so many seconds are looked at, from its start."""

SMALL_SIDE, SMALL_PER_S = 192, 2.0
TINY_SIDE, TINY_APART_S, TINY_FURTHEST_S = 64, 0.101, 0.251
"""A tenth and a quarter of a second, however stamps are rounded."""

LARGE_SIDE, MOST_LARGE = 1280, 5


@dataclass(frozen=True, slots=True)
class ClipFacts:
    """What the file says of a clip.

    Attributes:
        width, height: of the displayed picture, in pixels.
        fps: average frame rate.
        duration_s: of the clip, as far as it can be read.
        num_frames: frames of the clip that can be read.
        codec: FFmpeg's name of the decoder, such as ``h264``.
        video_bytes: of the clip's packets, sound not included; 0 for pictures in memory.
    """

    width: int
    height: int
    fps: float
    duration_s: float
    num_frames: int
    codec: str
    video_bytes: int


@dataclass(frozen=True, slots=True, eq=False)
class ClipPictures:
    """A clip as measurements see it. All pictures are upright, and of the clip's first ``LOOKED_AT_S`` seconds.

    A part that no chosen scorer needs is empty (0 pictures).

    Attributes:
        facts: of the whole clip.
        looked_at_s: seconds from its start that the pictures are of.
        small_THW3: uint8 RGB, ``SMALL_PER_S`` a second (of the tiny pictures' frames the nearest to each half second,
            each once; of a clip too short for two, its first and last frame; T >= 1); longer side at most
            ``SMALL_SIDE`` pixels, never enlarged.
        small_grey_THW: uint8, their luma.
        small_s: float64 [T], ascending: seconds from the clip's start to each.
        tiny_NHW: uint8 grey (N >= 1): the first and the last frame, and in between frames at most ``TINY_APART_S``
            apart, where there are so many. Which ones depends on the clip alone: frames that no other refers to are
            left out, as long as others are within ``TINY_FURTHEST_S``. Longer side at most ``TINY_SIDE`` pixels, each
            the mean of an area.
        tiny_s: float64 [N], ascending: seconds from the clip's start to each.
        large_KHW3: uint8 RGB, evenly over the small ones, 1 <= K <= ``MOST_LARGE``; longer side at most ``LARGE_SIDE``
            pixels.
        large_grey_KHW: uint8 grey, the same pictures: their luma as it was coded, at full range.
        large_s: float64 [K]: seconds from the clip's start to each, all among ``small_s``.
        vectors: T arrays int32 [M, 6], the motion vectors with which each small picture's frame was coded: x and y of a
            block's centre, its width and height, and the movement to it from what it refers to, in pixels of the coded
            frame times 4 (x to the right, y down). M is 0 for frames that are coded without, and for codecs whose
            decoder does not give them.
        coded_size: width and height of the coded frame, in whose pixels vectors are counted (before it is turned).
    """

    facts: ClipFacts
    looked_at_s: float
    small_THW3: Pixels
    small_s: NDArray[np.float64]
    tiny_NHW: Pixels
    tiny_s: NDArray[np.float64]
    large_KHW3: Pixels
    large_grey_KHW: Pixels
    large_s: NDArray[np.float64]
    vectors: tuple[NDArray[np.int32], ...] = ()
    coded_size: tuple[int, int] = (0, 0)
    small_grey_THW: Pixels = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "small_grey_THW", luma(self.small_THW3))
