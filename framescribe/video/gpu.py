"""The processes that decode with a GPU's decoder, as this process sees them.

A few are enough, and each takes some of the GPU's memory: whoever finds none free decodes on a CPU. They run the
program of all decoding processes (``worker.py``), with memory of the GPU that is lent to them. One that hangs or dies
is replaced; if several do so one after another, the rest of the clips are left to the CPUs.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from framescribe.errors import ClipError
from framescribe.types import Clip, Frames, FrameSampling
from framescribe.video.nvdec.frames import HardwareName, decode_on
from framescribe.video.worker import Answer, Task
from framescribe.video.worker_process import Worker, WorkerDied, WorkerStuck

log = logging.getLogger("framescribe")

PROCESS_BYTES = 750_000_000
"""Memory of the GPU that a process takes: its context, its decoder, and the pictures of a clip in 1080p."""

_BYTES_PER_PROCESS = 8_000_000_000
"""One process for so much of the GPU's memory that the model's weights leave: most of it is for its work."""

_FAILURES_UNTIL_GIVEN_UP = 3


class LentMemory(Protocol):
    """See ``nvdec.memory.DeviceMemory``."""

    def lend(self, size: int) -> bytes: ...

    def pictures(self, shape: tuple[int, ...]) -> Any: ...

    def free(self) -> None: ...


class Seat:
    """A decoding process, started when it is needed, and the memory that is lent to it; both end with this object."""

    def __init__(self, memory: LentMemory) -> None:
        self.memory = memory
        self._workers: list[Worker] = []
        weakref.finalize(self, _end, os.getpid(), self._workers, memory)

    def worker(self) -> Worker:
        """The process."""
        if not self._workers:
            self._workers.append(Worker(self.memory.lend))
        return self._workers[0]

    def discard(self) -> None:
        """Ends the process; the next one is another."""
        _end(os.getpid(), self._workers, self.memory)


def _end(owner: int, workers: list[Worker], memory: LentMemory) -> None:
    if os.getpid() == owner:  # not in a fork
        while workers:
            workers.pop().close()
        memory.free()  # of which the process has no hold any more


class GpuDecoders:
    """All of them. Safe to use from several threads.

    Args:
        name: of the decoder, for the processes.
        count: how many there are.
        memory: makes what is lent to one.
    """

    def __init__(self, name: HardwareName, count: int, memory: Callable[[], LentMemory]) -> None:
        self.name = name
        self.count = count
        self._free = [Seat(memory()) for _ in range(count)]
        self._failures = 0
        self._owner = os.getpid()
        self._waiting = 0
        self._clip_s: float | None = None  # that a clip took lately
        self._changed = threading.Condition()

    @classmethod
    def of(cls, device: int, free_bytes: int, at_least: int = 0) -> GpuDecoders | None:
        """Those of a GPU with so much free memory; None where it has no decoder, or no memory for them."""
        from framescribe.video.nvdec.memory import DeviceMemory
        from framescribe.video.nvdec.name import NvdecName, engines

        found = engines(device)
        count = max(at_least, min(found + 1, free_bytes // _BYTES_PER_PROCESS)) if found else 0
        return cls(NvdecName(device), count, lambda: DeviceMemory(device)) if count else None

    @property
    def memory_bytes(self) -> int:
        """Memory of the GPU that all of them take."""
        return self.count * PROCESS_BYTES

    def take(self, left: int | None = None, cpu_s: float | None = None) -> Seat | None:
        """One that is free, to be given back; else None. Near the end of a run it waits for one, if that is sooner than
        a CPU.

        Args:
            left: clips that nobody has begun, where no others come.
            cpu_s: seconds that a CPU takes for one.
        """
        if os.getpid() != self._owner:  # a fork cannot use the GPU
            return None
        with self._changed:
            if left is not None and cpu_s is not None and self._clip_s is not None:
                self._waiting += 1
                turns = (left + self._waiting) / self.count + 1
                if turns * self._clip_s < cpu_s:
                    self._changed.wait_for(lambda: self._free, timeout=cpu_s)
                self._waiting -= 1
            return self._free.pop() if self._free and self._failures < _FAILURES_UNTIL_GIVEN_UP else None

    def give_back(self, seat: Seat, has_failed: bool = False) -> None:
        """It is free again; ``has_failed``: its process did not answer."""
        with self._changed:
            self._failures = self._failures + 1 if has_failed else 0
            self._free.append(seat)
            self._changed.notify()
            if has_failed and self._failures == _FAILURES_UNTIL_GIVEN_UP:
                log.warning(
                    "the GPU's decoder failed %d times in a row; CPUs decode the rest", self._failures
                )

    @contextmanager
    def decoded(
        self,
        seat: Seat,
        clip: Clip,
        sampling: FrameSampling,
        timeout_s: float,
        memory_bytes: int,
        at_work: Callable[[Worker], AbstractContextManager[None]],
    ) -> Iterator[Frames | None]:
        """The frames of a clip, valid within the ``with`` block; None if a CPU is to decode it.

        Args:
            seat: that was taken; it is given back at the end.
            clip, sampling: what to decode.
            timeout_s, memory_bytes: that the process may take.
            at_work: is entered while the process works.

        Raises:
            ClipError: the clip cannot be opened, or has no such frames.
        """
        task = Task(
            os.getcwd(),
            decode_on,
            (clip, sampling, self.name),
            memory_bytes,
            has_pixels=True,
            may_borrow=True,
        )
        has_failed = False
        answer: Answer | None = None
        frames: Frames | None = None
        try:
            worker, started = seat.worker(), time.monotonic()
            try:
                with at_work(worker):
                    answer = worker.ask(task, timeout_s)
                self._clip_s = time.monotonic() - started
                frames = _frames(answer, worker, seat)
            except (WorkerDied, WorkerStuck) as error:
                log.debug("%s: its decoder on the GPU: %r", clip.source_video, error)
                has_failed = worker.is_reusable  # else it was killed with its run
            if frames is not None:
                yield frames
        finally:
            if answer is None:
                seat.discard()  # what it may still say would be taken for the next clip's answer
            self.give_back(seat, has_failed)
        if frames is None:
            yield None


def _frames(answer: Answer, worker: Worker, seat: Seat) -> Frames | None:
    if isinstance(answer.error, ClipError) and answer.error.stage == "decode":
        return None
    if answer.error is not None:
        raise answer.error
    frames: Frames = answer.value
    if (yuv := frames.yuv) is None:
        return dataclasses.replace(frames, pixels=worker.pixels(answer.shape))
    planes = seat.memory.pictures(yuv.shape)
    return dataclasses.replace(frames, yuv=dataclasses.replace(yuv, planes=planes))
