"""Logits to the next token: greedy, or drawn, with the semantics of transformers' ``generate`` (order included)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from framescribe.types import GenerationSettings


def is_plain_greedy(settings: GenerationSettings) -> bool:
    """Whether the next token is the argmax of unchanged logits, so that a whole batch is one operation."""
    return settings.temperature == 0 and settings.repetition_penalty == 1


class TokenChooser:
    """Chooses the tokens of one sequence.

    Args:
        settings: how.
        prompt_ids: token ids of the prompt; the repetition penalty counts them too, as in transformers.
    """

    def __init__(self, settings: GenerationSettings, prompt_ids: Sequence[int]) -> None:
        self._settings = settings
        self._seen = set(prompt_ids)
        self._generator = torch.Generator().manual_seed(settings.seed)

    def __call__(self, logits_W: Tensor) -> int:
        """The next token for logits [W] of any float dtype and device; remembers it as seen."""
        logits = logits_W.float().cpu()
        if self._settings.repetition_penalty != 1:
            logits = penalise_repetition(logits, sorted(self._seen), self._settings.repetition_penalty)
        if self._settings.temperature == 0:
            token = int(logits.argmax())
        else:
            # The largest logit becomes 0 first, so that no temperature, however small, makes infinities.
            logits = keep_nucleus((logits - logits.max()) / self._settings.temperature, self._settings.top_p)
            token = int(torch.multinomial(logits.softmax(-1), 1, generator=self._generator))
        self._seen.add(token)
        return token


def penalise_repetition(logits_W: Tensor, seen: Sequence[int], penalty: float) -> Tensor:
    """Positive logits of seen tokens are divided by ``penalty``, negative ones multiplied (arXiv 1909.05858)."""
    seen_ids = torch.tensor(seen, dtype=torch.long)
    scores = logits_W[seen_ids]
    return logits_W.scatter(0, seen_ids, torch.where(scores < 0, scores * penalty, scores / penalty))


def keep_nucleus(logits_W: Tensor, top_p: float) -> Tensor:
    """All but the most probable tokens that together reach ``top_p`` become -inf (arXiv 1904.09751); one stays."""
    if top_p == 1:
        return logits_W
    ascending, order = logits_W.sort()
    dropped = ascending.softmax(-1).cumsum(-1) <= 1 - top_p
    dropped[-1] = False
    return logits_W.masked_fill(dropped.scatter(0, order, dropped), float("-inf"))
