"""Ridge logistic regression, cross-validated and calibrated.

A few hundred labels decide thousands of weights: the penalty is chosen by cross-validation, and so are the two numbers
that turn its logits into probabilities (Platt 1999), so that none is fitted to what it is judged by.

Shape legend: N clips, D features, R principal axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float32]]
Doubles = np.ndarray[Any, np.dtype[np.float64]]
Ints = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

FOLDS = 5
THRESHOLD = 0.5
"""Probability from which a clip counts as having the label."""
_PENALTIES = (0.001, 0.01, 0.1, 1.0)
_BINS = 10
_MOST_AXES = 1024
_MOST_STEPS, _LEAST_STEP, _TOLERANCE = 50, 1e-4, 1e-9


@dataclass(frozen=True, slots=True)
class HeldOut:
    """How a head does on clips that it was not taught with, by cross-validation.

    Attributes:
        positives, negatives: labelled clips.
        auc: probability that a clip with the label scores above one without.
        precision: share with the label of the clips at or above the threshold; 0 where there are none.
        recall: share at or above the threshold of the clips with the label.
        calibration_error: mean difference between probability and share with the label, over ten bins of equally many
            clips.
    """

    positives: int
    negatives: int
    auc: float
    precision: float
    recall: float
    calibration_error: float


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """``sigmoid(x @ weight_D + bias)`` is the probability of the label, where ``x`` are features or hidden units.

    Hidden units are ``tanh(features @ hidden_HD.T + hidden_bias_H)``.
    """

    weight_D: Floats
    bias: float
    held_out: HeldOut
    hidden_HD: Floats | None = None
    hidden_bias_H: Floats | None = None


def fit(x_ND: Floats, is_positive_N: Bools, ends: Sequence[int] = ()) -> Fitted:
    """Fits one label; equal arguments give equal heads.

    Each part of the features has a regression of its own, with its own penalty, and another one weighs their logits
    (stacked generalization, Wolpert 1992): what a few numbers tell does not drown among thousands.

    Args:
        x_ND: features, at least ``FOLDS`` clips with the label and as many without.
        is_positive_N: whether each clip has the label.
        ends: of the parts that the features are made of, the last one's left out.
    """
    y_N, fold_N = is_positive_N.astype(float), folds(is_positive_N)
    fitted = [_fit_part(part_ND, y_N, fold_N) for part_ND in np.split(x_ND, ends, axis=1)]
    logits_NP = np.column_stack([each.logits_N for each in fitted])
    mean_P, scale_P = logits_NP.mean(0), logits_NP.std(0) + 1e-6
    share_P, bias, logits_N = _chosen((logits_NP - mean_P) / scale_P, y_N, fold_N)
    slope, offset = platt(logits_N, y_N)
    share_P *= slope / scale_P
    weight_D = np.concatenate([share * each.weight_D for share, each in zip(share_P, fitted, strict=True)])
    bias = slope * bias + offset + share_P @ (np.array([each.bias for each in fitted]) - mean_P)
    held_out = judge(calibrated(logits_N, y_N, fold_N), is_positive_N)
    return Fitted(weight_D.astype(np.float32), float(bias), held_out)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A regression on a part of the features, and its logits of clips that were held out."""

    weight_D: Doubles
    bias: float
    logits_N: Doubles


def _fit_part(x_ND: Floats, y_N: Doubles, fold_N: Ints) -> _Part:
    z_NR, axes_RD, mean_D = in_principal_axes(x_ND)
    weight_R, bias, logits_N = _chosen(z_NR, y_N, fold_N)
    weight_D = weight_R @ axes_RD
    return _Part(weight_D, bias - float(weight_D @ mean_D), logits_N)


def in_principal_axes(x_ND: Floats) -> tuple[Doubles, Doubles, Floats]:
    """Standardised features along the clips' own axes [N, R]; [R, D] that turns weights of these into weights of
    features; and the features' mean [D].

    A penalty on squared weights knows no directions: in these axes the best weights are the same ones.
    """
    mean_D, scale_D = x_ND.mean(0), x_ND.std(0) + 1e-6
    left_NR, lengths_R, axes_RD = np.linalg.svd((x_ND - mean_D) / scale_D, full_matrices=False)
    kept = slice(0, _MOST_AXES)
    return left_NR[:, kept].astype(float) * lengths_R[kept], axes_RD[kept].astype(float) / scale_D, mean_D


def _chosen(x_ND: Doubles, y_N: Doubles, fold_N: Ints) -> tuple[Doubles, float, Doubles]:
    """Weights and bias with the penalty that does best on held-out clips, and the logits of these."""
    tried = {penalty: _held_out_logits(x_ND, y_N, fold_N, penalty) for penalty in _PENALTIES}
    penalty = min(tried, key=lambda each: loss_when_calibrated(tried[each], y_N, fold_N))
    return *_minimize(x_ND, y_N, penalty), tried[penalty]


