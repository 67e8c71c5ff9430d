"""How much moves, and how: dense optical flow between pictures half a second apart, or less where they move fast.

The unit of ``motion`` is EasyAnimate's (arXiv 2405.18991) and Data-Juicer's (arXiv 2309.02033): the mean length of the
flow over half a second, in pixels of the video. Goku (arXiv 2502.04896) and Allegro (arXiv 2410.15458) state thresholds
for other flows in pixels as well. What moves further in half a second than a flow reaches comes out too slow in those:
here it is measured over a shorter time.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.flow import flow
from framescribe.scores.pictures import SMALL_PER_S, ClipPictures

STATIC_LENGTH = 0.002
"""Share of the diagonal that a point moves by at least in half a second, or it stands still."""

MOVING_AREA = 0.005
"""Share of the picture that moves at least, or the time between two pictures is static."""

FAST_LENGTH, SHORT_S = 0.03, 0.125
"""What moves by such a share of the diagonal in half a second is measured over about this time. A rough flow over it
finds what is fast; over half a second what is too fast for a flow may look slow."""

MOST_PAIRS = 6
"""Of a longer clip the flow is measured in every other half second."""


def measure(pictures: ClipPictures) -> dict[str, float]:
    if len(pictures.small_THW3) < 2:
        return dict.fromkeys(("motion", "motion_diagonals", "static_share", "direction_spread"), math.nan)
    pairs = len(pictures.small_s) - 1
    every = 1 if pairs <= MOST_PAIRS else 2
    steps = [_figures(_flow(pictures, number)) for number in range(0, pairs, every)]
    mean_S, moving_S = (np.array(each) for each in list(zip(*steps, strict=True))[:2])
    mean_length = float(mean_S.mean())
    moves_S = moving_S > MOVING_AREA
    return {
        "motion": mean_length * math.hypot(pictures.facts.width, pictures.facts.height),
        "motion_diagonals": mean_length * SMALL_PER_S,
        "static_share": 1 - float(moves_S.mean()),
        "direction_spread": _spread(mean_S[moves_S], np.array([step[2] for step in steps])[moves_S]),
    }


def _figures(flow_HW2: NDArray[np.float32]) -> tuple[float, float, NDArray[Any]]:
    """Mean length, share of points that move, and the mean movement."""
    right_HW, down_HW = flow_HW2[..., 0], flow_HW2[..., 1]
    length_HW = _length(flow_HW2)
    moving = np.count_nonzero(length_HW > STATIC_LENGTH) / length_HW.size
    return float(length_HW.mean()), moving, np.array([right_HW.mean(), down_HW.mean()])


def _flow(pictures: ClipPictures, number: int) -> NDArray[np.float32]:
    """From one small picture to the next, in diagonals of the picture in half a second."""
    if _over_short_time(pictures, number, is_rough=True) is not None:
        short_HW2 = _over_short_time(pictures, number)
        if short_HW2 is not None:
            return short_HW2
    start_s, end_s = pictures.small_s[number : number + 2]
    return _in_half_a_second(flow(*pictures.small_grey_THW[number : number + 2]), end_s - start_s)


def _length(flow_HW2: NDArray[np.float32]) -> NDArray[np.float32]:
    right_HW, down_HW = flow_HW2[..., 0], flow_HW2[..., 1]
    length_HW: NDArray[np.float32] = np.sqrt(right_HW * right_HW + down_HW * down_HW)
    return length_HW


def _over_short_time(
    pictures: ClipPictures, number: int, is_rough: bool = False
) -> NDArray[np.float32] | None:
    """The same between tiny pictures after a small one, if there are any before the next, and if it is fast."""
    start_s, end_s = pictures.small_s[number : number + 2]
    at, after = (int(np.abs(pictures.tiny_s - time_s).argmin()) for time_s in (start_s, start_s + SHORT_S))
    after = min(max(after, at + 1), len(pictures.tiny_s) - 1)
    if at == after or pictures.tiny_s[after] >= end_s:
        return None
    between_s = pictures.tiny_s[after] - pictures.tiny_s[at]
    found_HW2 = flow(pictures.tiny_NHW[at], pictures.tiny_NHW[after], is_rough)
    found_HW2 = _in_half_a_second(found_HW2, between_s)
    return found_HW2 if _length(found_HW2).mean() > FAST_LENGTH else None


def _in_half_a_second(flow_HW2: NDArray[np.float32], took_s: float) -> NDArray[np.float32]:
    """A flow in diagonals of the picture; pictures of a slow video are more than half a second apart."""
    return flow_HW2 / np.float32(math.hypot(*flow_HW2.shape[:2]) * took_s * SMALL_PER_S)


def _spread(mean_S: NDArray[Any], net_S2: NDArray[Any]) -> float:
    """The circular variance of the directions, long movements counting more; NaN where nothing moves."""
    if not mean_S.any():
        return math.nan
    return 1 - float(np.hypot(net_S2[:, 0], net_S2[:, 1]).sum() / mean_S.sum())
