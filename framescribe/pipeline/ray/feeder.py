"""One session, fed from several threads: it is never drained while any of them has a clip."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from framescribe.caption_row import CaptionRow
from framescribe.errors import DeviceError

if TYPE_CHECKING:
    from framescribe.prepare import Prepared
    from framescribe.session import CaptionSession


class EngineFailure(Exception):
    """The engine raised; what it still holds is lost.

    Attributes:
        reason: what it raised.
        is_of_one_clip: whether that is certainly due to the one clip that was in it.
    """

    def __init__(self, reason: Exception, clips: int) -> None:
        super().__init__(f"the engine failed with {clips} clips in it: {reason}")
        self.__cause__ = self.reason = reason
        self.is_of_one_clip = clips == 1 and not isinstance(reason, DeviceError)


@dataclass(slots=True)
class _Waiting:
    """A clip whose rows are waited for."""

    questions: int
    future: Future[list[CaptionRow]]
    rows: list[CaptionRow] = field(default_factory=list)


class Feeder:
    """Owns a session in a thread of its own. ``caption`` may be called from several threads at a time."""

    def __init__(self, session: CaptionSession) -> None:
        self._session = session
        self._new: queue.SimpleQueue[tuple[Prepared, Future[list[CaptionRow]]]] = queue.SimpleQueue()
        self._waiting: dict[str, _Waiting] = {}
        self._failure: EngineFailure | None = None
        self._busy_s = 0.0
        threading.Thread(target=self._feed, name="feeder", daemon=True).start()

    @property
    def busy_s(self) -> float:
        """Seconds in which there was a clip to work on."""
        return self._busy_s

    @property
    def clips(self) -> int:
        """That are here and have no row yet."""
        return len(self._waiting) + self._new.qsize()

    @property
    def failure(self) -> EngineFailure | None:
        """Set once the engine has failed; from then on nothing works any more."""
        return self._failure

    def caption(self, clips: Sequence[Prepared]) -> list[list[CaptionRow] | Exception]:
        """Waits for the rows of some clips, clip by clip; an exception is what adding that clip raised.

        Raises:
            EngineFailure: the engine failed before all had a row.
        """
        futures: list[Future[list[CaptionRow]]] = []
        for prepared in clips:
            future: Future[list[CaptionRow]] = Future()
            futures.append(future)
            self._new.put((self._session.upload(prepared), future))
        results: list[list[CaptionRow] | Exception] = []
        for future in futures:
            error = future.exception()
            if isinstance(error, EngineFailure):
                raise error
            assert error is None or isinstance(error, Exception)
            results.append(future.result() if error is None else error)
        return results

    def _feed(self) -> None:
        while True:
            self._take()
            started = time.monotonic()
            try:
                rows = self._session.step()
            except Exception as error:  # noqa: BLE001 - passed to all who wait
                self._fail(error)
            else:
                for row in rows:
                    self._deliver(row)
            self._busy_s += time.monotonic() - started

    def _take(self) -> None:
        """Adds what is new; waits if there is nothing else to do."""
        while not len(self._session) or not self._new.empty():
            prepared, future = self._new.get()
            if self._failure is not None:
                future.set_exception(self._failure)
                continue
            clip_id = prepared.task.clip.id
            self._waiting[clip_id] = _Waiting(len(prepared.task.questions), future)
            try:
                self._session.add(prepared)
            except Exception as error:  # noqa: BLE001 - this clip's, which becomes its row
                self._waiting.pop(clip_id).future.set_exception(error)

    def _deliver(self, row: CaptionRow) -> None:
        waiting = self._waiting[row.clip_id]
        waiting.rows.append(row)
        if len(waiting.rows) == waiting.questions:
            self._waiting.pop(row.clip_id).future.set_result(waiting.rows)

    def _fail(self, error: Exception) -> None:
        self._failure = EngineFailure(error, len(self._waiting))
        self._session.close()
        while self._waiting:
            self._waiting.popitem()[1].future.set_exception(self._failure)
