"""Dense optical flow from one picture to another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.opencv import cv2
from framescribe.scores.pictures import SMALL_SIDE, TINY_SIDE

_LEAST_SIDE = 32
_DESCENTS = 12
"""More let patches slide along edges that leave them free to."""


def flow(before_HW: NDArray[np.uint8], after_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where each point of a grey picture is in another.

    OpenCV's DIS (Kroeger et al., arXiv 1603.03590), at half the resolution of pictures that are small rather than tiny.

    Returns:
        float32 [H, W, 2]: to the right and down, in pixels of these pictures.
    """
    # The method needs patches; a smaller picture goes on as its rim does.
    height, width = before_HW.shape
    rim = ((0, max(0, _LEAST_SIDE - height)), (0, max(0, _LEAST_SIDE - width)))
    method: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(1 if max(height, width) > (SMALL_SIDE + TINY_SIDE) / 2 else 0)
    method.setPatchStride(5)
    method.setGradientDescentIterations(_DESCENTS)
    found_HW2 = method.calc(np.pad(before_HW, rim, "edge"), np.pad(after_HW, rim, "edge"), None)
    return np.asarray(found_HW2[:height, :width])
