"""Decoded frames to the pictures that are shown."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class Display:
    """Frames to RGB pictures [3, H, W], turned as displayed, all of the first one's size (a stream may change it)."""

    def __init__(self, long_side: int | None = None) -> None:
        self._long_side = long_side
        self._stored: tuple[int, int] | None = None  # width and height before turning
        self.quarter_turns = 0
        self._reformatter = VideoReformatter()  # kept, as making one for each frame takes time

    def __call__(self, frame: VideoFrame) -> Pixels:
        if self._stored is None:
            scale = min(1.0, (self._long_side or math.inf) / max(frame.width, frame.height))
            self._stored = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
            self.quarter_turns = round(frame.rotation / 90)
        # One thread: several take longer for one picture, and there are other clips for the cores.
        rgb = self._reformatter.reformat(frame, *self._stored, "rgb24", threads=1).to_ndarray()
        upright: Pixels = np.rot90(rgb, self.quarter_turns)  # both count counterclockwise
        return upright.transpose(2, 0, 1)
