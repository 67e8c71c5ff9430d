"""Decoding in worker processes: a clip that hangs or crashes its decoder costs that clip, not the run.

Each worker is a fresh interpreter (no fork of a process with threads or CUDA, no import of the caller's main
script, no torch) and decodes one clip at a time into memory that it shares with this process (``worker_process.py``).
A thread that asks for a clip waits for it and uses its pixels before it asks for the next: a run holds no more decoded
clips than it has such threads, and a worker's memory is as large as its largest clip.

What crosses is uint8 at the source's resolution, and the pixels are those of ``decode_frames``. Scaling in the worker
would send less, but rounding to uint8 at model size changes the normalised pixels, as the published order is to
normalise, then to resize; and crossing takes little time next to decoding (``benchmarks/decode_throughput.py``).

A fork of this process has no workers: those that it finds belong to its parent, and it starts its own.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, TypeVar, overload

from framescribe.errors import ClipError
from framescribe.scores.scorer import Scorer
from framescribe.task import DEFAULT_MEMORY_GB, DEFAULT_TIMEOUT_S
from framescribe.types import Clip, Frames, FrameSampling
from framescribe.video.caller import Caller
from framescribe.video.cpus import usable_cpus
from framescribe.video.decode import decode_frames
from framescribe.video.gpu import GpuDecoders
from framescribe.video.memory import EXIT_CODE as OUT_OF_MEMORY
from framescribe.video.memory import too_large
from framescribe.video.source import crossing
from framescribe.video.worker import Answer, Task
from framescribe.video.worker_process import Worker, WorkerDied, WorkerStuck
from framescribe.video_frames import EncodedFrames, VideoFrames

_TRIES_AFTER_CRASHES = 3
"""A crash may have another cause than the clip; so many in a row have not."""

_TRIES_AFTER_KILLS = 10
"""Signals that only other processes send, such as the kernel's when memory is short, say less about the clip."""

