"""Requests in, completions out, in any order: continuous batching in three phases.

``step`` runs one phase that the scheduler chose: frames through the vision tower, packed prefill, or one more token for
all that decode. On a GPU nothing waits for its result: a step's tokens are read while the next one is computed, so a
caption's end is seen one step late, and that step's token for it is dropped.

Shape legend: B sequences.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from framescribe.engine.kv_cache import BLOCK_SIZE
from framescribe.engine.loops import CHECK_EVERY, certainly_loops
from framescribe.engine.memory import on_device, phase_limits, plan_cache
from framescribe.engine.model_runner import ModelRunner
from framescribe.engine.observer import EngineObserver
from framescribe.engine.request import Completion, Request
from framescribe.engine.scheduler import BlockPool, Phase, Scheduler
from framescribe.engine.sequence import Deliver, Sequence
from framescribe.engine.transfer import Readback
from framescribe.errors import DeviceError, UsageError
from framescribe.model.device_errors import (
    is_device_failure,
    is_out_of_host_memory,
    is_out_of_memory,
    out_of_memory_error,
)
from framescribe.model.model import CaptionModel
from framescribe.types import FinishReason

log = logging.getLogger("framescribe")

# Steps whose tokens are read only while the next is computed. On a CPU computing ahead would only be work for nothing.
_STEPS_AHEAD = {"cuda": 1, "cpu": 0, "mps": 0}


class Engine:
    """Generates captions for many requests with one model. May be shared by threads: one step runs at a time.

    Args:
        model: on its device.
        stop_ids: tokens that end a caption.
        max_batch: sequences that decode together at most.
        kv_tokens: tokens that the KV cache holds; None takes what the memory allows.
        kv_dtype: of the cache; None takes the model's.
        reserved_bytes: memory of the device that the cache leaves to others.
        use_cuda_graphs: whether decode steps run as CUDA graphs, where there is CUDA.
        observer: told of each phase.

    Attributes:
        lock: held by each step; whoever holds it has the model alone.

    Raises:
        UsageError: ``max_batch`` is below 1, or the memory left holds no cache worth having.
    """

    def __init__(
        self,
        model: CaptionModel,
        stop_ids: frozenset[int],
        max_batch: int,
        *,
        kv_tokens: int | None = None,
        kv_dtype: torch.dtype | None = None,
        reserved_bytes: int = 0,
        use_cuda_graphs: bool = True,
        observer: EngineObserver | None = None,
    ) -> None:
        if max_batch < 1:
            raise UsageError(f"the batch size must be at least 1, not {max_batch}")
        self.model = model
        self._stop_ids = stop_ids
        self._observer = observer or EngineObserver()
        dtype, device = kv_dtype or model.dtype, model.device
        limits = phase_limits(device, max_batch)
        if kv_tokens:
            num_blocks = -(-kv_tokens // BLOCK_SIZE)
        else:
            with on_device(device):
                num_blocks, limits = plan_cache(model, limits, dtype, reserved_bytes)
        self._scheduler: Scheduler[Sequence] = Scheduler(limits, BlockPool(num_blocks, BLOCK_SIZE))
        self._runner = ModelRunner(model, max_batch, num_blocks, dtype, use_cuda_graphs=use_cuda_graphs)
        self._in_flight = Readback()
        self._steps_ahead = _STEPS_AHEAD[device.type]
        self.lock = threading.RLock()
        self._has_failed = False

    def __len__(self) -> int:
        """Requests that are not done."""
        with self.lock:
            return len(self._scheduler) + self._in_flight.num_ending()

    def longest_in_progress(self) -> int:
        """Tokens of the longest caption that is being written. For any thread: waits for no step."""
        return max((len(row.token_ids) for row in list(self._runner.rows)), default=0)

    def add(self, request: Request, deliver: Deliver) -> Sequence:
        """Queues a request.

        Args:
            request: what to generate.
            deliver: called once, from within ``step``, with its completion.

        Returns:
            What ``cancel`` takes.
        """
        sequence = Sequence.of(request, deliver)
        with self.lock:
            try:
                self._scheduler.add(sequence)
            except UsageError as error:
                self._complete(sequence, "error", str(error))
        return sequence

    def cancel(self, sequences: list[Sequence]) -> None:
        """Drops requests, wherever they are, and frees what they held; nothing is delivered."""
        with self.lock, torch.inference_mode(), on_device(self.model.device):
            if not self._has_failed:
                self._remove(sequences)
            for sequence in sequences:
                sequence.is_done = True

    def step(self) -> None:
        """Runs one phase and delivers what has become known to be finished.

        Raises:
            DeviceError: the device failed; nothing more can be done on it.
        """
        with self.lock, torch.inference_mode(), on_device(self.model.device):
            try:
                phase = self._scheduler.schedule()
                if phase is not None:
                    self._run(phase)
                self._read(keep=0 if phase is None else self._steps_ahead)
            except DeviceError:
                self._has_failed = True
                raise
            except RuntimeError as error:
                if not is_device_failure(error):
                    raise
                self._has_failed = True
                raise DeviceError(f"{self.model.device} failed: {error}") from error

    def generate(self, requests: Iterable[Request]) -> list[Completion]:
        """Steps until these requests are done; returns their completions in the order in which they end."""
        done: list[Completion] = []
        sequences = [self.add(request, done.append) for request in requests]
        try:
            while len(done) < len(sequences):
                self.step()
        finally:
            self.cancel(sequences)
        return done

    def stream(self, request: Request) -> Iterator[int]:
        """Yields the tokens of one request as they come."""
        done: list[Completion] = []
        sequence = self.add(request, done.append)
        sent = 0
        try:
            # Others may step the engine too, also while a token is looked at.
            while not done or sent < len(sequence.token_ids):
                if sent == len(sequence.token_ids):
                    self.step()
                new_ids = sequence.token_ids[sent:]
                sent += len(new_ids)
                yield from new_ids
            if done[0].finish_reason == "error":
                raise UsageError(done[0].error)
        finally:
            # A reader that stops early leaves nothing behind.
            self.cancel([sequence])

    def pool(self, pixels_P3SS: Tensor, picture_of_frame: tuple[int, ...]) -> Tensor:
        """The pooled features of one clip's frames: float16 on the host. Only the vision tower runs.

        Args:
            pixels_P3SS, picture_of_frame: as in ``Request``.
        """
        with self.lock, torch.inference_mode(), on_device(self.model.device):
            return self._runner.pool(pixels_P3SS, picture_of_frame, self._scheduler.limits.frames).cpu()

    def _run(self, phase: Phase[Sequence]) -> None:
        try:
            with self._observer.phase(phase.kind, len(phase.sequences), self._count_tokens(phase)):
                self._work(phase)
        except BaseException as error:
            if is_out_of_memory(error):
                self._shrink(phase, error)
            else:
                # Ctrl-C too ends only the call that it hits: the requests of others are as they were.
                if not is_device_failure(error):
                    self._requeue(phase)
                raise

    def _count_tokens(self, phase: Phase[Sequence]) -> int:
        if phase.kind == "encode":
            frames = sum(sequence.frames for sequence in phase.sequences)
            return frames * self.model.config.vision_config.tokens_per_frame
        return sum(each.tokens if phase.kind == "prefill" else 1 for each in phase.sequences)

    def _work(self, phase: Phase[Sequence]) -> None:
        sequences = list(phase.sequences)
        match phase.kind:
            case "encode":
                # Requests of one clip share its features, also those that wait.
                others = self._scheduler.waiting
                self._runner.encode(sequences, others, self._scheduler.limits.frames)
            case "prefill":
                self._start_readback(sequences, self._runner.prefill(sequences))
            case "decode":
                self._make_room()
                if self._scheduler.running:
                    tokens_B = self._runner.decode(self._scheduler.allocate())
                    self._start_readback(list(self._runner.rows), tokens_B)

    def _make_room(self) -> None:
        """Preempts those admitted last as long as blocks are short for the next tokens of all."""
        while self._scheduler.is_short():
            # What is to be computed again must be known; and some may turn out to be finished.
            self._read(keep=0)
            if self._scheduler.is_short():
                self._runner.remove([self._scheduler.preempt()])

    def _start_readback(self, sequences: list[Sequence], tokens_B: Tensor) -> None:
        """Starts the copy of these sequences' next tokens, which are being computed, to the host."""
        self._in_flight.start(sequences, tokens_B)
        for sequence in sequences:
            sequence.new_tokens += 1
        # Nothing more is computed for these; their blocks are written to after all that is under way.
        self._remove([sequence for sequence in sequences if sequence.is_last_token_started])

    def _read(self, keep: int) -> None:
        """Takes in the tokens of all steps but the last ``keep``, and delivers what they finish."""
        while len(self._in_flight) > keep:
            ended = []
            for sequence, token in self._in_flight.finish():
                if (reason := self._append(sequence, token)) is not None:
                    ended.append(sequence)
                    self._complete(sequence, reason)
            self._remove(ended)

    def _append(self, sequence: Sequence, token: int) -> FinishReason | None:
        """Appends one token; returns why the sequence ends with it, or None if it goes on."""
        if token in self._stop_ids:
            return "stop"
        token_ids = sequence.token_ids
        token_ids.append(token)
        if len(token_ids) == sequence.max_new_tokens:
            return "length"
        looks = sequence.request.settings.stop_loops and len(token_ids) % CHECK_EVERY == 0
        return "loop" if looks and certainly_loops(token_ids) else None

    def _remove(self, sequences: list[Sequence]) -> None:
        if sequences:
            self._scheduler.free(sequences)
            self._runner.remove(sequences)

    def _complete(self, sequence: Sequence, reason: FinishReason, error: str | None = None) -> None:
        sequence.is_done = True
        sequence.features_PVD = None
        pooled = None if reason == "error" else sequence.pooled  # an error may come before its copy is there
        sequence.deliver(Completion(sequence.request.id, tuple(sequence.token_ids), reason, error, pooled))

    def _shrink(self, phase: Phase[Sequence], error: BaseException) -> None:
        """Memory ran out: puts back what was tried, to be tried again in smaller pieces."""
        torch.cuda.empty_cache()
        scheduler, together = self._scheduler, len(phase.sequences)
        tried = self._requeue(phase)
        if phase.kind == "decode":
            scheduler.shrink_batch(together // 2)
            is_smallest = together == 1
        else:
            is_smallest = together == 1 and (phase.kind == "prefill" or scheduler.limits.frames == 1)
            scheduler.shrink()
        log.warning("the device ran out of memory with %d clips at once; trying fewer", together)
        if is_smallest and is_out_of_host_memory(error):
            # No clip's fault: the next would fare no better.
            raise out_of_memory_error("with one clip at work") from error
        if is_smallest and tried:
            self._remove(tried)
            self._complete(tried[0], "error", f"out of memory on {self.model.device}: {error}")

    def _requeue(self, phase: Phase[Sequence]) -> list[Sequence]:
        """Puts back, and returns, those of a phase that was broken off: how far their rows came is not known."""
        self._read(keep=0)
        tried = [sequence for sequence in phase.sequences if not sequence.is_done]
        self._scheduler.requeue(tried)
        self._runner.remove(tried)
        for sequence in tried:
            sequence.rewind()
        return tried
