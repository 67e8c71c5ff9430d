"""Brightness, and what is too bright or too dark to show anything.

UltraVideo (arXiv 2506.13691) takes a frame as badly exposed when more than 12 % of its points are above 250 of 255, or
below 5, and drops a clip when more than 5 % of its frames are; Allegro (arXiv 2410.15458) keeps a mean brightness of 20
to 180.
"""

from __future__ import annotations

import math

import numpy as np

from framescribe.scores.pictures import ClipPictures, Pixels

BAD_SHARE = 0.12


def measure(pictures: ClipPictures) -> dict[str, float]:
    each = np.array([_of_picture(grey_HW) for grey_HW in pictures.small_grey_THW])
    mean_T, deviation_T, bright_T, dark_T = each.T
    return {
        "brightness": float(mean_T.mean()),
        "contrast": float(deviation_T.mean()),
        "overexposed_share": float(bright_T.mean()),
        "underexposed_share": float(dark_T.mean()),
        "bad_exposure_share": float(((bright_T > BAD_SHARE) | (dark_T > BAD_SHARE)).mean()),
    }


def _of_picture(grey_HW: Pixels) -> tuple[float, float, float, float]:
    """Mean, standard deviation, and the shares that are too bright and too dark."""
    levels = grey_HW.astype(np.float32)
    mean = float(levels.mean())
    levels -= mean
    deviation = math.sqrt(np.einsum("rc,rc", levels, levels) / levels.size)
    bright, dark = (np.count_nonzero(those) / levels.size for those in (grey_HW > 250, grey_HW < 5))
    return mean, deviation, bright, dark