def judge(probability_N: Doubles, is_positive_N: Bools) -> HeldOut:
    """Measures of probabilities against labels of both kinds."""
    positives, negatives = int(is_positive_N.sum()), int((~is_positive_N).sum())
    chosen_N = probability_N >= THRESHOLD
    hits = int((chosen_N & is_positive_N).sum())
    bins = [part for part in np.array_split(np.argsort(probability_N, kind="stable"), _BINS) if len(part)]
    error = sum(len(part) * abs(probability_N[part].mean() - is_positive_N[part].mean()) for part in bins)
    return HeldOut(
        positives,
        negatives,
        _auc(probability_N, is_positive_N),
        hits / max(1, int(chosen_N.sum())),
        hits / positives,
        float(error / len(probability_N)),
    )


def _auc(score_N: Doubles, is_positive_N: Bools) -> float:
    """The Mann-Whitney statistic; equal scores count one half."""
    _, place_N, count = np.unique(score_N, return_inverse=True, return_counts=True)
    rank_N = (np.cumsum(count) - (count - 1) / 2)[place_N]
    positives, negatives = is_positive_N.sum(), (~is_positive_N).sum()
    over = rank_N[is_positive_N].sum() - positives * (positives + 1) / 2
    return float(over / (positives * negatives))


def folds(is_positive_N: Bools) -> Ints:
    """int64 [N]: the fold of each clip, as many of both kinds in each as can be."""
    rng = np.random.default_rng(0)
    fold_N = np.empty(len(is_positive_N), np.int64)
    for kind in (False, True):
        (places,) = np.nonzero(is_positive_N == kind)
        fold_N[rng.permutation(places)] = np.arange(len(places)) % FOLDS
    return fold_N


def _held_out_logits(z_NR: Doubles, y_N: Doubles, fold_N: Ints, penalty: float) -> Doubles:
    logits_N = np.empty_like(y_N)
    for fold in range(FOLDS):
        others = fold_N != fold
        weight_R, bias = _minimize(z_NR[others], y_N[others], penalty)
        logits_N[~others] = z_NR[~others] @ weight_R + bias
    return logits_N


def _minimize(x_ND: Doubles, y_N: Doubles, penalty: float) -> tuple[Doubles, float]:
    """Weights [D] and bias with the least mean cross-entropy and penalty on half the squared weights, by Newton's
    method with halved steps.
    """
    x = np.column_stack((x_ND, np.ones(len(x_ND))))
    ridge = np.append(np.full(x_ND.shape[1], penalty), 1e-9)
    beta = np.zeros(x.shape[1])
    loss = _loss(x, y_N, ridge, beta)
    for _ in range(_MOST_STEPS):
        probability_N = _sigmoid(x @ beta)
        gradient = x.T @ (probability_N - y_N) / len(x) + ridge * beta
        spread_N = probability_N * (1 - probability_N) / len(x)
        step = np.linalg.solve((x.T * spread_N) @ x + np.diag(ridge + 1e-9), gradient)
        length = 1.0
        while (tried := _loss(x, y_N, ridge, beta - length * step)) > loss and length > _LEAST_STEP:
            length /= 2
        if loss - tried < _TOLERANCE:
            break
        beta, loss = beta - length * step, tried
    return beta[:-1], float(beta[-1])


def _loss(x: Doubles, y_N: Doubles, ridge: Doubles, beta: Doubles) -> float:
    logits_N = x @ beta
    return float(np.mean(np.logaddexp(0, logits_N) - y_N * logits_N) + ridge @ beta**2 / 2)


def _sigmoid(logits_N: Doubles) -> Doubles:
    return np.exp(-np.logaddexp(0, -logits_N))


def platt(logits_N: Doubles, y_N: Doubles) -> tuple[float, float]:
    """Slope and offset; Platt's targets, a little off 0 and 1, so that perfect logits stay finite."""
    positives, number = y_N.sum(), len(y_N)
    targets_N = np.where(y_N > 0.5, (positives + 1) / (positives + 2), 1 / (number - positives + 2))
    scale = float(logits_N.std()) + 1e-6
    slope, offset = _minimize(logits_N[:, None] / scale, targets_N, 1e-6)
    if slope[0] > 0:
        return float(slope[0]) / scale, offset
    share = (
        targets_N.mean()
    )  # where held-out logits tell nothing, the share of the label is all that is known
    return 0.0, float(np.log(share / (1 - share)))


def calibrated(logits_N: Doubles, y_N: Doubles, fold_N: Ints) -> Doubles:
    """Probabilities of each fold by slope and offset of the others."""
    probability_N = np.empty_like(y_N)
    for fold in range(FOLDS):
        others = fold_N != fold
        slope, offset = platt(logits_N[others], y_N[others])
        probability_N[~others] = _sigmoid(slope * logits_N[~others] + offset)
    return probability_N


def loss_when_calibrated(logits_N: Doubles, y_N: Doubles, fold_N: Ints) -> float:
    probability_N = calibrated(logits_N, y_N, fold_N).clip(1e-12, 1 - 1e-12)
    return float(-np.mean(y_N * np.log(probability_N) + (1 - y_N) * np.log(1 - probability_N)))
