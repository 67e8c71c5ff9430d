"""Clips from uint8 frames in host memory through the engine: throughput by phase, and one clip alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from torch import Tensor

from framescribe.bench.workload import Workload
from framescribe.engine.engine import Engine
from framescribe.engine.observer import PhaseTimer, PhaseTotals
from framescribe.engine.request import Completion, Request
from framescribe.engine.scheduler import PhaseKind
from framescribe.errors import UsageError
from framescribe.prepare import Preparer
from framescribe.types import GenerationSettings

log = logging.getLogger("framescribe")

# Threads that copy and transform ahead of the engine.
_FEEDERS = 4


@dataclass(frozen=True, slots=True)
class Run:
    """One pass over all clips: seconds by the wall clock, and the phases' own."""

    seconds: float
    phases: dict[PhaseKind, PhaseTotals]


@dataclass(frozen=True, slots=True)
class Latency:
    """One clip alone: from uint8 frames to the first token, then mean milliseconds a token."""

    first_token_s: float
    ms_per_token: float


class FromFrames:
    """Runs one workload's clips, all prompts alike, frames in turn.

    Args:
        engine: any, empty.
        preparer: of the engine's model and device.
        workload: what to run.
    """

    def __init__(self, engine: Engine, preparer: Preparer, workload: Workload) -> None:
        self._engine = engine
        self._preparer = preparer
        self._workload = workload
        self._prompt = workload.prompt(engine.model.config)
        self._frames = workload.draw_frames()

    def run(self) -> float:
        """Seconds for all clips, as fast as they go."""
        workload = self._workload
        return self._feed([workload.new_tokens] * workload.clips)

    def run_in_turn(self, clips: int) -> float:
        """Seconds for ``clips`` clips, each begun when the one before is done."""
        began = time.perf_counter()
        for number in range(clips):
            for _ in self._engine.stream(self._request(number, self._workload.new_tokens)):
                pass
        return time.perf_counter() - began

    def latency(self, new_tokens: int) -> Latency:
        """One clip alone, of ``new_tokens`` tokens."""
        began = time.perf_counter()
        first_s, last_s, tokens = 0.0, 0.0, 0
        for _ in self._engine.stream(self._request(0, new_tokens)):
            last_s = time.perf_counter() - began
            first_s = first_s or last_s
            tokens += 1
        return Latency(first_s, 1000 * (last_s - first_s) / max(1, tokens - 1))

    def warm_up(self) -> None:
        """Everything a run needs is compiled and captured: full chunks, and every batch size up to the largest."""
        whole = min(8, self._workload.clips)
        self._feed([2] * whole)
        if self._engine.model.device.type != "cuda":
            return
        # Small clips that end one after the other, two steps apart: CUDA graphs are captured at the second step.
        slots = self._engine.model.config.vision_config.tokens_per_frame
        small = replace(self._workload, clips=self._workload.decoding, frames=1, prompt_tokens=slots + 16)
        FromFrames(self._engine, self._preparer, small)._feed([4 + 2 * clip for clip in range(small.clips)])

    def _feed(self, new_tokens: list[int]) -> float:
        """Seconds for clips of these lengths, prepared in threads ahead of the engine."""
        engine, done = self._engine, list[Completion]()
        todo: Iterator[tuple[int, int]] = enumerate(new_tokens)
        preparing: set[Future[Request]] = set()
        began = time.perf_counter()
        with ThreadPoolExecutor(_FEEDERS) as pool:
            while len(done) < len(new_tokens):
                # As far ahead as the front door goes.
                while len(preparing) + len(engine) < self._workload.batch + _FEEDERS:
                    if (clip := next(todo, None)) is None:
                        break
                    preparing.add(pool.submit(self._request, *clip))
                if preparing:
                    ready, preparing = wait(preparing, 0 if len(engine) else None, FIRST_COMPLETED)
                    for future in ready:
                        engine.add(future.result(), done.append)
                engine.step()
        seconds = time.perf_counter() - began
        if failed := next((completion for completion in done if completion.error), None):
            raise UsageError(f"a clip could not be captioned: {failed.error}")
        return seconds

    def _request(self, number: int, new_tokens: int) -> Request:
        pixels_F3SS: Tensor = self._preparer.pixels(self._frames[number % len(self._frames)])
        return Request(
            str(number), self._prompt, pixels_F3SS, GenerationSettings(new_tokens, stop_loops=False)
        )


def timed_run(timer: PhaseTimer, clips: FromFrames) -> Run:
    """One pass over all clips, by phase."""
    timer.take()
    seconds = clips.run()
    return Run(seconds, timer.take())
