"""Blur, and plain areas, of up to five pictures at (nearly) full size.

``laplacian_variance`` is Open-Sora 2.0's measure (arXiv 2503.09642). It grows with the amount of detail;
``edge_sharpness`` looks at the strongest edges alone, so that a sharp picture of little is sharp. Each is the median of
the pictures.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures

STRONGEST = 0.001
"""Share of the points that make the strongest edges."""


def measure(pictures: ClipPictures) -> dict[str, float]:
    each = [_of_picture(picture_HW.astype(np.int16)) for picture_HW in pictures.large_grey_KHW]
    names = ("edge_sharpness", "laplacian_variance", "flat_share")
    return dict(zip(names, np.median(each, 0).tolist(), strict=True))


def _of_picture(grey_HW: NDArray[np.int16]) -> tuple[float, float, float]:
    if min(grey_HW.shape) < 3:
        return np.nan, np.nan, np.nan
    around = grey_HW[:-2, 1:-1] + grey_HW[2:, 1:-1] + grey_HW[1:-1, :-2] + grey_HW[1:-1, 2:]
    laplacian = around - 4 * grey_HW[1:-1, 1:-1]
    at = math.ceil((1 - STRONGEST) * laplacian.size) - 1
    edge = int(np.partition(np.abs(laplacian), at, axis=None)[at])
    corner = grey_HW[:-1, :-1]
    flat = (corner == grey_HW[1:, :-1]) & (corner == grey_HW[:-1, 1:])
    return edge, float(laplacian.var(dtype=np.float32)), float(flat.mean())
