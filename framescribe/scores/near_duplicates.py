"""Which clips of a set are copies of one another, by their fingerprints.

A copy shows the same picture, maybe a little less of it, and the same happens in it: the mean pictures have to agree,
and so has what changes about them, everywhere, so that other clips of the same scene are no copies. ``nearest.py`` says
which clips to compare.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.fingerprint import SIDE, shares
from framescribe.scores.nearest import candidates

Floats = NDArray[np.float32]

FLAT_LEVELS = 3.0
"""A clip whose brightness varies less, in levels of 255, is of one colour: it has nothing that could be compared."""

STILL_LEVELS = 0.6
"""A clip in which the changes have a smaller root mean square is still: coding alone changes less."""

LEAST_STILL = 0.97
"""Least correlation of mean pictures where nothing changes."""

LEAST_PICTURE, LEAST_CHANGE = (0.95, 0.99), (0.9, 0.75)
"""Least correlations of mean pictures, and of the changes about them: either the first ones, where no part of the
picture changes otherwise, or the second ones, where no part of the picture is another."""

MOST_OTHER_CHANGE, MOST_OTHER_PICTURE, MOST_OTHER_STILL = 0.55, 0.25, 0.45
"""By how much a sixteenth of the picture may differ, as a share of the whole one's deviation. Another subject before
the same background differs in one place only, which a correlation of all places hardly shows."""

_INNER, _BLOCK = 16, 4  # pixels of a side at which cuts, and parts of them, are compared
_CUTS = tuple((left / 40, right / 40) for left in range(6) for right in range(6) if left + right <= 5)
"""How much of a picture's width or height may be cut away, in all pairs of steps: an eighth at most."""
_COARSE_CUTS = ((0.0, 0.0), (0.0, 0.1), (0.1, 0.0), (0.05, 0.05))
_BEST_CUTS = 4
_AT_ONCE = 64


def near_duplicates(fingerprints_NKSS: NDArray[np.float16]) -> NDArray[np.int64]:
    """int64 [N]: for each clip the first one of its copies, itself included; -1 for clips of one colour.

    Copies of copies are copies: a group is whatever hangs together.

    Args:
        fingerprints_NKSS: of N clips, by ``fingerprint``.
    """
    flat = np.array([each.std(dtype=np.float32) < FLAT_LEVELS for each in fingerprints_NKSS], bool)
    places = np.flatnonzero(~flat)
    first = np.where(flat, -1, np.arange(len(flat)))

    def described(part: slice, with_cuts: bool) -> Floats:
        return _described(fingerprints_NKSS[places[part]], _COARSE_CUTS if with_cuts else _COARSE_CUTS[:1])

    for pairs in candidates(described, len(places)):
        for start in range(0, len(pairs), _AT_ONCE):
            some = places[pairs[start : start + _AT_ONCE]]
            one, other = fingerprints_NKSS[some.T].astype(np.float32)
            for a, b in some[are_copies(one, other) | are_copies(other, one)]:
                roots = sorted((_root(first, int(a)), _root(first, int(b))))
                first[roots[1]] = roots[0]
    return np.array([_root(first, each) if first[each] >= 0 else -1 for each in range(len(first))], np.int64)


