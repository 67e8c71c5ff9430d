"""Blur, and plain areas, of up to five pictures at (nearly) full size.

``laplacian_variance`` is Open-Sora 2.0's measure (arXiv 2503.09642). It grows with the amount of detail;
``edge_sharpness`` looks at the strongest edges alone, so that a sharp picture of little is sharp. Each is the median of
the pictures.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures, Pixels

STRONGEST = 0.001
"""Share of the points that make the strongest edges."""


_BAND_POINTS = 1 << 15
"""A picture is worked on in bands of so many points: fresh memory for all of it costs more than the arithmetic."""


def measure(pictures: ClipPictures) -> dict[str, float]:
    edges = np.empty(pictures.large_grey_KHW[0].size, np.int16)
    each = [_of_picture(picture_HW, edges) for picture_HW in pictures.large_grey_KHW]
    names = ("edge_sharpness", "laplacian_variance", "flat_share")
    return dict(zip(names, np.median(each, 0).tolist(), strict=True))


def _of_picture(grey_HW: Pixels, edges: NDArray[np.int16]) -> tuple[float, float, float]:
    """The three scores; ``edges`` is memory for the Laplacian's size at each point."""
    height, width = grey_HW.shape
    if min(height, width) < 3:
        return np.nan, np.nan, np.nan
    count = (height - 2) * (width - 2)
    edges = edges[:count]
    edges_HW = edges.reshape(height - 2, width - 2)
    sums = squares = flat = 0.0
    rows = max(1, _BAND_POINTS // width)
    for top in range(0, height - 2, rows):
        laplacian = _laplacian(grey_HW[top : top + rows + 2].astype(np.int16))
        np.abs(laplacian, out=edges_HW[top : top + rows])
        values = laplacian.astype(np.float32)
        sums += float(values.sum())
        squares += float(np.einsum("rc,rc->r", values, values).sum(dtype=np.float64))
    for top in range(0, height - 1, rows):
        band = grey_HW[top : top + rows + 1]
        corner = band[:-1, :-1]
        flat += np.count_nonzero((corner == band[1:, :-1]) & (corner == band[:-1, 1:]))
    at = math.ceil((1 - STRONGEST) * count) - 1
    edges.partition(at)
    return int(edges[at]), squares / count - (sums / count) ** 2, flat / ((height - 1) * (width - 1))


def _laplacian(levels_RC: NDArray[np.int16]) -> NDArray[np.int16]:
    """int16 [R - 2, C - 2]."""
    around = levels_RC[:-2, 1:-1] + levels_RC[2:, 1:-1]
    around += levels_RC[1:-1, :-2]
    around += levels_RC[1:-1, 2:]
    around -= 4 * levels_RC[1:-1, 1:-1]
    return around
