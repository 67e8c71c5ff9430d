"""Requests in, completions out, order free: continuous batching in three phases.

``step`` runs one phase that the scheduler chose: frames through the vision tower, packed prefill, or one more token for
all that decode. On a GPU nothing waits for its result: a step's tokens are read while the next one is computed, so a
caption's end is seen one step late, and that step's token for it is dropped.

Shape legend: B sequences, T packed tokens, F frames, D width, W vocabulary.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from itertools import accumulate

import torch
from torch import Tensor

from framescribe.engine.batch import DecodeBatch, decode_step, to_device
from framescribe.engine.graphs import GraphedStep
from framescribe.engine.kv_cache import BLOCK_SIZE, KVCache
from framescribe.engine.loops import CHECK_EVERY, certainly_loops
from framescribe.engine.memory import on_device, phase_limits, plan_cache
from framescribe.engine.readback import Readback
from framescribe.engine.request import Completion, Request
from framescribe.engine.scheduler import BlockPool, Decode, Encode, Phase, Prefill, Scheduler
from framescribe.engine.sequence import Deliver, Sequence
from framescribe.errors import DeviceError, UsageError
from framescribe.model import kernels
from framescribe.model.device_errors import (
    is_device_failure,
    is_out_of_host_memory,
    is_out_of_memory,
    out_of_memory,
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
        is_captured: whether decode steps run as CUDA graphs, where there is CUDA.

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
        is_captured: bool = True,
    ) -> None:
        if max_batch < 1:
            raise UsageError(f"the batch size must be at least 1, not {max_batch}")
        self.model = model
        self._stop_ids = stop_ids
        dtype, device = kv_dtype or model.dtype, model.device
        limits = phase_limits(device, max_batch)
        if kv_tokens:
            num_blocks = -(-kv_tokens // BLOCK_SIZE)
        else:
            with on_device(device):
                num_blocks, limits = plan_cache(model, limits, dtype)
        self._scheduler: Scheduler[Sequence] = Scheduler(limits, BlockPool(num_blocks, BLOCK_SIZE))
        self._cache = KVCache(model.config, num_blocks, dtype, device)
        self._batch = DecodeBatch(max_batch, num_blocks, model.config.vocab_size, device)
        self._decode_step = GraphedStep(
            lambda size: decode_step(model, self._cache, self._batch, size),
            max_batch,
            is_captured=is_captured and kernels.run_on(device),
        )
        self._in_flight = Readback()
        self._steps_ahead = _STEPS_AHEAD[device.type]
        self._lock = threading.RLock()
        self._has_failed = False

    def __len__(self) -> int:
        """Requests that are not done."""
        with self._lock:
            return len(self._scheduler) + self._in_flight.ending()

    def longest_in_progress(self) -> int:
        """Tokens of the longest caption that is being written. For any thread: waits for no step."""
        return max((len(row.token_ids) for row in list(self._batch.rows)), default=0)

    def add(self, request: Request, deliver: Deliver) -> Sequence:
        """Queues a request.

        Args:
            request: what to generate.
            deliver: called once, from within ``step``, with its completion.

        Returns:
            What ``cancel`` takes.
        """
        sequence = Sequence.of(request, deliver)
        with self._lock:
            try:
                self._scheduler.add(sequence)
            except ValueError as error:
                self._complete(sequence, "error", str(error))
        return sequence

    def cancel(self, sequences: list[Sequence]) -> None:
        """Drops requests, wherever they are, and frees what they held; nothing is delivered."""
        with self._lock, torch.inference_mode(), on_device(self.model.device):
            if not self._has_failed:
                self._leave(sequences)
            for sequence in sequences:
                sequence.is_done = True

    def step(self) -> None:
        """Runs one phase and delivers what has become known to be finished.

        Raises:
            DeviceError: the device failed; nothing more can be done on it.
        """
        with self._lock, torch.inference_mode(), on_device(self.model.device):
            try:
                self._run(self._scheduler.next())
            except DeviceError:
                self._has_failed = True
                raise
            except RuntimeError as error:
                if not is_device_failure(error):
                    raise
                self._has_failed = True
                raise DeviceError(f"{self.model.device} failed: {error}") from error

    def _run(self, phase: Phase[Sequence] | None) -> None:
        try:
            match phase:
                case Encode():
                    self._encode(list(phase.jobs))
                case Prefill():
                    self._prefill(list(phase.jobs))
                case Decode():
                    self._decode()
        except BaseException as error:
            if is_out_of_memory(error):
                self._make_smaller(phase, error)
            else:
                # Ctrl-C too ends only the call that it hits: the requests of others are as they were.
                if not is_device_failure(error):
                    self._undo(phase)
                raise
        self._read(keep=0 if phase is None else self._steps_ahead)

    def stream(self, request: Request) -> Iterator[int]:
        """The tokens of one request as they come."""
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

    def _encode(self, sequences: list[Sequence]) -> None:
        """Frames of all these clips through the vision tower, in full chunks, whosever the frames are."""
        model = self.model
        pixels = [each.request.pixels_F3SS for each in sequences if each.request.pixels_F3SS is not None]
        if not pixels:
            return
        pixels_F3SS = torch.cat(
            [frames.to(model.device, model.dtype, non_blocking=True) for frames in pixels]
        )
        features_FVD = torch.cat(
            [model.vision(chunk) for chunk in pixels_F3SS.split(self._scheduler.limits.frames)]
        )
        parts = iter(features_FVD.split([len(frames) for frames in pixels]))
        for sequence in sequences:
            if sequence.frames:
                sequence.features_FVD = next(parts)

    def _prefill(self, sequences: list[Sequence]) -> None:
        """These sequences packed into one, without padding, to the first new token of each."""
        model, device = self.model, self.model.device

        def packed(values: Callable[[Sequence], list[int]]) -> Tensor:
            return to_device([value for sequence in sequences for value in values(sequence)], device)

        input_ids_T = packed(lambda sequence: sequence.known_ids)
        positions_T = packed(lambda sequence: sequence.known_positions)
        is_vision_T = packed(lambda sequence: list(map(int, sequence.known_is_vision))).bool()
        lengths = [sequence.tokens for sequence in sequences]
        features = [each.features_FVD for each in sequences if each.features_FVD is not None]
        x_BTD = model.embed(input_ids_T[None], is_vision_T[None], torch.cat(features) if features else None)
        attend = self._cache.prefill(packed(lambda sequence: sequence.known_slots), lengths)
        ends_B = to_device([end - 1 for end in accumulate(lengths)], device)
        hidden_BD = model.decoder(x_BTD, positions_T[None], attend, wanted_W=ends_B)[0]
        tokens_B = self._batch.add(sequences, model.lm_head(hidden_BD))
        for sequence in sequences:
            sequence.features_FVD = None
        self._launched(sequences, tokens_B)

    def _decode(self) -> None:
        scheduler = self._scheduler
        while scheduler.is_short():
            # What is to be computed again must be known; and some may turn out to be finished.
            self._read(keep=0)
            if scheduler.is_short():
                self._batch.remove([scheduler.preempt()])
        if not scheduler.running:
            return
        self._batch.grow(scheduler.grow())
        logits_BW = self._decode_step(len(self._batch))
        self._launched(list(self._batch.rows), self._batch.choose(logits_BW))

    def _launched(self, sequences: list[Sequence], tokens_B: Tensor) -> None:
        """The next token of these sequences is being computed: its way to this side begins."""
        self._in_flight.start(sequences, tokens_B)
        for sequence in sequences:
            sequence.new_tokens += 1
        # Nothing more is computed for these; their blocks are written to after all that is under way.
        self._leave([sequence for sequence in sequences if sequence.is_launched])

    def _read(self, keep: int) -> None:
        """Takes in the tokens of all steps but the last ``keep``, and delivers what they finish."""
        while len(self._in_flight) > keep:
            ended = []
            for sequence, token in self._in_flight.take():
                if (reason := self._take_in(sequence, token)) is not None:
                    ended.append(sequence)
                    self._complete(sequence, reason)
            self._leave(ended)

    def _take_in(self, sequence: Sequence, token: int) -> FinishReason | None:
        """One more token of a sequence: whether that ends it, and how."""
        if token in self._stop_ids:
            return "stop"
        token_ids = sequence.token_ids
        token_ids.append(token)
        if len(token_ids) == sequence.max_new_tokens:
            return "length"
        if (
            sequence.request.settings.stop_loops
            and len(token_ids) % CHECK_EVERY == 0
            and certainly_loops(token_ids)
        ):
            return "loop"
        return None

    def _leave(self, sequences: list[Sequence]) -> None:
        if sequences:
            self._scheduler.retire(sequences)
            self._batch.remove(sequences)

    def _complete(self, sequence: Sequence, reason: FinishReason, error: str | None = None) -> None:
        sequence.is_done = True
        sequence.features_FVD = None
        sequence.deliver(Completion(sequence.request.id, tuple(sequence.token_ids), reason, error))

    def _make_smaller(self, phase: Phase[Sequence] | None, error: BaseException) -> None:
        """Memory ran out: what was tried is put back, to be tried again in smaller pieces."""
        torch.cuda.empty_cache()
        scheduler = self._scheduler
        together = len(self._jobs(phase))
        tried = self._undo(phase)
        is_smallest = together == 1 and (not isinstance(phase, Encode) or scheduler.limits.frames == 1)
        if isinstance(phase, Encode | Prefill):
            scheduler.shrink()
        else:
            scheduler.shrink_batch(together // 2)
        log.warning("the device ran out of memory with %d clips at once; trying fewer", together)
        if is_smallest and is_out_of_host_memory(error):
            raise out_of_memory(
                "with one clip at work"
            ) from error  # no clip's fault: the next would fare no better
        if is_smallest and tried:
            self._leave(tried)
            self._complete(tried[0], "error", f"out of memory on {self.model.device}: {error}")

    def _jobs(self, phase: Phase[Sequence] | None) -> list[Sequence]:
        """Whose phase it is, in order of admission."""
        return list(phase.jobs if isinstance(phase, Encode | Prefill) else self._scheduler.running)

    def _undo(self, phase: Phase[Sequence] | None) -> list[Sequence]:
        """Puts back, and returns, those of a phase that was broken off: how far their rows came is not known."""
        tried = self._jobs(phase)
        self._read(keep=0)
        tried = [each for each in tried if not each.is_done]
        self._scheduler.put_back(tried)
        self._batch.remove(tried)
        for sequence in tried:
            sequence.rewind()
        return tried
