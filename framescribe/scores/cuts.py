"""Cuts inside the clip: how often one shot ends and another begins.

As in PySceneDetect's adaptive detector a cut is a change that stands out from those around it, but of tiny grey
pictures: by what is where, and by how much there is of each level of brightness, which a movement hardly changes.
Frames that only fill up a rate are left out first, and a flash, after which the picture is as it was, is none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures
from framescribe.scores.steps import are_same, differences

NEIGHBOURS = 3
"""Changes on each side that a change is compared with."""

MOST_REPEATS = 4
"""Frames that repeat one at another's rate, as those of 8 frames a second in a video of 30."""

LEAST_EXCESS = 0.75
"""How much more than the median of its neighbours a change at a cut is at least."""


def measure(pictures: ClipPictures) -> dict[str, float]:
    if len(pictures.tiny_NHW) < 2:
        return {"cuts": math.nan, "cuts_per_s": math.nan}
    places = np.flatnonzero(excesses(pictures.tiny_NHW) >= LEAST_EXCESS)
    # A quick fade is one cut.
    count = int((np.diff(places) > NEIGHBOURS).sum()) + 1 if len(places) else 0
    return {"cuts": count, "cuts_per_s": count / pictures.looked_at_s if pictures.looked_at_s else 0.0}


def excesses(tiny_NHW: NDArray[Any]) -> NDArray[np.float64]:
    """How much each frame stands out as the first one of a shot; some of those that repeat are left out."""
    distinct_MHW = tiny_NHW[~_is_left_out(are_same(differences(tiny_NHW[:-1], tiny_NHW[1:])))]
    number_M = np.arange(len(distinct_MHW))
    changes = _Changes(distinct_MHW)
    change = changes(number_M[:-1], number_M[1:])
    if len(change) < 2:
        return change
    # What comes two frames later is compared with what was two frames before, so that a flash is no cut.
    before, after = np.maximum(number_M[:-1] - 1, 0), np.minimum(number_M[1:] + 1, number_M[-1])
    around = [_shifted(change, places) for places in range(-NEIGHBOURS, NEIGHBOURS + 1) if places]
    lasting = np.minimum(change, changes(before, after))
    excess: NDArray[np.float64] = lasting - np.nanmedian(around, 0)
    return excess


def _is_left_out(same_S: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which frames repeat the one before them, but for those of a picture that stands still for longer: bool [N]."""
    number_N = np.arange(len(same_S) + 1)
    is_new_N = np.append(True, ~same_S)
    repeats_N = number_N - np.maximum.accumulate(np.where(is_new_N, number_N, 0))
    left_out: NDArray[np.bool_] = ~is_new_N & (repeats_N <= MOST_REPEATS)
    return left_out


class _Changes:
    """The mean difference of pictures, in place and in order of brightness, as a share of contrast."""

    def __init__(self, pictures_NHW: NDArray[np.uint8]) -> None:
        points_NP = pictures_NHW.reshape(len(pictures_NHW), -1)
        self._pictures_NHW, self._size = pictures_NHW, points_NP.shape[1]
        self._darker_N256 = np.array([np.bincount(points_P, minlength=256) for points_P in points_NP]).cumsum(
            1
        )
        levels_NP = points_NP.astype(np.float32)
        levels_NP -= levels_NP.mean(1, keepdims=True)
        self._contrast_N = np.sqrt(np.einsum("np,np->n", levels_NP, levels_NP) / self._size)

    def __call__(self, before: NDArray[np.intp], after: NDArray[np.intp]) -> NDArray[np.float64]:
        """Between each two pictures of these numbers."""
        # What the points differ by when both pictures' are put in order: the area between their distributions.
        by_level = np.abs(self._darker_N256[before] - self._darker_N256[after]).sum(1) / self._size
        by_place = differences(self._pictures_NHW[before], self._pictures_NHW[after]).mean((1, 2))
        contrast = (self._contrast_N[before] + self._contrast_N[after]) / 2
        change: NDArray[np.float64] = (by_place + by_level) / np.maximum(contrast, 8.0)
        return change


def _shifted(values: NDArray[np.float64], places: int) -> NDArray[np.float64]:
    """Values moved by so many places; NaN where there is none."""
    moved = np.full_like(values, np.nan)
    if places > 0:
        moved[places:] = values[:-places]
    else:
        moved[:places] = values[-places:]
    return moved
