"""Which of many vectors are near enough to be compared closely, without comparing all with all.

Vectors are shortened to their principal components and sorted into cells around k-means' centres; each is then compared
with what is in the cells nearest to it (inverted lists, as in Jégou, Douze, Schmid, *Product quantization for nearest
neighbor search*, 2011).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEAST_SIMILARITY = 0.8
"""Least cosine of two vectors that are near."""

_DIMENSIONS, _PROBES, _NEAREST = 64, 8, 6
_SAMPLE, _ROUNDS = 20_000, 6
_RUNS, _RUN = 16, 256
_ONE_CELL = 4096
"""So few vectors are compared all with all."""
_AT_ONCE = 512


class Described(Protocol):
    """Gives what is compared of some vectors."""

    def __call__(self, part: slice, with_variants: bool, /) -> Floats:
        """float32 [n, variants, features], each of length 1: the first variant of each, or all."""


def candidates(described: Described, count: int) -> Iterator[NDArray[np.int64]]:
    """Pairs of near vectors, int64 [P, 2], the lower number first; each pair once in what is given at a time.

    Args:
        described: each variant of a vector asks for what is near; the first one is what is found.
        count: how many vectors there are.
    """
    if count < 2:
        return
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
        pairs = [np.empty((0, 2), np.int64)]
        probed = _nearest_cells(asking, centres, min(_PROBES, len(centres)))
        for number, cell in enumerate(cells):
            rows = np.flatnonzero((probed == number).any(1))
            if len(rows) and len(cell):
                pairs.append(_near(asking[rows], who[rows], found[cell], cell))
        yield np.unique(np.concatenate(pairs), axis=0)


def _near(
    asking: Floats, who: NDArray[np.int64], found: Floats, cell: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Of each asking vector the nearest others that are near, as pairs."""
    alike = asking @ found.T
    alike[who[:, None] == cell] = -1
    if len(cell) > _NEAREST:
        best = np.argpartition(alike, -_NEAREST, axis=1)[:, -_NEAREST:]
    else:
        best = np.broadcast_to(np.arange(len(cell)), alike.shape)
    row, rank = np.nonzero(np.take_along_axis(alike, best, 1) >= LEAST_SIMILARITY)
    return np.sort(np.stack([who[row], cell[best[row, rank]]], axis=1), axis=1)


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
