"""Blur, and plain areas, of up to five pictures at (nearly) full size.

``laplacian_variance`` is Open-Sora 2.0's measure (arXiv 2503.09642), which grows with contrast and detail; ``blur`` is
that of Crete et al. (The Blur Effect, 2007): how little a picture's differences between neighbours lose when it is
blurred once more, which neither contrast nor detail changes much. Each is the median of the pictures'.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.luma import luma
from framescribe.scores.pictures import ClipPictures

BLURRED_PX = 9


def measure(pictures: ClipPictures) -> dict[str, float]:
    each = [_of_picture(luma(picture_HW3).astype(np.int16)) for picture_HW3 in pictures.large_KHW3]
    names = ("blur", "laplacian_variance", "flat_share")
    return dict(zip(names, np.median(each, 0).tolist(), strict=True))


def _of_picture(grey_HW: NDArray[np.int16]) -> tuple[float, float, float]:
    height, width = grey_HW.shape
    if min(height, width) < BLURRED_PX + 2:
        return np.nan, np.nan, np.nan
    inner = grey_HW[1:-1, 1:-1]
    laplacian = grey_HW[:-2, 1:-1] + grey_HW[2:, 1:-1] + grey_HW[1:-1, :-2] + grey_HW[1:-1, 2:] - 4 * inner
    flat = (grey_HW[:-1, :-1] == grey_HW[1:, :-1]) & (grey_HW[:-1, :-1] == grey_HW[:-1, 1:])
    blur = max(_blur_along_rows(grey_HW), _blur_along_rows(np.ascontiguousarray(grey_HW.T)))
    return blur, float(laplacian.var(dtype=np.float32)), float(flat.mean())


def _blur_along_rows(grey_HW: NDArray[np.int16]) -> float:
    width = grey_HW.shape[1] - BLURRED_PX + 1
    total = grey_HW[:, :width].copy()
    for shift in range(1, BLURRED_PX):
        total += grey_HW[:, shift : shift + width]
    middle = grey_HW[:, BLURRED_PX // 2 : BLURRED_PX // 2 + width]
    sharp = np.abs(np.diff(middle, axis=1)) * np.int16(BLURRED_PX)
    lost = np.maximum(sharp - np.abs(np.diff(total, axis=1)), 0)
    edges = float(sharp.sum(dtype=np.int64))
    return 1 - float(lost.sum(dtype=np.int64)) / edges if edges else np.nan
