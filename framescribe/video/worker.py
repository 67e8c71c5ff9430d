"""What a decoding process runs: ``main``, with the arguments CONNECTION, BLOCK, FOLDER and LEVEL. Imports no torch.

It takes tasks from a socket, writes pixels to the memory that it shares with the parent, and answers with
the rest. Both are file descriptors that it inherits. It ends when the parent closes the socket, or dies, and then
removes FOLDER, where it keeps temporary files. What it logs from LEVEL on goes to its stderr.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import math
import mmap
import os
import queue
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from framescribe.errors import ClipError, FramescribeError
from framescribe.types import Clip
from framescribe.video.display import Pixels
from framescribe.video.memory import MemoryLimit, too_large

_SIGN_OF_LIFE_S = 0.5

_LESS_URGENT = 5
"""Steps of priority below the parent, whose model would wait where more processes decode than there are cores."""


@dataclass(frozen=True, slots=True)
class Task:
    """A call of a function of the module level.

    Attributes:
        folder: where relative paths start.
        function: returns the answer; a generator yields as it goes on before it returns.
        args: its arguments, of which the first is the clip.
        memory_bytes: memory that it may take, the pixels included.
        has_pixels: the function is also given what gives an array for pixels, and it returns ``Frames``.
        may_borrow: it is then given what gives a handle of so many bytes that the parent lends.
    """

    folder: str
    function: Callable[..., Any]
    args: tuple[Any, ...]
    memory_bytes: int
    has_pixels: bool = False
    may_borrow: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """A message within a task: the parent is to lend so many bytes, and answers with their handle."""

    size: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a task: a value, with the shape [T, 3, H, W] of its pixels in the shared memory; or an error."""

    value: Any = None
    shape: tuple[int, ...] = ()
    error: FramescribeError | OSError | None = None


class SharedBlock:
    """Memory behind a file descriptor, for one clip's pixels at a time.

    It grows to the largest clip and stays mapped: mapping it anew for each clip would slow decoding down.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: Pixels = np.empty(0, np.uint8)

    @property
    def size(self) -> int:
        """In bytes."""
        return len(self._memory)

    def pixels(self, shape: tuple[int, ...]) -> Pixels:
        """The memory's first bytes as a uint8 array of this shape."""
        size = math.prod(shape)
        if size > len(self._memory):
            if size > os.fstat(self._descriptor).st_size:
                os.ftruncate(self._descriptor, size)
            self._memory = np.frombuffer(mmap.mmap(self._descriptor, size), np.uint8)
        return self._memory[:size].reshape(shape)


def main() -> None:
    """Work until the parent is gone."""
    os.nice(_LESS_URGENT)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent too, who ends this process
    with contextlib.suppress(
        OSError
    ):  # Linux: where memory runs out, this process goes rather than its parent
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    logging.basicConfig(format="%(message)s")
    logging.getLogger("framescribe").setLevel(int(sys.argv[4]))
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    block = SharedBlock(int(sys.argv[2]))
    limit = MemoryLimit()
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def borrow(size: int) -> bytes:
        connection.send(Needs(size))
        handle: bytes = tasks.get()
        return handle

    threading.Thread(target=_receive, args=(connection, tasks, sys.argv[3]), daemon=True).start()
    connection.send(None)  # ready: only now does a task's time begin
    while True:
        task = tasks.get()
        connection.send(None)  # begun
        os.chdir(task.folder)
        connection.send(_done(task, connection, block, limit, borrow))


def _receive(connection: Connection[Any, Any], tasks: queue.SimpleQueue[Any], folder: str) -> None:
    """Passes tasks on. In a thread, so that a process that is stuck in a clip notices the end of its parent."""
    while True:
        try:
            tasks.put(connection.recv())
        except (EOFError, OSError):
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(0)


def _done(
    task: Task,
    connection: Connection[Any, Any],
    block: SharedBlock,
    limit: MemoryLimit,
    borrow: Callable[[int], bytes],
) -> Answer:
    clip: Clip = task.args[0]

    def allocate(shape: tuple[int, ...]) -> Pixels:
        limit.set(task.memory_bytes, max(block.size, math.prod(shape)))
        return block.pixels(shape)

    try:
        limit.set(task.memory_bytes, block.size)
        if task.has_pixels:
            frames = task.function(*task.args, allocate, *([borrow] if task.may_borrow else []))
            shape = frames.pixels.shape
            return Answer(dataclasses.replace(frames, pixels=np.empty((0, 3, 0, 0), np.uint8)), shape)
        value = task.function(*task.args)
        return Answer(_returned(value, connection) if isinstance(value, Generator) else value)
    except MemoryError:
        return Answer(error=too_large(clip, task.memory_bytes))
    except (FramescribeError, OSError) as error:
        return Answer(error=error)
    except Exception as error:  # noqa: BLE001 - crosses to the parent, whose boundary makes a row of it
        return Answer(error=ClipError("decode", f"{clip.source_video}: {type(error).__name__}: {error}"))


def _returned(steps: Generator[object, None, object], connection: Connection[Any, Any]) -> object:
    """What a generator returns. While it goes on, the parent gets signs of life."""
    sent_s = time.monotonic()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        if time.monotonic() - sent_s > _SIGN_OF_LIFE_S:
            connection.send(None)
            sent_s = time.monotonic()
