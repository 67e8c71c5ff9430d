"""Which of many vectors are near enough to be compared closely, without comparing all with all.

Vectors are shortened to their principal components and sorted into cells around k-means' centres; each is then compared
with what is in the cells nearest to it (inverted lists, as in Jégou, Douze, Schmid, *Product quantization for nearest
neighbor search*, 2011).
"""

from __future__ import annotations

from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEAST_SIMILARITY = 0.8
"""Least cosine of two vectors that are near."""

_DIMENSIONS, _PROBES, _NEAREST = 64, 8, 7  # itself among the nearest
_SAMPLE, _ROUNDS = 20_000, 6
_RUNS, _RUN = 16, 256
_ONE_CELL = 4096
"""So few vectors are compared all with all."""
_AT_ONCE = 512


class Described(Protocol):
    """Gives what is compared of some vectors."""

    def __call__(self, part: slice, with_variants: bool, /) -> Floats:
        """float32 [n, variants, features], each of length 1: the first variant of each, or all."""


def candidates(described: Described, count: int) -> NDArray[np.int64]:
    """int64 [P, 2]: pairs of near vectors, the lower number first, each pair once, in ascending order.

    Args:
        described: each variant of a vector asks for what is near; the first one is what is found.
        count: how many vectors there are.
    """
    pairs = [np.empty((0, 2), np.int64)]
    if count < 2:
        return pairs[0]
    rng = np.random.default_rng(0)
    sample = np.concatenate([described(slice(at, at + _RUN), False)[:, 0] for at in _spread(count)])
    basis = np.linalg.eigh(sample.T @ sample)[1][:, -_DIMENSIONS:]
    parts = [slice(start, start + _AT_ONCE) for start in range(0, count, _AT_ONCE)]
    found = np.concatenate([_unit(described(part, False)[:, 0] @ basis) for part in parts])
    centres = _centres(found, rng)
    cell_of = _nearest_cells(found, centres, 1)[:, 0]
    order = np.argsort(cell_of, kind="stable")
    bounds = np.searchsorted(cell_of[order], np.arange(len(centres) + 1))
    cells = [order[start:end] for start, end in pairwise(bounds)]
    for part in parts:
        asking = _unit(described(part, True) @ basis)
        variants = asking.shape[1]
        asking = asking.reshape(-1, asking.shape[-1])
        who = np.repeat(np.arange(part.start, part.start + len(asking) // variants), variants)
        near = pairs[:1]
        probed = _nearest_cells(asking, centres, min(_PROBES, len(centres)))
        in_turn = np.argsort(probed, axis=None, kind="stable")
        starts = np.searchsorted(probed.ravel()[in_turn], np.arange(len(cells) + 1))
        for cell, (start, end) in zip(cells, pairwise(starts), strict=True):
            rows = in_turn[start:end] // probed.shape[1]
            if len(rows) and len(cell):
                near.append(_near(asking[rows], who[rows], found[cell], cell))
        pairs.append(np.unique(np.concatenate(near), axis=0))
    return np.unique(np.concatenate(pairs), axis=0)


def _near(
    asking: Floats, who: NDArray[np.int64], found: Floats, cell: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Of each asking vector the nearest others that are near, as pairs."""
    alike = asking @ found.T
    is_near = alike >= LEAST_SIMILARITY
    crowded = np.flatnonzero(is_near.sum(1) > _NEAREST)
    is_near[crowded] = False
    best = np.argpartition(alike[crowded], -_NEAREST, axis=1)[:, -_NEAREST:] if len(crowded) else crowded
    row, column = np.nonzero(is_near)
    one = np.concatenate([who[row], who[crowded].repeat(_NEAREST)])
    other = cell[np.concatenate([column, best.ravel()])]
    return np.sort(np.stack([one, other], axis=1)[one != other], axis=1)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6))


def _spread(count: int) -> list[int]:
    """Where runs of ``_RUN`` vectors start, over all of them."""
    starts = np.linspace(0, max(0, count - _RUN), _RUNS).astype(np.int64)
    return [int(start) for start in np.unique(starts)]


def _centres(vectors: Floats, rng: np.random.Generator) -> Floats:
    """float32 [cells, dimensions]: of spherical k-means on a sample."""
    number = 1 if len(vectors) <= _ONE_CELL else round(len(vectors) ** 0.5)
    sample = rng.permutation(vectors)[: max(_SAMPLE, 16 * number)]
    centres = sample[:number].copy()
    for _ in range(_ROUNDS):
        nearest = _nearest_cells(sample, centres, 1)[:, 0]
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        centres = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
    return centres


def _nearest_cells(vectors: Floats, centres: Floats, number: int) -> NDArray[np.int64]:
    """int64 [N, number]: the cells whose centres are most alike."""
    parts = []
    for start in range(0, len(vectors), _AT_ONCE):
        alike = vectors[start : start + _AT_ONCE] @ centres.T
        parts.append(np.argpartition(alike, -number, axis=1)[:, -number:])
    return np.concatenate(parts)
