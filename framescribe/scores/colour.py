"""How colourful a clip is, and how much of it is grey.

UltraVideo (arXiv 2506.13691) takes a frame as grey when the variance of its points' red, green and blue around their
mean is below 1.2, in levels of 255 squared, and drops a clip when more than 5 % of its frames are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures

GREY_VARIANCE = 1.2


def measure(pictures: ClipPictures) -> dict[str, float]:
    # Picture by picture: fresh memory for whole clips costs more than the arithmetic.
    saturation_T, variance_T = np.array([_of_picture(each) for each in pictures.small_THW3]).T
    return {
        "saturation": float(saturation_T.mean()),
        "colour_variance": float(variance_T.mean()),
        "grey_share": float((variance_T < GREY_VARIANCE).mean()),
    }


def _of_picture(picture_HW3: NDArray[Any]) -> tuple[float, float]:
    """Mean saturation, and mean variance of red, green and blue."""
    colours_3P = np.ascontiguousarray(picture_HW3.reshape(-1, 3).T)
    red, green, blue = colours_3P.astype(np.float32)
    # The variance of three numbers: the sum of the squares of their differences, divided by 9.
    squares = sum(float(np.einsum("p,p", each, each)) for each in (red - green, green - blue, blue - red))
    largest = colours_3P.max(0)
    saturation_P = (largest - colours_3P.min(0)) / np.maximum(largest, 1).astype(np.float32)
    return float(saturation_P.mean()), squares / 9 / len(largest)
