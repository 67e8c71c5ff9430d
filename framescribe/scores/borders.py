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
    luma_THW = pictures.small_grey_THW
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
    lines_RTC = luma_TRC.transpose(1, 0, 2)
    first, last = _bar(lines_RTC), _bar(lines_RTC[::-1])
    ends = float(lines_RTC[0].mean()), float(lines_RTC[-1].mean())
    alike = abs(ends[0] - ends[1]) < ONE_COLOUR and abs(first - last) <= 2
    if not alike:
        first, last = (count if _is_plain(end) else 0 for count, end in zip((first, last), ends, strict=True))
    return first, last


def _is_plain(level: float) -> bool:
    return level <= BLACK or level >= WHITE


def _bar(lines_RTC: NDArray[Any]) -> int:
    """How many rows from the first one on are a bar."""
    level = float(lines_RTC[0].mean())
    longest = int(LONGEST * len(lines_RTC))
    is_bar = (_is_of(level, line_TC) for line_TC in lines_RTC[: longest + 1])
    count = next((number for number, goes_on in enumerate(is_bar) if not goes_on), longest + 1)
    if not 0 < count <= longest:
        return 0
    steps = [differences(lines_RTC[at], lines_RTC[at + 1]).mean() for at in (count - 1, count)]
    return count if max(steps) >= LEAST_STEP else 0


def _is_of(level: float, line_TC: NDArray[Any]) -> bool:
    """Whether a row is of one colour, and of so bright a one."""
    # 1 % of its points, over time and along it, may be otherwise on each side.
    ordered = np.sort(line_TC.astype(np.uint16), axis=None)  # NumPy sorts wider numbers faster
    spare = len(ordered) // 100
    spread = int(ordered[-1 - spare]) - int(ordered[spare])
    return spread <= ONE_COLOUR and abs(float(line_TC.mean()) - level) <= ONE_COLOUR / 2
