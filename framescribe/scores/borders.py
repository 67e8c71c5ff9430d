"""Borders: bars above and below (letterbox), left and right (pillarbox), and frames around the picture.

A bar is a run of whole rows or columns from an edge that stay of one colour in all pictures, and ends at once where the
picture begins. Black or white ones count at any edge, those of another colour where the opposite edge has the same one.
UltraVideo (arXiv 2506.13691) looks at a strip of 3 % along each edge, and takes one whose mean is below 3 as a border:
``dark_edge_share`` is the share of pictures with such a strip.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.luma import luma
from framescribe.scores.pictures import ClipPictures
from framescribe.scores.steps import differences

STRIP, DARK_EDGE = 0.03, 3.0
ONE_COLOUR = 12
"""Levels from the darkest to the brightest point of a bar's row, but for 1 % on each side."""

BLACK, WHITE = 20, 235
LEAST_STEP = 6.0
"""Levels between a bar's last row and the picture's first, point by point."""

LONGEST = 0.45


def measure(pictures: ClipPictures) -> dict[str, float]:
    luma_THW = luma(pictures.small_THW3)
    height, width = luma_THW.shape[1:]
    top, bottom = _bars(luma_THW)
    left, right = _bars(luma_THW[:, top : height - bottom].transpose(0, 2, 1))
    kept = (height - top - bottom) * (width - left - right) / (height * width)
    return {
        "border_share": 1 - kept,
        "letterbox_share": (top + bottom) / height,
        "pillarbox_share": (left + right) / width,
        "dark_edge_share": _dark_edge_share(luma_THW),
    }


def _dark_edge_share(luma_THW: NDArray[Any]) -> float:
    rows, columns = (math.ceil(STRIP * side) for side in luma_THW.shape[1:])
    strips = (luma_THW[:, :rows], luma_THW[:, -rows:], luma_THW[:, :, :columns], luma_THW[:, :, -columns:])
    return float(np.any([strip.mean((1, 2)) < DARK_EDGE for strip in strips], axis=0).mean())


def _bars(luma_TRC: NDArray[Any]) -> tuple[int, int]:
    """How many rows at the top and at the bottom are bars."""
    # 1 % of a row's points, over time and along it, may be otherwise on each side.
    lines_RP = luma_TRC.transpose(1, 0, 2).reshape(luma_TRC.shape[1], -1)
    spare = lines_RP.shape[1] // 100
    ordered_RP = np.sort(lines_RP.astype(np.uint16), axis=1)  # NumPy sorts wider numbers faster
    low_R, high_R = ordered_RP[:, spare].astype(int), ordered_RP[:, -1 - spare].astype(int)
    mean_R = luma_TRC.mean((0, 2))
    step_R = differences(luma_TRC[:, :-1], luma_TRC[:, 1:]).mean((0, 2))
    first, last = (_bar(low_R[::way], high_R[::way], mean_R[::way], step_R[::way]) for way in (1, -1))
    alike = abs(mean_R[0] - mean_R[-1]) < ONE_COLOUR and abs(first - last) <= 2
    if not alike:
        first = first if _is_plain(mean_R[0]) else 0
        last = last if _is_plain(mean_R[-1]) else 0
    return first, last


def _is_plain(level: float) -> bool:
    return level <= BLACK or level >= WHITE


def _bar(low_R: NDArray[Any], high_R: NDArray[Any], mean_R: NDArray[Any], step_R: NDArray[Any]) -> int:
    """How many rows from the first one on are a bar."""
    is_one = (high_R - low_R <= ONE_COLOUR) & (np.abs(mean_R - mean_R[0]) <= ONE_COLOUR / 2)
    count = len(is_one) if is_one.all() else int(np.argmin(is_one))
    if count == 0 or count > LONGEST * len(is_one):
        return 0
    return count if step_R[count - 1 : count + 1].max() >= LEAST_STEP else 0
