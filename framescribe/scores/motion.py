"""How much moves, and how: dense optical flow between pictures half a second apart.

The rate and the unit of ``motion`` are EasyAnimate's (arXiv 2405.18991) and Data-Juicer's (arXiv 2309.02033): the mean
length of the flow between two pictures that are half a second apart, in pixels of the video. Goku (arXiv 2502.04896)
and Allegro (arXiv 2410.15458) state thresholds for other flows in pixels as well. The flow is OpenCV's DIS (Kroeger et
al., arXiv 1603.03590) between small pictures, scaled up.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.flow import flows
from framescribe.scores.pictures import SMALL_PER_S, ClipPictures

STATIC_LENGTH = 0.002
"""Share of the diagonal that a point moves by at least in half a second, or it stands still."""

MOVING_AREA = 0.005
"""Share of the picture that moves at least, or the time between two pictures is static."""


def measure(pictures: ClipPictures) -> dict[str, float]:
    if len(pictures.small_THW3) < 2:
        return dict.fromkeys(("motion", "motion_diagonals", "static_share", "direction_spread"), math.nan)
    height, width = pictures.small_THW3.shape[1:3]
    diagonal_px = math.hypot(width, height)
    flow_SHW2 = flows(pictures.small_THW3)
    # Pictures of a slow video are more than half a second apart: what they moved in half a second.
    flow_SHW2 *= (1 / SMALL_PER_S / np.diff(pictures.small_s)).astype(np.float32)[:, None, None, None]
    length_SHW = np.hypot(flow_SHW2[..., 0], flow_SHW2[..., 1])
    moves_S = (length_SHW > STATIC_LENGTH * diagonal_px).mean((1, 2)) > MOVING_AREA
    mean_px = float(length_SHW.mean())
    return {
        "motion": mean_px * math.hypot(pictures.facts.width, pictures.facts.height) / diagonal_px,
        "motion_diagonals": mean_px / diagonal_px * SMALL_PER_S,
        "static_share": 1 - float(moves_S.mean()),
        "direction_spread": _spread(flow_SHW2[moves_S], length_SHW[moves_S]),
    }


def _spread(flow_SHW2: NDArray[Any], length_SHW: NDArray[Any]) -> float:
    """The circular variance of the directions, long movements counting more; NaN where nothing moves."""
    total_S = length_SHW.sum((1, 2))
    if not total_S.any():
        return math.nan
    net_S2 = flow_SHW2.sum((1, 2))
    return 1 - float(np.hypot(net_S2[:, 0], net_S2[:, 1]).sum() / total_S.sum())
