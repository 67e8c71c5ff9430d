"""A worker process as its parent sees it: started, asked, and ended when nothing refers to it, or at exit.

Its memory has no name, so nothing is left behind however either process ends, and needs no room in ``/dev/shm``,
which is small in containers.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, BinaryIO

from framescribe.video.display import Pixels
from framescribe.video.worker import Answer, Needs, SharedBlock, Task

log = logging.getLogger("framescribe")

_LONGEST_LINE = 4096

# Not `-m`: the answers' types would then belong to a module `__main__` that the parent does not have.
_PROGRAM = "from framescribe.video.worker import main; main()"

_WORKER_PACKAGES = ("framescribe", "av", "numpy", "pyarrow", "fsspec", "aiohttp", "s3fs", "gcsfs", "cv2")


class WorkerDied(Exception):
    """The process is gone.

    Attributes:
        exit_code: of the process; below 0 the signal that ended it.
        was_idle: it had started well, or was being started by a signal's leave, and had not begun the task.
    """

    def __init__(self, exit_code: int, was_idle: bool) -> None:
        self.exit_code = exit_code
        self.was_idle = was_idle


class WorkerStuck(Exception):
    """The process gives no sign of life; ``has_begun`` says whether it had begun the task."""

    def __init__(self, has_begun: bool) -> None:
        self.has_begun = has_begun


class Worker:
    """One decoding process with the memory that it shares; of this process alone, not of a fork of it.

    Args:
        lend: gives the handle of so many bytes of other memory, for tasks that ask for it.
    """

    def __init__(self, lend: Callable[[int], bytes] | None = None) -> None:
        self._lend = lend
        file = _unnamed_file()
        self._block = SharedBlock(file.fileno())
        # Its own, so that what a killed worker was fetching goes too.
        folder = tempfile.mkdtemp(prefix="framescribe-")
        ours, theirs = socket.socketpair()
        with theirs:
            inherited, level = (theirs.fileno(), file.fileno()), log.getEffectiveLevel()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, *map(str, inherited), folder, str(level)],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": _import_path(), "TMPDIR": folder},
            )
        # What C libraries write would tear a bar that the terminal shows.
        threading.Thread(target=_log_lines, args=(self._process.stderr,), daemon=True).start()
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self._is_ready = False
        self._owner = os.getpid()
        self._is_retired = False
        self.close = weakref.finalize(
            self, _close, self._owner, self._process, self._connection, file, folder
        )
        _WORKERS.add(self)

    @property
    def is_reusable(self) -> bool:
        """Whether it may be given another task, by this process."""
        return not self._is_retired and self._owner == os.getpid()

    def retire(self) -> None:
        """After this task it gets no other, so that its pixels stay what they are for whoever still sees them."""
        self._is_retired = True

    @property
    def shared_bytes(self) -> int:
        """Memory shared with the process: as much as its largest clip needed."""
        return self._block.size

    def ask(self, task: Task, timeout_s: float) -> Answer:
        """Has a task done.

        Args:
            task: what to do.
            timeout_s: seconds without a sign of life until the process counts as stuck.

        Raises:
            WorkerDied, WorkerStuck: there is no answer.
        """
        has_begun = False
        try:
            if not self._is_ready:
                self._receive(timeout_s)
                self._is_ready = True
            self._connection.send(task)
            self._receive(timeout_s)  # it has the task: a death before this is not the clip's doing
            has_begun = True
            while not isinstance(answer := self._receive(timeout_s), Answer):
                if isinstance(answer, Needs):
                    assert self._lend is not None
                    self._connection.send(self._lend(answer.size))
        except TimeoutError:
            raise WorkerStuck(has_begun) from None
        except (EOFError, ConnectionError):
            exit_code = self._process.wait()
            # One that ends by itself while it starts does so each time: an installation that is not whole.
            raise WorkerDied(exit_code, not has_begun and (self._is_ready or exit_code < 0)) from None
        return answer

    def _receive(self, timeout_s: float) -> Answer | Needs | None:
        """The next message: None is a sign of life."""
        if not self._connection.poll(timeout_s):
            raise TimeoutError
        message: Answer | Needs | None = self._connection.recv()
        return message

    def pixels(self, shape: tuple[int, ...]) -> Pixels:
        """What it wrote last to the shared memory: uint8 of this shape, valid until the next task."""
        return self._block.pixels(shape)

    def kill(self) -> None:
        """Kills the process, whoever waits for it; ``close`` then frees the rest."""
        self.retire()
        self._process.kill()

    def leave_to_parent(self) -> None:
        """In a fork: lets go of a process that is the parent's, which would otherwise outlive it."""
        self.close.detach()
        self._process.returncode = 0  # not waited for here
        self._connection.close()


_WORKERS: weakref.WeakSet[Worker] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for worker in tuple(_WORKERS):
        worker.leave_to_parent()
    _WORKERS.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


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


def _log_lines(written: BinaryIO) -> None:
    """Passes on what a worker writes to its stderr, until it ends."""
    with written:
        while line := written.readline(_LONGEST_LINE):
            log.debug("decoder: %s", line.decode(errors="replace").rstrip())


def _unnamed_file() -> BinaryIO:
    """A file in memory where the system knows such, else in the folder for temporary files; gone when closed."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("framescribe"), "r+b")
    return tempfile.TemporaryFile()


def _close(
    owner: int,
    process: subprocess.Popen[bytes],
    connection: Connection[Any, Any],
    file: BinaryIO,
    folder: str,
) -> None:
    if os.getpid() == owner:  # not in a fork that was made without Python's knowledge
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    connection.close()
    file.close()
