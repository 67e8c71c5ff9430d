"""Dense optical flow between each picture and the next."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.opencv import cv2
from framescribe.scores.pictures import Pixels


def flows(pictures_THW3: Pixels) -> NDArray[np.float32]:
    """Where each point of a picture is in the next one.

    Args:
        pictures_THW3: uint8 RGB, T >= 2.

    Returns:
        float32 [T - 1, H, W, 2]: to the right and down, in pixels of these pictures.
    """
    # The method needs patches; a smaller picture goes on as its rim does.
    height, width = pictures_THW3.shape[1:3]
    rim = ((0, max(0, _LEAST_SIDE - height)), (0, max(0, _LEAST_SIDE - width)))
    grey = [np.pad(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), rim, "edge") for picture in pictures_THW3]
    method: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setPatchStride(4)
    steps = [method.calc(before, after, None) for before, after in itertools.pairwise(grey)]
    return np.stack(steps)[:, :height, :width]


_LEAST_SIDE = 32
