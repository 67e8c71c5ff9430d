"""The processes that decode with a GPU's decoder, as this process sees them.

A few are enough, and each takes some of the GPU's memory: whoever finds none free decodes on a CPU. They run the
program of all decoding processes (``worker.py``), with memory of the GPU that is lent to them. One that hangs or dies
is replaced; if several do so one after another, the rest of the clips are left to the CPUs.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any, Protocol

from framescribe.video.nvdec.frames import HardwareName
from framescribe.video.worker_process import Worker

log = logging.getLogger("framescribe")

PROCESS_BYTES = 750_000_000
"""Memory of the GPU that a process takes: its context, its decoder, and the pictures of a clip in 1080p."""

_BYTES_PER_PROCESS = 10_000_000_000
"""One process for so much memory that the GPU has: most of it is the model's."""

_FAILURES_UNTIL_GIVEN_UP = 3


class LentMemory(Protocol):
    """See ``nvdec.memory.DeviceMemory``."""

    def lend(self, size: int) -> bytes: ...

    def pictures(self, shape: tuple[int, ...]) -> Any: ...

    def free(self) -> None: ...


class Seat:
    """A decoding process, started when it is needed, and the memory that is lent to it."""

    def __init__(self, memory: LentMemory) -> None:
        self.memory = memory
        self._worker: Worker | None = None

    def worker(self) -> Worker:
        """The process."""
        if self._worker is None:
            self._worker = Worker(self.memory.lend)
        return self._worker

    def discard(self) -> None:
        """Ends the process, which then has no hold of the memory any more."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        self.memory.free()


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
        self._lock = threading.Lock()

    @classmethod
    def of(cls, device: int, total_bytes: int) -> GpuDecoders | None:
        """Those of a GPU with so much memory; None where it has no decoder, or no memory for them."""
        from framescribe.video.nvdec.memory import DeviceMemory
        from framescribe.video.nvdec.name import NvdecName, engines

        found = engines(device)
        count = min(found + 1, round(total_bytes / _BYTES_PER_PROCESS)) if found else 0
        return cls(NvdecName(device), count, lambda: DeviceMemory(device)) if count else None

    @property
    def memory_bytes(self) -> int:
        """Memory of the GPU that all of them take."""
        return self.count * PROCESS_BYTES

    def take(self) -> Seat | None:
        """One that is free; to be given back."""
        if os.getpid() != self._owner:  # a fork cannot use the GPU
            return None
        with self._lock:
            return self._free.pop() if self._free and self._failures < _FAILURES_UNTIL_GIVEN_UP else None

    def give_back(self, seat: Seat, has_failed: bool = False) -> None:
        """It is free again. One that has failed is replaced."""
        if has_failed:
            seat.discard()
        with self._lock:
            self._failures = self._failures + 1 if has_failed else 0
            self._free.append(seat)
            if has_failed and self._failures == _FAILURES_UNTIL_GIVEN_UP:
                log.warning(
                    "the GPU's decoder failed %d times in a row; CPUs decode the rest", self._failures
                )
