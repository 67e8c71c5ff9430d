"""One thread steps the engine for all requests; the event loop only hears that something is new.

Requests come and go between two steps, in this thread: whoever asked from another would wait for a step's end, and
maybe for many, as a lock is not handed over in order.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from functools import partial

from framescribe.engine.engine import Engine
from framescribe.engine.request import Completion, Request
from framescribe.engine.sequence import Sequence
from framescribe.errors import DeviceError

log = logging.getLogger("framescribe")


class Job:
    """A request in the engine, as the event loop sees it. Made in a coroutine.

    Args:
        request: what to generate.
        is_streamed: tell of each token, not only of the end.

    Attributes:
        changed: is set when there is something new.
        completion: at the end.
        failure: why there will be none.
        first_token_s: when the first token was read, on the monotonic clock.
    """

    def __init__(self, request: Request, is_streamed: bool) -> None:
        self.request, self.is_streamed = request, is_streamed
        self.changed = asyncio.Event()
        self.completion: Completion | None = None
        self.failure: Exception | None = None
        self.first_token_s: float | None = None
        self.sequence: Sequence | None = None
        self._loop = asyncio.get_running_loop()
        self._told = 0

    @property
    def token_ids(self) -> list[int]:
        """Those read so far; it grows."""
        return [] if self.sequence is None else self.sequence.token_ids

    @property
    def is_over(self) -> bool:
        return self.completion is not None or self.failure is not None

    def tell(self) -> None:
        """Called by the engine's thread after each step."""
        count = len(self.token_ids)
        if count and self.first_token_s is None:
            self.first_token_s = time.monotonic()
        is_new = count > self._told and self.is_streamed and not self.changed.is_set()
        if not (is_new or self.is_over):
            return
        self._told = count
        try:
            self._loop.call_soon_threadsafe(self.changed.set)
        except RuntimeError:  # the loop is closed: nobody waits any more
            log.debug("a request's event loop is closed")


class EngineThread:
    """Steps an engine as long as there is something to do. ``submit`` and ``cancel`` return at once.

    Args:
        engine: of a captioner.

    Attributes:
        failure: of the device, after which nothing is generated any more.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._coming: deque[Job] = deque()
        self._leaving: deque[Job] = deque()
        self._jobs: set[Job] = set()
        self._is_closed = False
        self.failure: DeviceError | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Jobs that are not over."""
        return len(self._jobs) + len(self._coming)

    def submit(self, job: Job) -> None:
        """Queues a job."""
        with self._changed:
            if self.failure is not None or self._is_closed:
                job.failure = self.failure or DeviceError("the engine is stopped")
                job.tell()
                return
            self._coming.append(job)
            self._changed.notify()

    def cancel(self, job: Job) -> None:
        """Drops a job, wherever it is; of one that is over nothing is left to drop."""
        if not job.is_over:
            with self._changed:
                self._leaving.append(job)
                self._changed.notify()

    def close(self) -> None:
        """Ends the thread, after the step it is in."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:  # so that nobody waits for ever, and health checks say so
            log.exception("the engine's thread ended")
            self.failure = DeviceError(f"the engine ended: {error}")
            self._fail(self.failure)

    def _work(self) -> None:
        while self._take_in():
            try:
                self._engine.step()
            except DeviceError as error:
                with self._changed:
                    self.failure = error
                self._fail(error)
                return
            except Exception as error:
                log.exception("a step of the engine failed")
                self._fail(error)
            self._tell()
        self._fail(DeviceError("the server is stopped"))

    def _take_in(self) -> bool:
        """Begins and drops what others asked for; waits while there is nothing to do. False at the end."""
        with self._changed:
            while not (self._coming or self._leaving or self._jobs or self._is_closed):
                self._changed.wait()
            coming, leaving = list(self._coming), list(self._leaving)
            self._coming.clear()
            self._leaving.clear()
        for job in coming:
            self._jobs.add(job)
            job.sequence = self._engine.add(job.request, partial(_complete, job))
        if dropped := [job for job in leaving if job in self._jobs]:
            self._jobs.difference_update(dropped)
            self._engine.cancel([job.sequence for job in dropped if job.sequence is not None])
        return not self._is_closed

    def _tell(self) -> None:
        for job in self._jobs:
            job.tell()
        self._jobs = {job for job in self._jobs if not job.is_over}

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._jobs.update(self._coming)
            self._coming.clear()
        sequences = [job.sequence for job in self._jobs if job.sequence is not None]
        for job in self._jobs:
            job.failure = job.failure or error
        self._tell()
        self._engine.cancel(sequences)


def _complete(job: Job, completion: Completion) -> None:
    job.completion = completion
