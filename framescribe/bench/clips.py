"""Clips from uint8 frames in host memory through the engine: all as fast as they go, or one alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from torch import Tensor

from framescribe.bench.workload import Workload
from framescribe.engine.engine import Engine
from framescribe.engine.request import Completion, Request
from framescribe.errors import UsageError
from framescribe.prepare import Preparer
from framescribe.types import GenerationSettings

# Threads that copy and transform ahead of the engine.
_FEEDERS = 4


@dataclass(frozen=True, slots=True)
class Latency:
    """One clip alone: from uint8 frames to the first token, then mean milliseconds a token."""

    first_token_s: float
    ms_per_token: float


class ClipRunner:
    """Runs one workload's clips; all prompts are alike, and frames are taken in turn.

    Args:
        engine: without requests.
        preparer: of the engine's model and device.
        workload: what to run.
        generation: how tokens are chosen; the workload's own limit of tokens replaces its limit.
        look_at: takes each clip's pooled features, where they are wanted.
    """

    def __init__(
        self,
        engine: Engine,
        preparer: Preparer,
        workload: Workload,
        generation: GenerationSettings = GenerationSettings(stop_loops=False),
        look_at: Callable[[Tensor], object] | None = None,
    ) -> None:
        self._engine = engine
        self._preparer = preparer
        self._workload = workload
        self._generation = generation
        self._look_at = look_at
        self._prompt = workload.prompt(engine.model.config)
        self._frames = workload.draw_frames()

    def run(self) -> float:
        """Runs all clips as fast as they go; returns the seconds that took."""
        return self._feed([self._workload.new_tokens] * self._workload.clips)

    def latency(self, new_tokens: int) -> Latency:
        """Runs one clip alone, to ``new_tokens`` tokens."""
        start = time.perf_counter()
        tokens_s = [time.perf_counter() - start for _ in self._engine.stream(self.request(0, new_tokens))]
        return Latency(tokens_s[0], 1000 * (tokens_s[-1] - tokens_s[0]) / max(1, len(tokens_s) - 1))

    def warm_up(self) -> None:
        """Compiles and captures all that a run needs: full chunks, and every batch size up to the largest."""
        self._feed([2] * min(8, self._workload.clips))
        self.latency(2)  # a lone clip's own shapes
        if self._engine.model.device.type != "cuda":
            return
        # Small clips that end one after the other, two steps apart: CUDA graphs are captured at the second step.
        small = replace(
            self._workload,
            clips=self._workload.decoding,
            frames=1,
            frames_per_picture=1,
            text_tokens=16,
        )
        runner = ClipRunner(self._engine, self._preparer, small, self._generation)
        runner._feed([4 + 2 * clip for clip in range(small.clips)])

    def _feed(self, new_tokens: list[int]) -> float:
        """Seconds for clips of these lengths, prepared in threads ahead of the engine."""
        engine, done = self._engine, list[Completion]()

        def finish(completion: Completion) -> None:
            done.append(completion)
            if self._look_at is not None and completion.pooled is not None:
                self._look_at(completion.pooled)

        todo: Iterator[tuple[int, int]] = enumerate(new_tokens)
        preparing: set[Future[Request]] = set()
        start = time.perf_counter()
        with ThreadPoolExecutor(_FEEDERS) as pool:
            while len(done) < len(new_tokens):
                # As far ahead as ``Captioner`` goes.
                while len(preparing) + len(engine) < self._workload.batch + _FEEDERS:
                    if (clip := next(todo, None)) is None:
                        break
                    preparing.add(pool.submit(self.request, *clip))
                if preparing:
                    prepared, preparing = wait(preparing, 0 if len(engine) else None, FIRST_COMPLETED)
                    for future in prepared:
                        engine.add(future.result(), finish)
                engine.step()
        seconds = time.perf_counter() - start
        if failed := next((completion for completion in done if completion.error), None):
            raise UsageError(f"a clip could not be captioned: {failed.error}")
        return seconds

    def request(self, number: int, new_tokens: int) -> Request:
        """Clip ``number``, to be given exactly ``new_tokens`` tokens."""
        pixels_P3SS, picture_of_frame = self._preparer.pictures(self._frames[number % len(self._frames)])
        generation = replace(self._generation, max_new_tokens=new_tokens)
        pools = self._look_at is not None
        return Request(str(number), self._prompt, pixels_P3SS, generation, picture_of_frame, pools)
