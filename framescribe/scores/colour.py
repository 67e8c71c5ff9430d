"""How colourful a clip is, and how much of it is grey.

UltraVideo (arXiv 2506.13691) takes a frame as grey when the variance of its points' red, green and blue around their
mean is below 1.2, in levels of 255 squared, and drops a clip when more than 5 % of its frames are.
"""

from __future__ import annotations

import numpy as np

from framescribe.scores.pictures import ClipPictures

GREY_VARIANCE = 1.2


def measure(pictures: ClipPictures) -> dict[str, float]:
    red, green, blue = (pictures.small_THW3[..., channel].astype(np.int32) for channel in range(3))
    # The variance of three numbers: the sum of the squares of their differences, divided by 9.
    variance_T = ((red - green) ** 2 + (green - blue) ** 2 + (blue - red) ** 2).mean((1, 2)) / 9
    largest = np.maximum(np.maximum(red, green), blue)
    smallest = np.minimum(np.minimum(red, green), blue)
    return {
        "saturation": float(((largest - smallest) / np.maximum(largest, 1)).mean()),
        "colour_variance": float(variance_T.mean()),
        "grey_share": float((variance_T < GREY_VARIANCE).mean()),
    }
