"""Dense optical flow from one picture to another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.opencv import cv2
from framescribe.scores.pictures import SMALL_SIDE, TINY_SIDE

_LEAST_SIDE = 32
_DESCENTS, _REFINEMENTS = 16, 3
"""More descents let patches slide along edges that leave them free to."""


def flow(
    before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8], is_rough: bool = False
) -> NDArray[np.float32]:
    """Where each point of a grey picture is in another.

    OpenCV's DIS (Kroeger et al., arXiv 1603.03590), at half the resolution of pictures that are small rather than tiny.

    Args:
        before_HW, after_HW: uint8.
        is_rough: at half of that resolution, not refined: many times as quick.

    Returns:
        float32 [H, W, 2]: to the right and down, in pixels of these pictures.
    """
    height, width = before_HW.shape
    rim = ((0, max(0, _LEAST_SIDE - height)), (0, max(0, _LEAST_SIDE - width)))
    if max(rim) > (0, 0):  # the method needs patches; a smaller picture goes on as its rim does
        before_HW, after_HW = np.pad(before_HW, rim, "edge"), np.pad(after_HW, rim, "edge")
    method: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    halvings = 1 if max(height, width) > (SMALL_SIDE + TINY_SIDE) / 2 else 0
    is_rough = is_rough and min(height, width) >= _LEAST_SIDE
    method.setFinestScale(halvings + is_rough)
    method.setPatchStride(5)
    method.setGradientDescentIterations(_DESCENTS)
    method.setVariationalRefinementIterations(0 if is_rough else _REFINEMENTS)
    found_HW2 = method.calc(before_HW, after_HW, None)
    return np.asarray(found_HW2[:height, :width])
