"""Cuts inside the clip: how often one shot ends and another begins.

As in PySceneDetect's adaptive detector a cut is a change that stands out from those around it, but of tiny grey
pictures: by what is where, and by how much there is of each level of brightness, which a movement hardly changes.
Frames that repeat are left out first, and a flash, after which the picture is as it was, is none.
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

LEAST_EXCESS = 0.75
"""How much more than the median of its neighbours a change at a cut is at least."""


def measure(pictures: ClipPictures) -> dict[str, float]:
    if len(pictures.tiny_NHW) < 2:
        return {"cuts": math.nan, "cuts_per_s": math.nan}
    count = int((excesses(pictures.tiny_NHW) >= LEAST_EXCESS).sum())
    return {"cuts": count, "cuts_per_s": count / pictures.looked_at_s if pictures.looked_at_s else 0.0}


def excesses(tiny_NHW: NDArray[Any]) -> NDArray[np.float64]:
    """How much each frame that does not repeat the one before it stands out as the first one of a shot."""
    same_S = are_same(differences(tiny_NHW[:-1], tiny_NHW[1:]))
    distinct_MHW = tiny_NHW[np.append(True, ~same_S)]
    change = _changes(distinct_MHW[:-1], distinct_MHW[1:])
    if len(change) < 2:
        return change
    # What comes two frames later is compared with what was two frames before, so that a flash is no cut.
    before = np.append(distinct_MHW[:1], distinct_MHW[:-2], 0)
    after = np.append(distinct_MHW[2:], distinct_MHW[-1:], 0)
    around = [_shifted(change, places) for places in range(-NEIGHBOURS, NEIGHBOURS + 1) if places]
    excess: NDArray[np.float64] = np.minimum(change, _changes(before, after)) - np.nanmedian(around, 0)
    return excess


def _changes(before_NHW: NDArray[Any], after_NHW: NDArray[Any]) -> NDArray[np.float64]:
    """The mean difference of two pictures, in place and in order of brightness, as a share of their contrast."""
    contrast = (_contrast(before_NHW) + _contrast(after_NHW)) / 2
    by_place = differences(before_NHW, after_NHW).mean((1, 2))
    by_level = differences(_ordered(before_NHW), _ordered(after_NHW)).mean(1)
    change: NDArray[np.float64] = (by_place + by_level) / np.maximum(contrast, 8.0)
    return change


def _ordered(pictures_NHW: NDArray[Any]) -> NDArray[Any]:
    """The points of each picture from the darkest to the brightest: [N, P]."""
    return np.sort(pictures_NHW.reshape(len(pictures_NHW), math.prod(pictures_NHW.shape[1:])), 1)


def _contrast(pictures_NHW: NDArray[Any]) -> NDArray[np.float64]:
    spread: NDArray[np.float64] = np.asarray(pictures_NHW, np.float32).std((1, 2), dtype=np.float64)
    return spread


def _shifted(values: NDArray[np.float64], places: int) -> NDArray[np.float64]:
    """Values moved by so many places; NaN where there is none."""
    moved = np.full_like(values, np.nan)
    if places > 0:
        moved[places:] = values[:-places]
    else:
        moved[:places] = values[-places:]
    return moved
