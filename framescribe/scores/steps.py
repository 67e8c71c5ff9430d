"""What changes from one frame to the next, in tiny grey pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import Pixels

STILL_MEAN, STILL_MOST = 0.7, 8.0
"""Levels of 256. Between two frames that show the same, the mean difference of tiny pictures, and that of all but 1 %
of their points, are below these: what compression leaves."""


def differences(before_NHW: Pixels, after_NHW: Pixels) -> NDArray[np.uint8]:
    """The absolute difference of each pair of pictures, in levels."""
    return np.maximum(before_NHW, after_NHW) - np.minimum(before_NHW, after_NHW)


def are_same(difference_NHW: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pairs show the same: bool [N]."""
    points_NP: NDArray[Any] = difference_NHW.reshape(len(difference_NHW), -1)
    changed_share_N: NDArray[np.float64] = (points_NP >= STILL_MOST).mean(1)
    same_N: NDArray[np.bool_] = (points_NP.mean(1) < STILL_MEAN) & (changed_share_N < 0.01)
    return same_N