_FROM_OUTSIDE = {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

_KEPT_BYTES = 256 << 20
"""A worker whose pixels take more is not kept for the next clip: its memory is given back."""

T = TypeVar("T")


class DecodeWorkers:
    """Workers for the clips of one run: as many as ask at the same time. Safe to use from several threads.

    Leaving the ``with`` block ends the work in progress; idle workers stay for the next run.
    """

    def __init__(
        self,
        idle: list[Worker] | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        memory_gb: float = DEFAULT_MEMORY_GB,
        gpu: GpuDecoders | None = None,
    ) -> None:
        """
        Args:
            idle: workers of earlier runs, used first; this run's are given back here. None: this run keeps them.
            timeout_s: seconds that a clip may take, opening and fetching included.
            memory_gb: memory that a worker may take for a clip, the pixels included, in 10^9 bytes.
            gpu: processes that decode on a GPU, which decode what they can when they are free; what one of them does
                not decode a worker does.
        """
        self._idle = [] if idle is None else idle
        self._timeout_s = timeout_s
        self._memory_bytes = int(memory_gb * 1e9)
        self._gpu = gpu
        self._cpu_s: float | None = None  # that a clip took lately
        self._left: int | None = None
        self._busy: set[Worker] = set()
        self._is_over = False
        self._lock = threading.Lock()
        _RUNS.add(self)

    def __enter__(self) -> DecodeWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._is_over = True
            for worker in self._busy:
                worker.kill()

    def expect(self, left: int) -> None:
        """No other clips come than so many that nobody has begun."""
        self._left = left

    @contextmanager
    def decoded(
        self,
        clip: Clip,
        sampling: FrameSampling,
        scorers: tuple[Scorer, ...] = (),
        caller: Caller | None = None,
    ) -> Iterator[Frames]:
        """The frames of a clip, whose pixels are valid within the ``with`` block.

        Where scorers measure the clip too, a worker decodes it: a GPU's decoder gives the wanted frames alone. A worker
        that exceeds the time is killed, and so is one whose caller leaves. One that dies is replaced, and its clip
        tried again. What fails on a GPU is decoded by a worker.

        Raises:
            ClipError: as ``decode_frames``, and at stage ``decode`` for a time-out or a worker that dies each time.
        """
        if isinstance(clip.data, VideoFrames):
            yield decode_frames(clip, sampling, scorers=scorers)  # there is nothing to decode
            return
        with crossing(clip) as readable:
            with self._on_gpu(readable, sampling, scorers) as frames:
                if frames is not None:
                    yield frames
                    return
            # Several threads for a clip only where cores wait: they take more from them than one.
            max_threads = max(1, usable_cpus() // (len(self._busy) + 1))
            decode = partial(decode_frames, max_threads=max_threads, scorers=scorers)
            task = Task(os.getcwd(), decode, (readable, sampling), self._memory_bytes, has_pixels=True)
            started = time.monotonic()
            worker, answer = self._answered(clip, task, caller or Caller())
            self._cpu_s = time.monotonic() - started
        try:
            yield dataclasses.replace(answer.value, pixels=worker.pixels(answer.shape))
        finally:
            self._release(worker)

    @contextmanager
    def _on_gpu(
        self, clip: Clip, sampling: FrameSampling, scorers: tuple[Scorer, ...]
    ) -> Iterator[Frames | None]:
        """The frames by a process that decodes on a GPU; None where a worker is to decode the clip."""
        if (
            scorers
            or isinstance(clip.data, EncodedFrames)
            or self._gpu is None
            or (seat := self._gpu.take(self._left, self._cpu_s)) is None
        ):
            yield None
            return
        with self._gpu.decoded(
            seat, clip, sampling, self._timeout_s, self._memory_bytes, self._at_work
        ) as frames:
            yield frames

    @contextmanager
    def _at_work(self, worker: Worker) -> Iterator[None]:
        """It is ended with this run."""
        with self._lock:
            self._busy.add(worker)
            if self._is_over:
                worker.kill()
        try:
            yield
        finally:
            with self._lock:
                self._busy.discard(worker)

    @overload
    def call(self, function: Callable[..., Generator[object, None, T]], clip: Clip, *args: Any) -> T: ...

    @overload
    def call(self, function: Callable[..., T], clip: Clip, *args: Any) -> T: ...

    def call(self, function: Callable[..., Any], clip: Clip, *args: Any) -> Any:
        """What a function of the module level gives for a clip, called in a worker.

        Where the function is a generator, this is what it returns, and the time-out is that of each step: what takes
        long in all yields as it goes on.

        Raises:
            ClipError: as ``decoded``.
            UsageError, OSError: as the function.
        """
        with crossing(clip) as readable:
            worker, answer = self._answered(
                clip, Task(os.getcwd(), function, (readable, *args), self._memory_bytes), Caller()
            )
        self._release(worker)
        return answer.value

    def _answered(self, clip: Clip, task: Task, caller: Caller) -> tuple[Worker, Answer]:
        """A worker that has done the task, still busy, and its answer."""
        deaths: list[int] = []
        last_start_s = time.monotonic() + self._timeout_s
        while True:
            worker = self._acquire(clip)
            try:
                with caller.waiting(worker):
                    answer = worker.ask(task, self._timeout_s)
            except WorkerStuck as stuck:
                self._discard(worker)
                did = "decoding takes" if stuck.has_begun else "starting a decoder takes"
                raise ClipError(
                    "decode",
                    f"{clip.source_video}: stopped after the time-out: {did} more than {self._timeout_s:g} s",
                ) from None
            except WorkerDied as died:
                self._discard(worker)
                if caller.has_left:
                    raise ClipError("decode", f"{clip.source_video}: nobody waits for it") from None
                if died.was_idle and time.monotonic() < last_start_s:
                    continue  # not the clip's doing: it had not been given to the worker
                if died.exit_code == OUT_OF_MEMORY:
                    raise too_large(clip, self._memory_bytes) from None
                deaths.append(died.exit_code)
                if len(deaths) == _tries(deaths):
                    raise ClipError(
                        "decode", f"{clip.source_video}: its decoder died each time ({_causes(deaths)})"
                    ) from None
                continue
            if answer.error is not None:
                self._release(worker)
                raise answer.error
            return worker, answer

    def _acquire(self, clip: Clip) -> Worker:
        with self._lock:
            if self._is_over:
                raise ClipError("decode", f"{clip.source_video}: stopped with the run")
            worker = _taken(self._idle) or Worker()
            self._busy.add(worker)
            return worker

    def _release(self, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
            if worker.is_reusable and worker.shared_bytes <= _KEPT_BYTES:
                self._idle.append(worker)
                return
        worker.close()

    def _discard(self, worker: Worker) -> None:
        with self._lock:
            self._busy.discard(worker)
        worker.close()

    def _after_fork_in_parent(self) -> None:
        for worker in tuple(self._busy):
            worker.retire()  # the child may go on looking at its pixels

    def _after_fork_in_child(self) -> None:
        self._lock = threading.Lock()  # another thread may have held it, which is not here
        self._busy.clear()


_RUNS: weakref.WeakSet[DecodeWorkers] = weakref.WeakSet()


def _taken(idle: list[Worker]) -> Worker | None:
    """An idle worker of this process. Runs that overlap share the list, so that it may be empty at any time."""
    while True:
        try:
            worker = idle.pop()
        except IndexError:
            return None
        if worker.is_reusable:
            return worker


def _tries(deaths: list[int]) -> int:
    is_from_outside = all(-code in _FROM_OUTSIDE for code in deaths)
    return _TRIES_AFTER_KILLS if is_from_outside else _TRIES_AFTER_CRASHES


def _causes(deaths: list[int]) -> str:
    return ", ".join(f"exit code {code}" if code >= 0 else signal.Signals(-code).name for code in deaths)


def _after_fork_in_parent() -> None:
    for run in tuple(_RUNS):
        run._after_fork_in_parent()


def _after_fork_in_child() -> None:
    for run in tuple(_RUNS):
        run._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
