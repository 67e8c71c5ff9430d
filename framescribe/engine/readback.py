"""The tokens' way from the device to this side, beside what is computed next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from framescribe.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class _Step:
    """One step's tokens: on their way to ``tokens_B``, there once ``event`` has happened."""

    sequences: list[Sequence]
    tokens_B: Tensor
    event: torch.cuda.Event | None


class Readback:
    """Tokens that have been chosen on the device and not been read, oldest step first."""

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque()

    def __len__(self) -> int:
        """Steps in flight."""
        return len(self._steps)

    def ending(self) -> int:
        """Sequences whose last token is in flight."""
        return len(
            {
                id(sequence)
                for step in self._steps
                for sequence in step.sequences
                if sequence.is_launched and not sequence.is_done
            }
        )

    def start(self, sequences: list[Sequence], tokens_B: Tensor) -> None:
        """Sends a step's tokens, int64 [B], one of each sequence, on their way; nothing waits for them."""
        event = None
        if tokens_B.is_cuda:
            there_B = torch.empty(tokens_B.shape, dtype=tokens_B.dtype, pin_memory=True)
            tokens_B = there_B.copy_(tokens_B, non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self._steps.append(_Step(sequences, tokens_B, event))

    def take(self) -> Iterator[tuple[Sequence, int]]:
        """Waits for the oldest step's tokens; yields those of sequences that are not done."""
        step = self._steps.popleft()
        if step.event is not None:
            step.event.synchronize()
        for sequence, token in zip(step.sequences, step.tokens_B.tolist(), strict=True):
            if not sequence.is_done:
                yield sequence, token
