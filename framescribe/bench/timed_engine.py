"""The engine with a clock on each phase; nothing waits for the device before the run is over."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from framescribe.engine.engine import Engine
from framescribe.engine.sequence import Sequence
from framescribe.model.model import CaptionModel

Phase = Literal["vision", "prefill", "decode"]
# A point in time: of the device's stream, or the host's clock in seconds where there is none.
_Mark = torch.cuda.Event | float


@dataclass(frozen=True, slots=True)
class PhaseTimes:
    """What the phases of a run took, on the device.

    Attributes:
        seconds: sum for each phase.
        runs: how often each ran.
        mean_batch: sequences that a decode step advanced.
    """

    seconds: dict[Phase, float]
    runs: dict[Phase, int]
    mean_batch: float


class TimedEngine(Engine):
    """Arguments as ``Engine``'s."""

    def __init__(self, model: CaptionModel, stop_ids: frozenset[int], max_batch: int, **options: Any) -> None:
        super().__init__(model, stop_ids, max_batch, **options)
        self._marks: list[tuple[Phase, _Mark, _Mark]] = []
        self._decoded = 0

    def take_times(self) -> PhaseTimes:
        """The phases since the last call."""
        if self.model.device.type == "cuda":
            torch.cuda.synchronize(self.model.device)
        seconds: dict[Phase, float] = {"vision": 0.0, "prefill": 0.0, "decode": 0.0}
        runs = Counter[Phase]()
        for phase, begun, ended in self._marks:
            seconds[phase] += _seconds(begun, ended)
            runs[phase] += 1
        times = PhaseTimes(
            seconds, {phase: runs[phase] for phase in seconds}, self._decoded / max(1, runs["decode"])
        )
        self._marks.clear()
        self._decoded = 0
        return times

    def _encode(self, sequences: list[Sequence]) -> None:
        with self._timed("vision"):
            super()._encode(sequences)

    def _prefill(self, sequences: list[Sequence]) -> None:
        with self._timed("prefill"):
            super()._prefill(sequences)

    def _decode(self) -> None:
        self._decoded += len(self._batch)
        with self._timed("decode"):
            super()._decode()

    @contextmanager
    def _timed(self, phase: Phase) -> Iterator[None]:
        begun = self._mark()
        yield
        self._marks.append((phase, begun, self._mark()))

    def _mark(self) -> _Mark:
        if self.model.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.model.device))
        return event


def _seconds(begun: _Mark, ended: _Mark) -> float:
    if isinstance(begun, float) and isinstance(ended, float):
        return ended - begun
    assert isinstance(begun, torch.cuda.Event)
    assert isinstance(ended, torch.cuda.Event)
    return float(begun.elapsed_time(ended)) / 1000
