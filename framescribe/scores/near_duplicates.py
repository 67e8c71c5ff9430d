"""Which clips of a set are copies of one another, by their fingerprints.

A copy shows the same picture, maybe a little less of it, and the same happens in it: the mean pictures have to agree,
so has what changes about them, and the mean colour, everywhere, so that other clips of the same scene are no copies.
``nearest.py`` says which clips to compare, and ``grouping.py`` which make a group.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from framescribe.scores.fingerprint import PARTS, SIDE, shares
from framescribe.scores.grouping import grouped
from framescribe.scores.nearest import candidates

Floats = NDArray[np.float32]

FLAT_LEVELS = 3.0
"""A clip whose brightness varies less, in levels of 255, is of one colour: it has nothing that could be compared."""

STILL_LEVELS = 0.6
"""A clip in which the changes have a smaller root mean square is still: coding alone changes less."""

MOST_PICTURE, MOST_CHANGE, MOST_COLOUR = (4.8, 0.23), (0.48, 1.33), (3.45, 0.52)
"""By how much a sixteenth of the mean picture, of the changes about it, and of the mean colour differs at most between
copies, root mean square: levels of 255, which coding costs however faint a clip is, and a share: of the steps from
pixel to pixel, for cuts that lie a part of a pixel apart, and of the changes' root mean square, for moments that do.
Another subject before the same background differs in one place only, which a correlation of all places hardly shows."""

MOST_CHANGE_IN_ALL = 0.7, 0.31
"""The same of all changes: most of them may be in one sixteenth, and another moment's are others."""

MOST_GAIN, MOST_LIGHTER = 1.25, 20.0
"""How much more contrast or saturation, and how much lighter in levels, a copy is at most. A video whose range was
taken for another has 1.16 times the contrast."""

_INNER, _BLOCK = 16, 4  # pixels of a side at which cuts, and parts of them, are compared
_CUTS = tuple((left / 40, right / 40) for left in range(6) for right in range(6) if left + right <= 5)
"""How much of a picture's width or height may be cut away, in all pairs of steps: an eighth at most."""
_FINE_CUTS = tuple((left / 80, right / 80) for left in range(12) for right in range(12))
_NEAR_CUTS = np.array(
    [
        [
            12 * max(0, round(80 * left) + more_left) + max(0, round(80 * right) + more_right)
            for more_left in (-1, 0, 1)
            for more_right in (-1, 0, 1)
        ]
        for left, right in _CUTS
    ]
)
"""Of each cut the numbers of the fine ones about it."""
_COARSE_CUTS = ((0.0, 0.0), (0.0, 0.1), (0.1, 0.0), (0.05, 0.05))
_BEST_CUTS = 4
_AT_ONCE = 64


def near_duplicates(fingerprints_NKSS: NDArray[np.float16]) -> NDArray[np.int64]:
    """int64 [N]: for each clip the first one of its copies, itself included; -1 for clips of one colour.

    Args:
        fingerprints_NKSS: of N clips, by ``fingerprint``.
    """
    parts = [
        fingerprints_NKSS[start : start + _AT_ONCE] for start in range(0, len(fingerprints_NKSS), _AT_ONCE)
    ]
    deviations = [part[:, :PARTS].astype(np.float32).std((1, 2, 3)) for part in parts]
    places = np.flatnonzero(np.concatenate([*deviations, np.empty(0)]) >= FLAT_LEVELS)

    def described(part: slice, with_cuts: bool) -> Floats:
        return _described(fingerprints_NKSS[places[part]], _COARSE_CUTS if with_cuts else _COARSE_CUTS[:1])

    def differ(pairs_P2: NDArray[np.int64]) -> Floats:
        parts = [places[pairs_P2[start : start + _AT_ONCE]] for start in range(0, len(pairs_P2), _AT_ONCE)]
        found = [differences(*fingerprints_NKSS[some.T].astype(np.float32)) for some in parts]
        return np.concatenate([*found, np.empty(0, np.float32)])

    pairs_P2 = candidates(described, len(places))
    first = np.full(len(fingerprints_NKSS), -1)
    first[places] = places[grouped(pairs_P2, differ(pairs_P2), len(places), differ)]
    return first


def differences(one_PKSS: Floats, other_PKSS: Floats) -> Floats:
    """float32 [P]: by how much the clips of each pair differ, at most 1 where they are copies: one shows what the other
    does, or a cut of it.
    """
    found = _differences_of_cuts(one_PKSS, other_PKSS)
    apart = np.flatnonzero(found > 1)
    if len(apart):
        found[apart] = np.minimum(found[apart], _differences_of_cuts(other_PKSS[apart], one_PKSS[apart]))
    return found


def _differences_of_cuts(whole_PKSS: Floats, part_PKSS: Floats) -> Floats:
    """float32 [P]: by how much the best cut of the first clip of each pair differs from the whole second one."""
    mean, change, colour = _parted(_cut(part_PKSS, _matrices(_CUTS[:1]))[:, 0])
    means, changes, colours = _parted(_best_cuts(whole_PKSS, mean))
    of_picture = _other(means, mean)[0] / _limit(MOST_PICTURE, _steps(mean))
    of_colour = _other(colours, colour)[0] / _limit(MOST_COLOUR, _steps(colour))
    in_place, in_all = _other(changes, change)
    levels = np.maximum(_rms(change), STILL_LEVELS)
    of_change = in_place / _limit(MOST_CHANGE, levels)
    of_all_change = in_all / _limit(MOST_CHANGE_IN_ALL, levels)
    lighter = np.abs((part_PKSS - whole_PKSS)[:, :PARTS].mean((1, 2, 3)))
    is_graded = _is_graded(means, mean, 1) | _is_graded(colours, colour, MOST_COLOUR[0])
    is_graded |= lighter[:, None] > MOST_LIGHTER
    differ = np.max([of_picture, of_colour, of_change, of_all_change], axis=0)
    return np.asarray(np.where(is_graded, np.inf, differ).min(1), np.float32)


