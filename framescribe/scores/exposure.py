"""Brightness, and what is too bright or too dark to show anything.

UltraVideo (arXiv 2506.13691) takes a frame as badly exposed when more than 12 % of its points are above 250 of 255, or
below 5, and drops a clip when more than 5 % of its frames are; Allegro (arXiv 2410.15458) keeps a mean brightness of 20
to 180.
"""

from __future__ import annotations

import numpy as np

from framescribe.scores.luma import luma
from framescribe.scores.pictures import ClipPictures

BAD_SHARE = 0.12


def measure(pictures: ClipPictures) -> dict[str, float]:
    luma_THW = luma(pictures.small_THW3)
    bright_T = (luma_THW > 250).mean((1, 2))
    dark_T = (luma_THW < 5).mean((1, 2))
    return {
        "brightness": float(luma_THW.mean()),
        "contrast": float(luma_THW.reshape(len(luma_THW), -1).std(1, dtype=np.float32).mean()),
        "overexposed_share": float(bright_T.mean()),
        "underexposed_share": float(dark_T.mean()),
        "bad_exposure_share": float(((bright_T > BAD_SHARE) | (dark_T > BAD_SHARE)).mean()),
    }
