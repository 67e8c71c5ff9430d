"""Logits to the next tokens: greedy, or drawn, with the semantics of transformers' ``generate`` (order included).

Shape legend: B sequences, N drawn ones among them, W vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from framescribe.types import GenerationSettings


def is_plain_greedy(settings: GenerationSettings) -> bool:
    """Whether the next token is the argmax of unchanged logits."""
    return settings.temperature == 0 and settings.repetition_penalty == 1


class Dice:
    """The random numbers of one sequence, whatever its batch.

    Args:
        seed: of the draw.
        thrown: numbers that have been used.
    """

    def __init__(self, seed: int, thrown: int = 0) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        for _ in range(thrown):
            self.throw()

    def throw(self) -> float:
        """A number in [0, 1)."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))


def choose_tokens(
    logits_BW: Tensor,
    settings: Sequence[GenerationSettings],
    dice: Sequence[Dice],
    seen_BW: Tensor | None,
) -> Tensor:
    """The next token of each sequence, without waiting for the device.

    Args:
        logits_BW: of any float dtype.
        settings, dice: one for each sequence.
        seen_BW: bool, tokens that prompt or caption contain: the repetition penalty counts both, as in transformers.
            Needed where any sequence has a penalty; the chosen tokens are marked in it.

    Returns:
        int64 [B].
    """
    if logits_BW.device.type == "mps":
        # It has no fp64, which a sum over a whole vocabulary is drawn from.
        seen = None if seen_BW is None else seen_BW.cpu()
        tokens_B = choose_tokens(logits_BW.cpu(), settings, dice, seen).to(logits_BW.device)
        return tokens_B if seen_BW is None else _marked(tokens_B, seen_BW)
    device, scores_BW = logits_BW.device, logits_BW.float()
    if seen_BW is not None:
        penalties_B1 = _to_device([[each.repetition_penalty] for each in settings], device)
        scores_BW = penalise_repetition(scores_BW, seen_BW, penalties_B1)
    tokens_B = scores_BW.argmax(-1)
    if drawn := [row for row, each in enumerate(settings) if each.temperature > 0]:
        rows_N = torch.tensor(drawn).to(device, non_blocking=True)
        columns = [(settings[row].temperature, settings[row].top_p, dice[row].throw()) for row in drawn]
        temperature_N1, top_p_N1, thrown_N1 = _to_device(columns, device).split(1, dim=1)
        drawn_N = draw(scores_BW[rows_N], temperature_N1, top_p_N1, thrown_N1)
        tokens_B = tokens_B.scatter(0, rows_N, drawn_N)
    return tokens_B if seen_BW is None else _marked(tokens_B, seen_BW)


def _marked(tokens_B: Tensor, seen_BW: Tensor) -> Tensor:
    seen_BW.scatter_(1, tokens_B[:, None], True)
    return tokens_B


def draw(logits_NW: Tensor, temperature_N1: Tensor, top_p_N1: Tensor, thrown_N1: Tensor) -> Tensor:
    """Draws from softmax(logits / temperature), cut to the nucleus, by inverting its sum at ``thrown``. Returns [N]."""
    # The largest logit becomes 0 first, so that no temperature, however small, makes infinities.
    temperature_N1 = temperature_N1.to(logits_NW.dtype).clamp(min=torch.finfo(logits_NW.dtype).tiny)
    scaled_NW = (logits_NW - logits_NW.amax(-1, keepdim=True)) / temperature_N1
    sums_NW = keep_nucleus(scaled_NW, top_p_N1).double().softmax(-1).cumsum(-1)
    # Right of what is thrown, and never beyond the last token that is possible: its sum is the total.
    return torch.searchsorted(sums_NW, thrown_N1 * sums_NW[:, -1:], right=True).squeeze(1)


def penalise_repetition(logits_BW: Tensor, seen_BW: Tensor, penalty_B1: Tensor) -> Tensor:
    """Positive logits of seen tokens are divided by ``penalty``, negative ones multiplied (arXiv 1909.05858)."""
    penalty_B1 = penalty_B1.to(logits_BW.dtype)
    penalised_BW = torch.where(logits_BW < 0, logits_BW * penalty_B1, logits_BW / penalty_B1)
    return torch.where(seen_BW, penalised_BW, logits_BW)


def keep_nucleus(logits_NW: Tensor, top_p_N1: Tensor) -> Tensor:
    """All but the most probable tokens that together reach ``top_p`` become -inf (arXiv 1904.09751); one stays."""
    ascending_NW, order_NW = logits_NW.sort()
    dropped_NW = ascending_NW.softmax(-1).cumsum(-1) <= (1 - top_p_N1).to(logits_NW.dtype)
    dropped_NW[:, -1] = False
    # 1 is the whole distribution, whatever the sum's rounding.
    dropped_NW &= top_p_N1 < 1
    return logits_NW.masked_fill(dropped_NW.scatter(1, order_NW, dropped_NW), float("-inf"))


def _to_device(rows: Sequence[Sequence[float]], device: torch.device) -> Tensor:
    """fp64 [N, …] on ``device``, in the order of its stream."""
    values = torch.tensor(rows, dtype=torch.float64)
    return values.to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