def _limit(most: tuple[float, float], levels_P: Floats) -> Floats:
    return np.asarray(most[0] + most[1] * levels_P[:, None])


def _is_graded(cuts: Floats, part: Floats, faint: float) -> NDArray[np.bool_]:
    """bool [P, V]: whether contrast or saturation is another one, by more than the levels of what has none."""
    low, high = (way(_rms(part)[:, None], _rms(cuts)) for way in (np.minimum, np.maximum))
    return np.asarray(high > MOST_GAIN * low + faint)


def _best_cuts(whole_PKSS: Floats, mean_PF: Floats) -> Floats:
    """float32 [P, V, K, Y, X]: the cuts whose mean pictures are most like the other clip's, in coarse steps, and in
    fine ones about the best of these.
    """
    pictures_PSS, pair = whole_PKSS[:, :PARTS].mean(1), np.arange(len(mean_PF))[:, None]
    across, fine, number = _matrices(_CUTS), _matrices(_FINE_CUTS), len(_CUTS)
    of_pictures = _cut(pictures_PSS[:, None], across).reshape(len(mean_PF), number * number, -1)
    best = _most_alike(of_pictures, mean_PF)
    coarse = across[best // number], across[best % number]
    near = [fine[_NEAR_CUTS[each]] for each in (best[:, -1] // number, best[:, -1] % number)]
    steps = _NEAR_CUTS.shape[1]
    of_pictures = (near[0] @ pictures_PSS[:, None])[:, :, None] @ near[1][:, None].swapaxes(-1, -2)
    best = _most_alike(of_pictures.reshape(len(mean_PF), steps * steps, -1), mean_PF)
    rows = np.concatenate([coarse[0], near[0][pair, best // steps]], axis=1)
    columns = np.concatenate([coarse[1], near[1][pair, best % steps]], axis=1)
    return np.asarray(rows[:, :, None] @ whole_PKSS[:, None] @ columns[:, :, None].swapaxes(-1, -2))


def _most_alike(of_pictures: Floats, mean_PF: Floats) -> NDArray[np.int64]:
    """int64 [P, _BEST_CUTS]: which of pictures [P, V, F] correlate best with others, the best one last."""
    alike = _correlation(of_pictures - of_pictures.mean(-1, keepdims=True), mean_PF[:, None])
    return np.argpartition(alike, (-_BEST_CUTS, -1), axis=1)[:, -_BEST_CUTS:]


def _other(cuts: Floats, part: Floats) -> tuple[Floats, Floats]:
    """float32 [P, V]: the most that a sixteenth of the picture differs, wherever it lies, and how much all of it does:
    root mean square, at one contrast.

    Args:
        cuts: [P, V, K * Y * X] of several cuts.
        part: [P, K * Y * X] of what they are compared with.
    """
    gain = (cuts * part[:, None]).sum(-1) / np.maximum((cuts**2).sum(-1), 1e-6)
    squared = (gain[..., None] * cuts - part[:, None]) ** 2
    squared = squared.reshape(*cuts.shape[:2], -1, _INNER, _INNER).mean(2)
    places = np.lib.stride_tricks.sliding_window_view(squared, (_BLOCK, _BLOCK), axis=(-2, -1))
    return np.sqrt(places.mean((-2, -1)).max((-2, -1))), np.sqrt(squared.mean((-2, -1)))


def _steps(mean_PF: Floats) -> Floats:
    """float32 [P]: root mean square of the differences of neighbours, down and across."""
    pictures = mean_PF.reshape(len(mean_PF), -1, _INNER, _INNER)
    return np.asarray(np.sqrt(sum((np.diff(pictures, axis=axis) ** 2).mean((1, 2, 3)) for axis in (2, 3))))


def _rms(values: Floats) -> Floats:
    return np.asarray(np.sqrt((values**2).mean(-1)))


def _described(fingerprints_NKSS: NDArray[np.float16], cuts: tuple[tuple[float, float], ...]) -> Floats:
    """float32 [N, cuts * cuts, features]: of length 1."""
    mean, change, _ = _parted(_cut(fingerprints_NKSS[:, :PARTS].astype(np.float32), _matrices(cuts)))
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


def _parted(clips: Floats) -> tuple[Floats, Floats, Floats]:
    """Of clips [..., K, Y, X]: the mean picture about its own mean [..., Y * X], each part's difference to it, and the
    colour.
    """
    grey, colour = clips[..., :PARTS, :, :], clips[..., PARTS:, :, :]
    mean = grey.mean(-3, keepdims=True)
    change = (grey - mean).reshape(*clips.shape[:-3], -1)
    mean = mean.reshape(*clips.shape[:-3], -1)
    return mean - mean.mean(-1, keepdims=True), change, colour.reshape(*clips.shape[:-3], -1)


def _correlation(one: Floats, other: Floats) -> Floats:
    return np.asarray((_unit(one) * _unit(other)).sum(-1))


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6))
