"""YUV 4:2:0 to RGB exactly as FFmpeg's swscale does it, as tables that swscale itself fills.

For pictures of even size swscale takes the chroma sample that lies nearest, so a pixel's RGB depends on its own (Y, U,
V) only. A picture that holds all 2^24 of them is converted once. For each channel few of the 65,536 functions of Y that
belong to a (U, V) differ, which makes the tables small.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from framescribe.yuv import Colour

FORMATS = ("yuv420p", "yuvj420p")
"""FFmpeg's names of 8-bit 4:2:0."""

_STEPS = 8  # 8 x 8 chroma samples of 2 x 2 pixels hold the 256 values of Y


def colour_of(frame: VideoFrame) -> Colour:
    """A frame's own."""
    return Colour(
        frame.format.name,
        int(frame.colorspace),
        int(frame.color_range),
        int(frame.color_primaries),
        int(frame.color_trc),
    )


@dataclass(frozen=True, slots=True, eq=False)
class RgbTables:
    """The conversion: channel c of a pixel is ``values[c][kinds[c, 256 * U + V], Y]``.

    Attributes:
        kinds: int32 [3, 65536], which function of Y belongs to a (U, V).
        values: uint8 [3, K, 256], the functions.
    """

    kinds: NDArray[np.int32]
    values: NDArray[np.uint8]


@functools.lru_cache(maxsize=16)
def rgb_tables(colour: Colour) -> RgbTables:
    """The conversion of pictures of this colour."""
    # U goes down, V to the right; within each (U, V) the 16 x 16 pixels count Y up.
    at = np.arange(512 * _STEPS)
    step, corner = at // 2 % _STEPS, at % 2
    y = (step * 4 * _STEPS + corner * 2)[:, None] + step * 4 + corner
    chroma = np.broadcast_to(np.arange(256 * _STEPS)[:, None] // _STEPS, (256 * _STEPS,) * 2).astype(np.uint8)
    frame = _frame(y.astype(np.uint8), chroma, chroma.T, colour)
    rgb = VideoReformatter().reformat(frame, frame.width, frame.height, "rgb24").to_ndarray()
    by_place = np.asarray(rgb, np.uint8).reshape(256, _STEPS, 2, 256, _STEPS, 2, 3)
    values_3CY = by_place.transpose(6, 0, 3, 1, 4, 2, 5).reshape(3, 65536, 256)
    found = [_distinct(values_CY) for values_CY in values_3CY]
    most = max(len(values) for _, values in found)
    padded = [np.pad(values, ((0, most - len(values)), (0, 0))) for _, values in found]
    return RgbTables(np.stack([kinds for kinds, _ in found]), np.stack(padded))


def _distinct(rows: NDArray[np.uint8]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Which of the distinct rows each row is, and these."""
    _, firsts, kinds = np.unique(rows.view("V256")[:, 0], return_index=True, return_inverse=True)
    return kinds.astype(np.int32), rows[firsts]


def _frame(y: NDArray[np.uint8], u: NDArray[np.uint8], v: NDArray[np.uint8], colour: Colour) -> VideoFrame:
    frame = VideoFrame(y.shape[1], y.shape[0], colour.format)
    frame.colorspace, frame.color_range = colour.space, colour.range
    frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
    for plane, values in zip(frame.planes, (y, u, v), strict=True):
        rows: NDArray[Any] = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
        rows[:, : plane.width] = values
    return frame
