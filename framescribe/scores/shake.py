"""A camera that shakes: the part of its movement that comes and goes within half a second.

The camera's path is the sum of the shifts between tiny pictures (one step of Lucas and Kanade's method over the whole
picture, 1981), each weighted by the share of the change that it explains, so that what moves by itself counts little. A
pan or a zoom is slow beside that, and is no shake.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures

SLOW_S = 0.5


def measure(pictures: ClipPictures) -> dict[str, float]:
    tiny_NHW, seconds_N = pictures.tiny_NHW, pictures.tiny_s
    if len(tiny_NHW) < 4:
        return {"shake": math.nan}
    # A few at a time: fresh memory for whole clips costs more than the arithmetic.
    shifts_N2 = np.concatenate([_shifts(tiny_NHW[at : at + 9]) for at in range(0, len(tiny_NHW) - 1, 8)])
    path_N2 = np.concatenate([np.zeros((1, 2)), np.cumsum(shifts_N2, 0)])
    frame_s = float(np.median(np.diff(seconds_N)))
    # Pictures are not all equally far apart; the places of the path are.
    even_s = np.arange(seconds_N[0], seconds_N[-1] + frame_s / 2, frame_s)
    path_K2 = np.stack([np.interp(even_s, seconds_N, along) for along in path_N2.T], -1)
    width = 2 * max(1, round(SLOW_S / frame_s / 2)) + 1
    width = min(width, len(path_K2) - (1 - len(path_K2) % 2))
    windows = np.lib.stride_tricks.sliding_window_view(path_K2, width, axis=0)
    quick_M2 = path_K2[width // 2 : width // 2 + len(windows)] - windows.mean(-1)
    return {"shake": 100 * float(np.sqrt((quick_M2**2).sum(1).mean())) / math.hypot(*tiny_NHW.shape[1:])}


def _shifts(tiny_NHW: NDArray[Any]) -> NDArray[np.float64]:
    """How far the whole picture moves from each to the next, in pixels of these pictures: float64 [N - 1, 2]."""
    # A wider reach than one pixel: each point the mean of 5 x 5 with binomial weights; the rim is repeated.
    sums = np.pad(tiny_NHW, ((0, 0), (2, 2), (2, 2)), "edge").astype(np.uint16)
    for _ in range(4):
        sums = sums[:, 1:] + sums[:, :-1]
        sums = sums[:, :, 1:] + sums[:, :, :-1]
    soft = sums.astype(np.float32) / 256
    change = np.diff(soft, axis=0)[:, 1:-1, 1:-1]
    middle = (soft[:-1] + soft[1:]) / 2
    across: NDArray[Any] = (middle[:, 1:-1, 2:] - middle[:, 1:-1, :-2]) / 2
    down = (middle[:, 2:, 1:-1] - middle[:, :-2, 1:-1]) / 2
    xx, xy, yy = (_sums(a, b) + 1e-3 for a, b in ((across, across), (across, down), (down, down)))
    xt, yt, tt = -_sums(across, change), -_sums(down, change), _sums(change, change)
    det = np.maximum(xx * yy - xy**2, 1e-3)
    x, y = (yy * xt - xy * yt) / det, (xx * yt - xy * xt) / det
    explained = np.clip((x * xt + y * yt) / np.maximum(tt, 1e-3), 0, 1)
    shifts: NDArray[np.float64] = np.stack([x, y], -1).astype(np.float64) * explained[:, None]
    return shifts


def _sums(one_NHW: NDArray[Any], other_NHW: NDArray[Any]) -> NDArray[np.float32]:
    """float32 [N]: the sum of each picture's products."""
    sums: NDArray[np.float32] = np.einsum("nij,nij->n", one_NHW, other_NHW)
    return sums
