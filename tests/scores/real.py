"""The real clips that are here, as frames, and altered without any fault: cropped, mirrored, backwards."""

from __future__ import annotations

from functools import cache

import numpy as np

from framescribe.types import Clip
from framescribe.video.decode import read_frames
from tests.reference import ROOT

FPS = 8.0
NAMES = ("kitten", "horse", "train_running")


@cache
def real_clip(name: str) -> np.ndarray:
    """uint8 [49, 480, 720, 3], RGB, 8 frames a second."""
    clip = Clip(str(ROOT / "examples/real" / f"{name}.mp4"))
    return np.stack([picture.transpose(1, 2, 0) for _, picture in read_frames(clip)])


def variant(
    name: str,
    rng: np.random.Generator,
    size: tuple[int, int] | None = None,
    count: int = 32,
    frames: np.ndarray | None = None,
) -> np.ndarray:
    """``count`` frames (of ``frames``, if given) of 0.6 to 1 of the picture's sides (or of ``size``), at random."""
    frames = real_clip(name) if frames is None else frames
    first = rng.integers(len(frames) - count + 1)
    height, width = size or (int(side * rng.uniform(0.6, 1)) // 2 * 2 for side in (480, 720))
    top, left = rng.integers(480 - height + 1), rng.integers(720 - width + 1)
    part = frames[first : first + count, top : top + height, left : left + width]
    part = part[:, :, ::-1] if rng.random() < 0.5 else part
    return part[::-1] if rng.random() < 0.5 else part
