"""One hidden layer, cross-validated and calibrated as the regressions are (``logistic.py``).

Shape legend: N clips, D features, R principal axes, H hidden units, G networks that are trained together.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from framescribe.heads.logistic import (
    FOLDS,
    Bools,
    Doubles,
    Fitted,
    Floats,
    calibrated,
    folds,
    in_principal_axes,
    judge,
    loss_when_calibrated,
    platt,
)

_PENALTIES = (0.0003, 0.001, 0.003, 0.01)
_TRAINING_STEPS, _STEP_SIZE = 300, 0.03
STEPS = 2 * _TRAINING_STEPS
"""Of one label: of the networks of all folds at once, and of the one that is kept."""


def fit_hidden(
    x_ND: Floats, is_positive_N: Bools, units: int, step: Callable[[], None] = lambda: None
) -> Fitted:
    """Fits one label; equal arguments give equal heads.

    Args:
        x_ND: features, at least ``FOLDS`` clips with the label and as many without.
        is_positive_N: whether each clip has the label.
        units: how many hidden ones.
        step: called after each of ``STEPS`` steps.
    """
    y_N, fold_N = is_positive_N.astype(float), folds(is_positive_N)
    z_NR, axes_RD, mean_D = in_principal_axes(x_ND)
    length = x_ND.shape[1] ** 0.5  # of a clip's standardised features
    z_NR = z_NR / length
    is_taught_GN = np.tile(np.arange(FOLDS)[:, None] != fold_N, (len(_PENALTIES), 1))
    *_, logits_GN = _trained(z_NR, y_N, is_taught_GN, np.repeat(_PENALTIES, FOLDS), units, step)
    held_out_PN = (logits_GN * ~is_taught_GN).reshape(len(_PENALTIES), FOLDS, -1).sum(1)
    best = min(range(len(_PENALTIES)), key=lambda each: loss_when_calibrated(held_out_PN[each], y_N, fold_N))
    logits_N, everything_1N = held_out_PN[best], np.ones((1, len(y_N)), bool)
    hidden_1RH, start_1H, out_1H, bias_1, _ = _trained(
        z_NR, y_N, everything_1N, np.array(_PENALTIES[best : best + 1]), units, step
    )
    slope, offset = platt(logits_N, y_N)
    hidden_HD = hidden_1RH[0].T @ axes_RD / length
    return Fitted(
        (slope * out_1H[0]).astype(np.float32),
        float(slope * bias_1[0] + offset),
        judge(calibrated(logits_N, y_N, fold_N), is_positive_N),
        hidden_HD.astype(np.float32),
        (start_1H[0] - hidden_HD @ mean_D).astype(np.float32),
    )


def _trained(
    z_NR: Doubles,
    y_N: Doubles,
    is_taught_GN: Bools,
    penalty_G: Doubles,
    units: int,
    step: Callable[[], None],
) -> tuple[Doubles, ...]:
    """Weights [G, R, H] and biases [G, H] of the hidden units, weights [G, H] and biases [G] of the logits, and the
    logits [G, N] of all clips: G networks from one start, each taught with its own clips and penalty, by Adam.
    """
    draw, (number, axes) = torch.Generator().manual_seed(0), z_NR.shape
    groups, (z, y) = len(penalty_G), (torch.from_numpy(each).float() for each in (z_NR, y_N))
    shares = torch.from_numpy(is_taught_GN / is_taught_GN.sum(1, keepdims=True)).float()
    penalty = torch.from_numpy(penalty_G).float()
    starts = (
        torch.randn(axes, units, generator=draw),
        torch.zeros(units),
        torch.zeros(units),
        torch.zeros(()),
    )
    parameters = [each.expand(groups, *each.shape).clone().requires_grad_() for each in starts]
    optimizer = torch.optim.Adam(parameters, lr=_STEP_SIZE)

    def logits() -> Tensor:
        hidden, start, out, bias = parameters
        return torch.einsum("gnh,gh->gn", torch.tanh(z @ hidden + start[:, None]), out) + bias[:, None]

    for _ in range(_TRAINING_STEPS):
        optimizer.zero_grad()
        losses_GN = F.binary_cross_entropy_with_logits(logits(), y.expand(groups, number), reduction="none")
        squares = parameters[0].square().sum((1, 2)) / units + parameters[2].square().sum(1)
        ((losses_GN * shares).sum() + (penalty * squares).sum() / 2).backward()
        optimizer.step()
        step()
    return tuple(each.detach().double().numpy() for each in (*parameters, logits()))
