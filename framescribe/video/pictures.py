"""Which frames show the same picture: of still stretches and slides, each is computed once."""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
from torch import Tensor


def find_pictures(pixels_F3HW: Tensor) -> tuple[tuple[int, ...], list[int]]:
    """Compares each frame with the one before it, up to the first pixel that differs.

    Args:
        pixels_F3HW: one frame or more as decoded, on any device.

    Returns:
        The number of the picture that each frame shows, in order from 0; the first frame of each picture.
    """
    is_new = [not torch.equal(before, frame) for before, frame in pairwise(pixels_F3HW)]
    first_frames = [0, *(frame for frame, new in enumerate(is_new, start=1) if new)]
    return tuple(accumulate(map(int, is_new), initial=0)), first_frames
