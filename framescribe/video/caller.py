"""Who waits for a clip that a worker decodes, and may leave."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from framescribe.video.worker_process import Worker


class Caller:
    """Who waits for one clip. ``leave``, from any thread, ends the worker that decodes it.

    Attributes:
        has_left: nobody waits any more.
    """

    def __init__(self) -> None:
        self.has_left = False
        self._worker: Worker | None = None
        self._lock = threading.Lock()

    def leave(self) -> None:
        """Ends the worker that is at it, if one is, and none begins."""
        with self._lock:
            self.has_left = True
            if self._worker is not None:
                self._worker.kill()

    @contextmanager
    def waiting(self, worker: Worker) -> Iterator[None]:
        """While a worker is at it."""
        with self._lock:
            self._worker = worker
            if self.has_left:
                worker.kill()
        try:
            yield
        finally:
            with self._lock:
                self._worker = None
