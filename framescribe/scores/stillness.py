"""Frames that repeat, pictures that stand still, slides.

A slide is a picture that stands still and then becomes another one without moving there (MAGI-1, arXiv 2505.13211,
removes them by the flow's divergence; here by the stillness on both sides). ``frame_change`` is the mean difference
between neighbouring frames: VMAF's motion feature, but of tiny pictures, so that it orders clips alike, in other units.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures
from framescribe.scores.steps import are_same, differences

NAMES = ("frame_change", "repeated_share", "longest_still_s", "slide_share", "ends_difference")
SHORTEST_SLIDE_S = 0.4
OTHER_LEVELS, OTHER_SHARE = 16, 0.08
"""So many points differ by so many levels between one slide and the next; less is a mouse or a word that appears."""


def measure(pictures: ClipPictures) -> dict[str, float]:
    tiny_NHW, seconds_N = pictures.tiny_NHW, pictures.tiny_s
    if len(tiny_NHW) < 2:
        return dict.fromkeys(NAMES, math.nan)
    difference_SHW = differences(tiny_NHW[:-1], tiny_NHW[1:])
    same_S = are_same(difference_SHW)
    stretches = _stretches(tiny_NHW, same_S)
    # A frame is shown until the next one; the last one as long as the one before it, and not beyond the clip.
    over_s = max(pictures.looked_at_s, seconds_N[-1])
    ends_s = np.append(seconds_N[1:], min(2 * seconds_N[-1] - seconds_N[-2], over_s))
    lengths_s = [float(ends_s[last] - seconds_N[first]) for first, last in stretches]
    is_still = [last > first for first, last in stretches]
    return {
        "frame_change": float(difference_SHW.mean()),
        "repeated_share": float(same_S.mean()),
        "longest_still_s": max(
            (length_s for length_s, still in zip(lengths_s, is_still, strict=True) if still), default=0.0
        ),
        "slide_share": _slide_share(tiny_NHW, stretches, lengths_s),
        "ends_difference": float(differences(tiny_NHW[0], tiny_NHW[-1]).mean()),
    }


def _stretches(tiny_NHW: NDArray[Any], same_S: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The first and the last frame of each stretch of frames that show the same.

    A slow change does not show from frame to frame: a stretch ends where its first frame is no longer shown.
    """
    found = []
    first = 0
    for number in range(1, len(tiny_NHW)):
        goes_on = bool(same_S[number - 1])
        if goes_on and number - first > 1:
            goes_on = bool(are_same(differences(tiny_NHW[first], tiny_NHW[number])[None])[0])
        if not goes_on:
            found.append((first, number - 1))
            first = number
    return [*found, (first, len(tiny_NHW) - 1)]


def _slide_share(tiny_NHW: NDArray[Any], stretches: list[tuple[int, int]], lengths_s: list[float]) -> float:
    """The share of time during which slides are shown: still pictures that come after others, or before others."""
    slides = [
        (first, length_s)
        for (first, last), length_s in zip(stretches, lengths_s, strict=True)
        if last > first and length_s >= SHORTEST_SLIDE_S
    ]
    changes = [
        bool((differences(tiny_NHW[one], tiny_NHW[other]) >= OTHER_LEVELS).mean() >= OTHER_SHARE)
        for (one, _), (other, _) in itertools.pairwise(slides)
    ]
    shown_s = sum(
        length_s
        for (_, length_s), before, after in zip(slides, [False, *changes], [*changes, False], strict=False)
        if before or after
    )
    return shown_s / sum(lengths_s) if shown_s else 0.0
