"""What an engine reports of its work: each phase, as it runs.

An observer is given to ``Engine``; it decides itself what to measure. ``PhaseTimer`` measures time, on a GPU by events
in its stream, so that nothing waits for the device before the times are asked for.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from framescribe.engine.scheduler import PHASE_KINDS, PhaseKind

# A point in time: an event in a GPU's stream, or the host's clock in seconds.
_Mark = torch.cuda.Event | float


class EngineObserver:
    """Observes nothing; subclasses override ``phase``."""

    def phase(self, kind: PhaseKind, sequences: int, tokens: int) -> AbstractContextManager[object]:
        """Called before each phase; the phase runs within the context that this returns.

        On a GPU a phase is over when its work has been queued on the current stream, not when it has been computed.

        Args:
            kind: ``encode`` (frames through the vision tower), ``prefill`` or ``decode``.
            sequences: how many the phase is for.
            tokens: that it computes: of the frames' features, of the prompts, or one of each sequence.
        """
        return nullcontext()


@dataclass(frozen=True, slots=True)
class PhaseTotals:
    """All phases of one kind.

    Attributes:
        seconds: that they took; on a GPU, between their start and their end in its stream.
        runs: how many there were.
        sequences: sum over the phases.
        tokens: sum over the phases.
    """

    seconds: float = 0.0
    runs: int = 0
    sequences: int = 0
    tokens: int = 0


class PhaseTimer(EngineObserver):
    """Adds up what phases of each kind take; a phase that fails is left out.

    Args:
        device: the engine's.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._phases: list[tuple[PhaseKind, int, int, _Mark, _Mark]] = []

    @contextmanager
    def phase(self, kind: PhaseKind, sequences: int, tokens: int) -> Iterator[None]:
        """See ``EngineObserver``."""
        start = self._mark()
        yield
        self._phases.append((kind, sequences, tokens, start, self._mark()))

    def take(self) -> dict[PhaseKind, PhaseTotals]:
        """The totals of each kind since the last call; waits for the device."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        phases, self._phases = self._phases, []
        totals: dict[PhaseKind, PhaseTotals] = {}
        for kind in PHASE_KINDS:
            found = [phase for phase in phases if phase[0] == kind]
            totals[kind] = PhaseTotals(
                seconds=sum(_seconds(start, end) for *_, start, end in found),
                runs=len(found),
                sequences=sum(phase[1] for phase in found),
                tokens=sum(phase[2] for phase in found),
            )
        return totals

    def _mark(self) -> _Mark:
        if self._device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self._device))
        return event


def _seconds(start: _Mark, end: _Mark) -> float:
    if isinstance(start, float) or isinstance(end, float):
        return float(end) - float(start)  # type: ignore[arg-type]
    return float(start.elapsed_time(end)) / 1000