def are_copies(whole_PKSS: Floats, part_PKSS: Floats) -> NDArray[np.bool_]:
    """bool [P]: whether some cut of the first clip of each pair agrees with the whole second one."""
    across = _matrices(_CUTS)
    mean, change = _parted(_cut(part_PKSS, across[:1])[:, 0])
    number = len(_CUTS)
    of_pictures = _cut(whole_PKSS.mean(1, keepdims=True), across).reshape(len(mean), number * number, -1)
    of_pictures -= of_pictures.mean(-1, keepdims=True)
    alike = _correlation(of_pictures, mean[:, None])
    best = np.argpartition(alike, -_BEST_CUTS, axis=1)[:, -_BEST_CUTS:]
    rows, columns = across[best // number], across[best % number]
    cuts = np.einsum("pvai,pkij,pvbj->pvkab", rows, whole_PKSS, columns, optimize=True)
    means, changes = _parted(cuts)
    same_picture, same_change = _correlation(means, mean[:, None]), _correlation(changes, change[:, None])
    levels = _rms(changes), _rms(change)[:, None]
    low, high = np.minimum(*levels), np.maximum(*levels)
    other_picture = _most_other(means, mean) / np.maximum(_rms(mean)[:, None], 1e-6)
    other_change = _most_other(changes, change) / np.maximum(levels[1], STILL_LEVELS)
    is_still = low < STILL_LEVELS
    still = is_still & (high < 2 * STILL_LEVELS) & (same_picture >= LEAST_STILL)
    still &= other_picture <= MOST_OTHER_STILL
    ways = [
        (same_picture >= picture) & (same_change >= least) & is_alike
        for picture, least, is_alike in zip(
            LEAST_PICTURE,
            LEAST_CHANGE,
            (other_change <= MOST_OTHER_CHANGE, other_picture <= MOST_OTHER_PICTURE),
            strict=True,
        )
    ]
    moving = ~is_still & (ways[0] | ways[1])
    return np.asarray((still | moving).any(1))


def _most_other(cuts: Floats, part: Floats) -> Floats:
    """float32 [P, V]: the most that a sixteenth of the picture differs, root mean square, when both have one level.

    Args:
        cuts: [P, V, K * Y * X] of several cuts.
        part: [P, K * Y * X] of what they are compared with.
    """
    gain = (cuts * part[:, None]).sum(-1) / np.maximum((cuts**2).sum(-1), 1e-6)
    blocks = (-1, _INNER // _BLOCK, _BLOCK, _INNER // _BLOCK, _BLOCK)
    squared = ((gain[..., None] * cuts - part[:, None]) ** 2).reshape(*cuts.shape[:2], *blocks)
    return np.asarray(np.sqrt(squared.mean((2, 4, 6)).max((-2, -1))))


def _rms(values: Floats) -> Floats:
    return np.asarray(np.sqrt((values**2).mean(-1)))


def _described(fingerprints_NKSS: NDArray[np.float16], cuts: tuple[tuple[float, float], ...]) -> Floats:
    """float32 [N, cuts * cuts, features]: of length 1."""
    mean, change = _parted(_cut(fingerprints_NKSS.astype(np.float32), _matrices(cuts)))
    coarse = change.reshape(*change.shape[:2], -1, _INNER // 2, 2, _INNER // 2, 2).mean((-3, -1))
    coarse = coarse.reshape(*change.shape[:2], -1)
    is_still = _rms(change)[..., None] < STILL_LEVELS
    both = np.concatenate([_unit(mean), np.where(is_still, 0, _unit(coarse))], axis=-1)
    return _unit(both)


def _matrices(cuts: tuple[tuple[float, float], ...]) -> Floats:
    """float32 [cuts, _INNER, SIDE]: take a line's cuts, blurred so that a shift by less than a step matters little."""
    blur = np.eye(_INNER) * 2 + np.eye(_INNER, k=1) + np.eye(_INNER, k=-1)
    blur /= blur.sum(1, keepdims=True)
    taken = [blur @ shares(SIDE, left * SIDE, SIDE - right * SIDE, _INNER) for left, right in cuts]
    return np.stack(taken).astype(np.float32)


def _cut(clips_NKSS: Floats, across: Floats) -> Floats:
    """float32 [N, cuts * cuts, K, _INNER, _INNER]: each cut of the height with each of the width."""
    number, parts = clips_NKSS.shape[:2]
    lines = across.reshape(-1, SIDE)
    # Two large products: many small ones wait for each other's threads.
    columns = (clips_NKSS.reshape(-1, SIDE) @ lines.T).reshape(number * parts, SIDE, -1)
    both = lines @ columns.swapaxes(0, 1).reshape(SIDE, -1)
    apart = both.reshape(len(across), _INNER, number, parts, len(across), _INNER).transpose(2, 0, 4, 3, 1, 5)
    return np.ascontiguousarray(apart).reshape(number, -1, parts, _INNER, _INNER)


def _parted(clips: Floats) -> tuple[Floats, Floats]:
    """Of clips [..., K, Y, X]: the mean picture about its own mean [..., Y * X], and each part's difference to it."""
    mean = clips.mean(-3, keepdims=True)
    change = (clips - mean).reshape(*clips.shape[:-3], -1)
    mean = mean.reshape(*clips.shape[:-3], -1)
    return mean - mean.mean(-1, keepdims=True), change


def _correlation(one: Floats, other: Floats) -> Floats:
    return np.asarray((_unit(one) * _unit(other)).sum(-1))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6))


def _root(first: NDArray[np.int64], place: int) -> int:
    while first[place] != place:
        first[place] = first[first[place]]
        place = int(first[place])
    return place
