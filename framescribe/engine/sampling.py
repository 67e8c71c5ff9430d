"""Logits to the next tokens: greedy, or sampled as transformers' ``generate`` does it, in its order of steps.

Shape legend: B sequences, N sampled ones among them, W vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from framescribe.engine.transfer import to_device
from framescribe.types import GenerationSettings


def is_plain_greedy(settings: GenerationSettings) -> bool:
    """Whether the next token is the argmax of unchanged logits."""
    return settings.temperature == 0 and settings.repetition_penalty == 1


class SequenceRng:
    """The random numbers of one sequence, the same whatever its batch.

    Args:
        seed: of the generator.
        used: how many numbers to skip.
    """

    def __init__(self, seed: int, used: int = 0) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        for _ in range(used):
            self.uniform()

    def uniform(self) -> float:
        """The next number in [0, 1)."""
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))


def choose_tokens(
    logits_BW: Tensor,
    settings: Sequence[GenerationSettings],
    rngs: Sequence[SequenceRng],
    seen_BW: Tensor | None,
) -> Tensor:
    """The next token of each sequence, without waiting for the device.

    Args:
        logits_BW: of any float dtype.
        settings, rngs: one for each sequence.
        seen_BW: bool, tokens that prompt or caption contain: the repetition penalty counts both, as in transformers.
            Needed where any sequence has a penalty; the chosen tokens are marked in it.

    Returns:
        int64 [B].
    """
    device = logits_BW.device
    if device.type == "mps":
        # It has no fp64, in which the sum over a whole vocabulary is taken.
        seen = None if seen_BW is None else seen_BW.cpu()
        tokens_B = choose_tokens(logits_BW.cpu(), settings, rngs, seen).to(device)
    else:
        tokens_B = _choose(logits_BW.float(), settings, rngs, seen_BW)
    if seen_BW is not None:
        seen_BW.scatter_(1, tokens_B[:, None], True)
    return tokens_B


def _choose(
    logits_BW: Tensor,
    settings: Sequence[GenerationSettings],
    rngs: Sequence[SequenceRng],
    seen_BW: Tensor | None,
) -> Tensor:
    device = logits_BW.device
    if seen_BW is not None:
        penalties_B1 = to_device([[each.repetition_penalty] for each in settings], device, torch.float64)
        logits_BW = penalize_repetition(logits_BW, seen_BW, penalties_B1)
    tokens_B = logits_BW.argmax(-1)
    if sampled := [row for row, each in enumerate(settings) if each.temperature > 0]:
        rows_N = to_device(sampled, device)
        columns = [(settings[row].temperature, settings[row].top_p, rngs[row].uniform()) for row in sampled]
        temperature_N1, top_p_N1, uniform_N1 = to_device(columns, device, torch.float64).split(1, dim=1)
        tokens_N = sample(logits_BW[rows_N], temperature_N1, top_p_N1, uniform_N1)
        tokens_B = tokens_B.scatter(0, rows_N, tokens_N)
    return tokens_B


def sample(logits_NW: Tensor, temperature_N1: Tensor, top_p_N1: Tensor, uniform_N1: Tensor) -> Tensor:
    """Samples from softmax(logits / temperature), cut to the nucleus, by inverting its cumulative sum at ``uniform``.

    Returns:
        int64 [N].
    """
    # The largest logit becomes 0 first, so that no temperature, however small, makes infinities.
    temperature_N1 = temperature_N1.to(logits_NW.dtype).clamp(min=torch.finfo(logits_NW.dtype).tiny)
    scaled_NW = (logits_NW - logits_NW.amax(-1, keepdim=True)) / temperature_N1
    sums_NW = keep_nucleus(scaled_NW, top_p_N1).double().softmax(-1).cumsum(-1)
    # Strictly above ``uniform``, and never beyond the last token that is possible: its sum is the total.
    return torch.searchsorted(sums_NW, uniform_N1 * sums_NW[:, -1:], right=True).squeeze(1)


def penalize_repetition(logits_BW: Tensor, seen_BW: Tensor, penalty_B1: Tensor) -> Tensor:
    """Divides positive logits of seen tokens by ``penalty`` and multiplies negative ones (arXiv 1909.05858)."""
    penalty_B1 = penalty_B1.to(logits_BW.dtype)
    penalized_BW = torch.where(logits_BW < 0, logits_BW * penalty_B1, logits_BW / penalty_B1)
    return torch.where(seen_BW, penalized_BW, logits_BW)


def keep_nucleus(logits_NW: Tensor, top_p_N1: Tensor) -> Tensor:
    """Sets all but the most probable tokens that together reach ``top_p`` to -inf (arXiv 1904.09751); keeps one."""
    ascending_NW, order_NW = logits_NW.sort()
    dropped_NW = ascending_NW.softmax(-1).cumsum(-1) <= (1 - top_p_N1).to(logits_NW.dtype)
    dropped_NW[:, -1] = False
    # 1 is the whole distribution, whatever the sum's rounding.
    dropped_NW &= top_p_N1 < 1
    return logits_NW.masked_fill(dropped_NW.scatter(1, order_NW, dropped_NW), float("-inf"))
