"""Motion as the encoder saw it: the vectors with which H.264 and MPEG-4 pictures refer to others.

As NVIDIA's curation of Cosmos measures it (arXiv 2501.03575, section 3.3; cosmos-curate's motion filter): each vector
fills its block, blocks without one stand still, and lengths are divided by the picture's width plus height. Pictures
that carry no vectors (keyframes) do not count. Where the published code takes the first half of a clip, this takes all
that is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.pictures import ClipPictures

PATCH_PX = 256
"""One point stands for a patch of so many pixels each way, as in the published code."""

_CELL_PX = 8
"""Blocks are multiples of this, and lie on its grid."""


def measure(pictures: ClipPictures) -> Mapping[str, float]:
    """Mean length over all pixels, the least of the patches' means, and the mean length of a vector in pixels."""
    width, height = pictures.coded_size
    coded = [vectors for vectors in pictures.vectors if len(vectors)]
    if not coded or min(width, height) < 1:
        names = ("motion_vector_mean", "motion_vector_patch_min", "motion_vector_px")
        return dict.fromkeys(names, math.nan)
    lengths_YX = np.mean([_lengths(vectors, width, height) for vectors in coded], axis=0)
    area_YX = np.outer(_inside(height), _inside(width))
    whole = width + height
    patches = lengths_YX[np.ix_(_centres(height).ravel(), _centres(width).ravel())]
    patches = patches.reshape(-1, 2, patches.shape[1] // 2, 2).mean((1, 3))
    return {
        "motion_vector_mean": float((lengths_YX * area_YX).sum() / (width * height) / whole),
        "motion_vector_patch_min": float(patches.min() / whole),
        "motion_vector_px": float(np.concatenate([_length(vectors) for vectors in coded]).mean()),
    }


def _lengths(vectors: NDArray[np.int32], width: int, height: int) -> NDArray[np.float64]:
    """float64 [Y, X]: the movement of each cell in pixels; of two vectors of a block the last one's."""
    across, down = -(-width // _CELL_PX), -(-height // _CELL_PX)
    lengths_YX = np.zeros((down, across))
    length = _length(vectors)
    x, y = ((vectors[:, :2] - vectors[:, 2:4] // 2) // _CELL_PX).T
    columns, rows = np.maximum(1, vectors[:, 2:4] // _CELL_PX).T
    for right, below in np.ndindex(columns.max(), rows.max()):
        has = (columns > right) & (rows > below)
        places = np.clip(y[has] + below, 0, down - 1), np.clip(x[has] + right, 0, across - 1)
        lengths_YX[places] = length[has]
    return lengths_YX


def _length(vectors: NDArray[np.int32]) -> NDArray[np.float64]:
    """float64 [M], in pixels: vectors come in quarters of them."""
    return np.hypot(vectors[:, 4], vectors[:, 5]) / 4


def _inside(side: int) -> NDArray[np.int64]:
    """How many pixels of each cell are within the picture."""
    return np.minimum(_CELL_PX, side - np.arange(0, side, _CELL_PX))


def _centres(side: int) -> NDArray[np.int64]:
    """int64 [patches, 2]: the cells of the two pixels in the middle of each patch."""
    count = max(1, round(side / PATCH_PX))
    middle = np.arange(count)[:, None] * PATCH_PX + PATCH_PX // 2 - np.array([1, 0])
    return np.asarray(np.minimum(middle, side - 1) // _CELL_PX)
