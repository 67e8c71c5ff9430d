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
    change = _changes(distinct_MHW, number_M[:-1], number_M[1:])
    if len(change) < 2:
        return change
    # What comes two frames later is compared with what was two frames before, so that a flash is no cut.
    before, after = np.maximum(number_M[:-1] - 1, 0), np.minimum(number_M[1:] + 1, number_M[-1])
    around = [_shifted(change, places) for places in range(-NEIGHBOURS, NEIGHBOURS + 1) if places]
    lasting = np.minimum(change, _changes(distinct_MHW, before, after))
    excess: NDArray[np.float64] = lasting - np.nanmedian(around, 0)
    return excess


def _is_left_out(same_S: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which frames repeat the one before them, but for those of a picture that stands still for longer: bool [N]."""
    number_N = np.arange(len(same_S) + 1)
    is_new_N = np.append(True, ~same_S)
    repeats_N = number_N - np.maximum.accumulate(np.where(is_new_N, number_N, 0))
    left_out: NDArray[np.bool_] = ~is_new_N & (repeats_N <= MOST_REPEATS)
    return left_out


def _changes(
    pictures_NHW: NDArray[Any], before: NDArray[np.intp], after: NDArray[np.intp]
) -> NDArray[np.float64]:
    """The mean difference of pictures of these numbers, in place and in order of brightness, as a share of contrast."""
    points_NP = pictures_NHW.reshape(len(pictures_NHW), -1)
    count, size = points_NP.shape
    places = points_NP + 256 * np.arange(count)[:, None]
    darker_N256 = np.bincount(places.ravel(), minlength=256 * count).reshape(count, 256).cumsum(1)
    # What the points differ by when both pictures' are put in order: the area between their distributions.
    by_level = np.abs(darker_N256[before] - darker_N256[after]).sum(1) / size
    by_place = differences(pictures_NHW[before], pictures_NHW[after]).mean((1, 2))
    contrast_N = points_NP.astype(np.float32).std(1, dtype=np.float64)
    contrast = (contrast_N[before] + contrast_N[after]) / 2
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
