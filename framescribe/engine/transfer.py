"""What moves between host and device while the engine runs, without either waiting for the other.

Shape legend: B sequences.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from framescribe.engine.sequence import Sequence


def to_device(values: object, device: torch.device, dtype: torch.dtype = torch.long) -> Tensor:
    """A tensor of (nested) lists of numbers on ``device``, in the order of its stream.

    Only a copy from pinned memory does not wait for the stream.
    """
    tensor = torch.tensor(values, dtype=dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def to_host(tensor: Tensor) -> Tensor:
    """Starts the copy of a tensor to the host, in the order of its device's stream; nothing waits for it."""
    if not tensor.is_cuda:
        return tensor.cpu()
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)


@dataclass(frozen=True, slots=True)
class _Step:
    """One step's tokens, complete in ``tokens_B`` once ``event`` has happened."""

    sequences: list[Sequence]
    tokens_B: Tensor
    event: torch.cuda.Event | None


class Readback:
    """Tokens that have been chosen on the device and not yet been read, oldest step first."""

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque()

    def __len__(self) -> int:
        """Steps in flight."""
        return len(self._steps)

    def num_ending(self) -> int:
        """Sequences whose last token is in flight."""
        in_flight = {id(sequence): sequence for step in self._steps for sequence in step.sequences}
        return sum(each.is_last_token_started and not each.is_done for each in in_flight.values())

    def start(self, sequences: list[Sequence], tokens_B: Tensor) -> None:
        """Starts the copy of a step's tokens, int64 [B], one of each sequence; nothing waits for it."""
        event = None
        if tokens_B.is_cuda:
            tokens_B = to_host(tokens_B)
            event = torch.cuda.Event()
            event.record()
        self._steps.append(_Step(sequences, tokens_B, event))

    def finish(self) -> Iterator[tuple[Sequence, int]]:
        """Waits for the oldest step's tokens; yields those of sequences that are not done."""
        step = self._steps.popleft()
        if step.event is not None:
            step.event.synchronize()
        for sequence, token in zip(step.sequences, step.tokens_B.tolist(), strict=True):
            if not sequence.is_done:
                yield sequence, token
