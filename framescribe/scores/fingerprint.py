"""A clip's fingerprint: what is compared to find copies of it, however coded, scaled, cropped a little or retimed.

Eight small grey pictures, each the mean of an eighth of the clip's time, so that a constant change of speed leaves them
as they are, and the mean colour of all of it; black borders are left out. ``near_duplicates.py`` compares them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures

FEATURES_OF = "fingerprint-4"
"""The name under which fingerprints are kept among a dataset's features; the scorer's version is its number."""

PARTS, SIDE = 8, 20
PLANES = PARTS + 2
"""The grey pictures, and two of colour."""

_CHROMA = np.array([[-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32)
"""BT.601's, of red, green and blue at full range."""

_FEWEST = 4  # pixels that a picture is high and wide within its borders
_BLACK, _EVEN = 24, 8
"""A border is no lighter than the first, and varies no more along its length than the second, in every frame."""


def measure(pictures: ClipPictures) -> Mapping[str, float]:
    """No score: a fingerprint says nothing alone."""
    return {}


def features(pictures: ClipPictures) -> NDArray[np.float16]:
    """float16 [PLANES, SIDE, SIDE], in levels of 255: the clip's brightness in each part of its time, then by how much
    blue and red exceed it over the whole time (BT.601's Cb and Cr, 0 for grey); at each place of the picture.
    """
    grey_NHW = pictures.tiny_NHW.astype(np.float32)
    borders = _within_borders(grey_NHW)
    over = max(pictures.looked_at_s, float(pictures.tiny_s[-1]) + 1e-3)
    shown_until_s = np.append(pictures.tiny_s[1:], over)
    parts = np.linspace(0, over, PARTS + 1)
    weights = overlaps(parts[:-1], parts[1:], np.append(0.0, shown_until_s[:-1]), shown_until_s)
    grey_KSS = np.tensordot(weights, _reduced(grey_NHW, borders), 1)
    colour_3SS = _reduced(_mean_colour(pictures, over), borders)
    return np.concatenate([grey_KSS, np.tensordot(_CHROMA, colour_3SS, 1)]).astype(np.float16)


def _reduced(
    pictures_NHW: NDArray[np.float32], borders: tuple[float, float, float, float]
) -> NDArray[np.float32]:
    """float32 [N, SIDE, SIDE]: the means of what lies within borders, which are shares of height and width."""
    height, width = pictures_NHW.shape[1:]
    top, bottom, left, right = borders
    down = shares(height, height * top, height * bottom, SIDE)
    across = shares(width, width * left, width * right, SIDE)
    return np.asarray(down @ pictures_NHW @ across.T)


def _mean_colour(pictures: ClipPictures, over_s: float) -> NDArray[np.float32]:
    """float32 [3, H, W]: mean over the time, of which each small picture has what is nearest to it."""
    ends = np.append((pictures.small_s[1:] + pictures.small_s[:-1]) / 2, over_s)
    weights_T = np.diff(ends, prepend=0.0).astype(np.float32) / np.float32(over_s)
    # Picture by picture: fresh memory for whole clips costs more than the arithmetic.
    mean_HW3 = np.zeros(pictures.small_THW3.shape[1:], np.float32)
    for weight, picture_HW3 in zip(weights_T, pictures.small_THW3, strict=True):
        mean_HW3 += weight * picture_HW3
    return mean_HW3.transpose(2, 0, 1)


def shares(pixels: int, start: float, end: float, count: int) -> NDArray[np.float32]:
    """float32 [count, pixels]: takes the means of ``count`` equal stretches between two places on a line of pixels."""
    places = np.arange(float(pixels))
    edges = np.linspace(start, end, count + 1)
    return overlaps(edges[:-1], edges[1:], places, places + 1).astype(np.float32)


def overlaps(
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    begins: NDArray[np.float64],
    ends: NDArray[np.float64],
) -> NDArray[np.float64]:
    """float64 [stretches, pieces]: the share of each stretch that lies in each piece."""
    common = np.minimum(end[:, None], ends) - np.maximum(start[:, None], begins)
    lengths = np.maximum(common, 0)
    return np.asarray(lengths / np.maximum(lengths.sum(1, keepdims=True), 1e-9))


def _within_borders(grey_NHW: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Where what is no black border begins and ends, down and across, in shares of the height and width."""
    found: list[float] = []
    for along in (2, 1):
        # Sums of whole numbers, which float32 holds.
        mean_NL = grey_NHW.sum(along).astype(np.float64) / grey_NHW.shape[along]
        square_NL = np.einsum("nij,nij->nj" if along == 1 else "nij,nij->ni", grey_NHW, grey_NHW)
        variance_NL = square_NL.astype(np.float64) / grey_NHW.shape[along] - mean_NL**2
        black = (mean_NL.max(0) < _BLACK) & (variance_NL.max(0) < _EVEN**2)
        inside = np.flatnonzero(~black)
        if len(inside) < _FEWEST:
            found += [0.0, 1.0]
            continue
        first, last = int(inside[0]), int(inside[-1])
        light = mean_NL.mean(0)
        # A border ends within a pixel, which is darker than its neighbour by as much as the border takes of it.
        start = first + (first > 0) * (1 - min(1.0, light[first] / max(1.0, light[first + 1])))
        end = last + 1 - (last + 1 < len(black)) * (1 - min(1.0, light[last] / max(1.0, light[last - 1])))
        found += [start / len(black), end / len(black)]
    return found[0], found[1], found[2], found[3]
