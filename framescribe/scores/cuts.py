"""Cuts inside the clip: how often one shot ends and another begins.

As in PySceneDetect's adaptive detector a cut is a change that stands out from those around it. The change is that of
tiny grey pictures, frames that repeat are left out first, and a flash, after which the picture is as it was, is none.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures
from framescribe.scores.steps import are_same, differences

NEIGHBOURS = 3
LEAST_CHANGE, LEAST_RATIO = 0.25, 2.5


def measure(pictures: ClipPictures) -> dict[str, float]:
    if len(pictures.tiny_NHW) < 2:
        return {"cuts": math.nan, "cuts_per_s": math.nan}
    count = int((cut_strengths(pictures.tiny_NHW) >= 1).sum())
    return {"cuts": count, "cuts_per_s": count / pictures.looked_at_s if pictures.looked_at_s else 0.0}


def cut_strengths(tiny_NHW: NDArray[Any]) -> NDArray[np.float64]:
    """How clearly each frame that does not repeat the one before it begins a shot; 1 or more is a cut."""
    same_S = are_same(differences(tiny_NHW[:-1], tiny_NHW[1:]))
    distinct_MHW = tiny_NHW[np.append(True, ~same_S)]
    change = _changes(distinct_MHW[:-1], distinct_MHW[1:])
    if len(change) == 0:
        return change
    # What comes two frames later is compared with what was two frames before, so that a flash is no cut.
    before, after = (
        np.append(distinct_MHW[:1], distinct_MHW[:-2], 0),
        np.append(distinct_MHW[2:], distinct_MHW[-1:], 0),
    )
    lasting = np.minimum(change, _changes(before, after))
    around = np.stack([_shifted(change, places) for places in range(-NEIGHBOURS, NEIGHBOURS + 1) if places])
    usual = np.nanmedian(around, 0) if len(change) > 1 else np.zeros(1)
    strength: NDArray[np.float64] = np.minimum(
        lasting / LEAST_CHANGE, lasting / np.maximum(usual, 1e-9) / LEAST_RATIO
    )
    return strength


def _changes(before_NHW: NDArray[Any], after_NHW: NDArray[Any]) -> NDArray[np.float64]:
    """The mean difference of two pictures as a share of how much each differs from its own mean."""
    contrast = (_contrast(before_NHW) + _contrast(after_NHW)) / 2
    change: NDArray[np.float64] = differences(before_NHW, after_NHW).mean((1, 2)) / np.maximum(contrast, 8.0)
    return change


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
