"""Decoding in worker processes: a clip that hangs or crashes its decoder costs that clip, not the run.

Each worker is a fresh interpreter (no fork of a process with threads or CUDA, no import of the caller's main
script, no torch: 0.2 s and 50 MB) and decodes one clip at a time into memory that it shares with this process.
That memory has no name, so nothing is left behind however either process ends, and needs no room in ``/dev/shm``,
which is small in containers. Whoever asks for a clip waits for it and uses its pixels before it asks for the next:
a run holds no more decoded clips than it has threads that ask, and a worker's memory is as large as its largest clip.

What crosses is uint8 at the source's resolution, and the pixels are those of ``decode_frames``. Scaling in the worker
and rounding to uint8 at model size would send less (for 720x480, 5 of 25 MB a clip), but changes normalised pixels by
up to 0.0075, as the published order is to normalise, then to resize; and it saves no time where decoding is what
takes long: crossing costs 5 to 8 % of it. Figures: ``benchmarks/decode_throughput.py``.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, BinaryIO

from framescribe.errors import ClipError
from framescribe.types import Clip, Frames, FrameSampling
from framescribe.video.archive import TarMember
from framescribe.video.decode import decode_frames
from framescribe.video.worker import Decoded, Failure, SharedBlock

DEFAULT_TIMEOUT_S = 120.0

# Not `-m`: the answers' types would then belong to a module `__main__` that the parent does not have.
_PROGRAM = "from framescribe.video.worker import main; main()"

_WORKER_PACKAGES = ("framescribe", "av", "numpy", "fsspec", "aiohttp", "s3fs", "gcsfs")


def usable_cpus() -> int:
    """CPUs that this process may run on: under taskset, Slurm or a container's cpuset fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Worker:
    """One decoding process with the memory that it shares; ended when nothing refers to it, or at exit."""

    def __init__(self) -> None:
        file = _unnamed_file()
        self._block = SharedBlock(file.fileno())
        # Its own, so that what a killed worker was fetching goes too.
        folder = tempfile.TemporaryDirectory(prefix="framescribe-")
        ours, theirs = socket.socketpair()
        with theirs:
            inherited = (theirs.fileno(), file.fileno())
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, *map(str, inherited)],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": _import_path(), "TMPDIR": folder.name},
            )
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self._is_ready = False
        self.close = weakref.finalize(self, _close, self._process, self._connection, file, folder)

    def decode(self, clip: Clip, sampling: FrameSampling, timeout_s: float) -> Frames:
        """As ``decode_frames``; the pixels are valid until the next call.

        Raises:
            ClipError: as ``decode_frames``.
            TimeoutError: there is no answer after ``timeout_s`` seconds.
            EOFError, ConnectionError: the process has died.
        """
        if not self._is_ready:
            self._connection.recv()
            self._is_ready = True
        self._connection.send((os.getcwd(), clip, sampling))
        if not self._connection.poll(timeout_s):
            raise TimeoutError
        answer: Decoded | Failure = self._connection.recv()
        if isinstance(answer, Failure):
            raise ClipError(answer.stage, answer.message)
        return dataclasses.replace(answer.frames, pixels=self._block.pixels(answer.shape))

    def kill(self) -> None:
        """Kills the process, whoever waits for it; ``close`` then frees the rest."""
        self._process.kill()

    def death(self) -> str:
        """What the dead process died of."""
        code = self._process.wait()
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


class DecodeWorkers:
    """Workers for the clips of one run: as many as ask at the same time. Safe to use from several threads.

    Leaving the ``with`` block ends the work in progress; idle workers stay for the next run.
    """

    def __init__(self, idle: list[Worker], timeout_s: float) -> None:
        """
        Args:
            idle: workers of earlier runs, used first; this run's are given back here.
            timeout_s: seconds that a clip may take, opening and fetching included.
        """
        self._idle = idle
        self._timeout_s = timeout_s
        self._busy: set[Worker] = set()
        self._is_over = False
        self._lock = threading.Lock()

    def __enter__(self) -> DecodeWorkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._is_over = True
            for worker in self._busy:
                worker.kill()

    @contextmanager
    def decoded(self, clip: Clip, sampling: FrameSampling) -> Iterator[Frames]:
        """The frames of a clip, whose pixels are valid within the ``with`` block.

        A worker that exceeds the time is killed. One that dies is replaced, and its clip tried once more. An open
        file and a ``memory://`` URL exist in this process only: they are decoded here, without a time limit.

        Raises:
            ClipError: as ``decode_frames``, and at stage ``decode`` for a time-out or a worker that died.
        """
        if not can_cross(clip):
            yield decode_frames(clip, sampling)
            return
        worker, frames = self._decode(clip, sampling)
        try:
            yield frames
        finally:
            self._release(worker)

    def _decode(self, clip: Clip, sampling: FrameSampling) -> tuple[Worker, Frames]:
        deaths: list[str] = []
        while len(deaths) < 2:
            worker = self._acquire(clip)
            try:
                return worker, worker.decode(clip, sampling, self._timeout_s)
            except ClipError:
                self._release(worker)
                raise
            except TimeoutError:
                self._discard(worker)
                raise ClipError(
                    "decode",
                    f"{clip.source_video}: stopped after the time-out: decoding takes more than "
                    f"{self._timeout_s:g} s",
                ) from None
            except (EOFError, ConnectionError):
                self._discard(worker)
                deaths.append(worker.death())
        raise ClipError("decode", f"{clip.source_video}: its decoder died twice ({', '.join(deaths)})")

    def _acquire(self, clip: Clip) -> Worker:
        with self._lock:
            if self._is_over:
                raise ClipError("decode", f"{clip.source_video}: stopped with the run")
            worker = self._idle.pop() if self._idle else Worker()
            self._busy.add(worker)
            return worker

    def _release(self, worker: Worker) -> None:
        with self._lock:
            self._busy.remove(worker)
            if not self._is_over:
                self._idle.append(worker)

    def _discard(self, worker: Worker) -> None:
        with self._lock:
            self._busy.remove(worker)
        worker.close()


def can_cross(clip: Clip) -> bool:
    """Whether another process can read a clip."""
    is_here = clip.data is None and clip.source_video.startswith("memory://")
    return not is_here and isinstance(clip.data, bytes | TarMember | None)


def _import_path() -> str:
    """The folders that a worker's modules come from, in this process's order.

    Only these: whatever else a program puts on ``sys.path`` (a broken import of OpenCV leaves a folder there that
    has a ``typing``) would come before a new interpreter's standard library.
    """
    found = [importlib.util.find_spec(name) for name in _WORKER_PACKAGES]
    folders = {os.path.dirname(os.path.dirname(spec.origin)) for spec in found if spec and spec.origin}
    # The standard library keeps its place before installed packages.
    folders.add(os.path.dirname(os.__file__))
    # A folder that is on no path is that of an empty entry, the first, or of an editable installation's hook.
    order = {folder: place for place, folder in reversed(list(enumerate(sys.path)))}
    return os.pathsep.join(sorted(folders, key=lambda folder: order.get(folder, -1)))


def _unnamed_file() -> BinaryIO:
    """A file in memory where the system knows such, else in the folder for temporary files; gone when closed."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("framescribe"), "r+b")
    return tempfile.TemporaryFile()


def _close(
    process: subprocess.Popen[bytes],
    connection: Connection[Any, Any],
    file: BinaryIO,
    folder: tempfile.TemporaryDirectory[str],
) -> None:
    process.kill()
    process.wait()
    connection.close()
    file.close()
    folder.cleanup()
