"""What a decoding process runs: ``main``, with the arguments CONNECTION and BLOCK. Imports no torch.

It takes clips from a socket, writes their pixels to the memory that it shares with the parent, and answers with
the rest. Both are file descriptors that it inherits. It ends when the parent closes the socket, or dies.
"""

from __future__ import annotations

import dataclasses
import math
import mmap
import os
import queue
import signal
import sys
import threading
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from framescribe.errors import ClipError, ErrorStage
from framescribe.types import Clip, Frames, FrameSampling
from framescribe.video.decode import Pixels, decode_frames

Task = tuple[str, Clip, FrameSampling]  # first the folder that relative paths start from


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a clip cannot be decoded; what a ``ClipError`` is made of."""

    stage: ErrorStage
    message: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """A clip's frames without their pixels, and the shape [T, 3, H, W] of those in the shared memory."""

    frames: Frames
    shape: tuple[int, ...]


class SharedBlock:
    """Memory behind a file descriptor, for one clip's pixels at a time.

    It grows to the largest clip and stays mapped: mapping it for each clip takes a fifth of the time of decoding.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory: Pixels = np.empty(0, np.uint8)

    def pixels(self, shape: tuple[int, ...]) -> Pixels:
        """The memory's first bytes as a uint8 array of this shape."""
        size = math.prod(shape)
        if size > len(self._memory):
            if size > os.fstat(self._descriptor).st_size:
                os.ftruncate(self._descriptor, size)
            self._memory = np.frombuffer(mmap.mmap(self._descriptor, size), np.uint8)
        return self._memory[:size].reshape(shape)


def main() -> None:
    """Decode until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent too, who ends this process
    connection: Connection[Any, Any] = Connection(int(sys.argv[1]))
    block = SharedBlock(int(sys.argv[2]))
    tasks: queue.SimpleQueue[Task] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, tasks), daemon=True).start()
    connection.send(None)  # ready: only now does a clip's time begin
    while True:
        folder, clip, sampling = tasks.get()
        os.chdir(folder)
        connection.send(_decode(clip, sampling, block))


def _receive(connection: Connection[Any, Any], tasks: queue.SimpleQueue[Task]) -> None:
    """Passes tasks on. In a thread, so that a process that is stuck in a clip notices the end of its parent."""
    while True:
        try:
            tasks.put(connection.recv())
        except (EOFError, OSError):
            os._exit(0)


def _decode(clip: Clip, sampling: FrameSampling, block: SharedBlock) -> Decoded | Failure:
    try:
        frames = decode_frames(clip, sampling, block.pixels)
    except ClipError as error:
        return Failure(error.stage, str(error))
    except Exception as error:  # noqa: BLE001 - crosses to the parent, whose boundary makes a row of it
        return Failure("decode", f"{clip.source_video}: {type(error).__name__}: {error}")
    shape = frames.pixels.shape
    return Decoded(dataclasses.replace(frames, pixels=np.empty((0, 3, 0, 0), np.uint8)), shape)
