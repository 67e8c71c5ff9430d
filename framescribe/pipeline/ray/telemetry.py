"""How far a run is: workers report to the conductor, and to Ray's metrics (its dashboard and Prometheus endpoint)."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from framescribe.caption_row import CaptionRow
    from framescribe.pipeline.ray.feeder import Feeder

_PROBLEMS_KEPT = 50
_REPORT_S = 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """What one caption worker has done since its last report.

    Attributes:
        worker: host and process.
        statuses: rows by status.
        problems: what was wrong with them, the last ones.
        queue_clips: clips that it has now.
        busy: share of the time in which its engine had a clip.
    """

    worker: str
    statuses: Counter[str]
    problems: tuple[str, ...]
    queue_clips: int
    busy: float


@dataclass(slots=True)
class Progress:
    """How far a run is.

    Attributes:
        statuses: rows by status, as workers made them: a clip that is tried again may be counted twice.
        problems: messages since the last look.
        busy, queue_clips: by worker, as in its last report.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    busy: dict[str, float] = field(default_factory=dict)
    queue_clips: dict[str, int] = field(default_factory=dict)


class Tally:
    """Adds reports up; asked from one thread, told from others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress = Progress()
        self._problems: deque[str] = deque(maxlen=_PROBLEMS_KEPT)
        self._heard: dict[str, float] = {}

    def add(self, report: Report) -> None:
        """Takes a worker's report."""
        with self._lock:
            self._heard[report.worker] = time.monotonic()
            self._progress.statuses.update(report.statuses)
            self._progress.busy[report.worker] = report.busy
            self._progress.queue_clips[report.worker] = report.queue_clips
            self._problems.extend(report.problems)

    def note(self, *messages: str) -> None:
        """Takes messages that no worker sent."""
        with self._lock:
            self._problems.extend(messages)

    def look(self) -> Progress:
        """How far it is; of workers, only those that were heard of lately."""
        with self._lock:
            for worker, heard in list(self._heard.items()):
                if time.monotonic() - heard > 10 * _REPORT_S:
                    for of_worker in (self._heard, self._progress.busy, self._progress.queue_clips):
                        del of_worker[worker]
            progress = self._progress
            problems = list(self._problems)
            self._problems.clear()
            return Progress(
                Counter(progress.statuses), problems, dict(progress.busy), dict(progress.queue_clips)
            )


class WorkerReport:
    """Collects what a worker did and sends it each second, also when there is nothing new."""

    def __init__(self, conductor: Any, feeder: Feeder) -> None:
        import os
        import socket

        from ray.util import metrics

        self._conductor, self._feeder = conductor, feeder
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        tags = {"worker": self._worker}
        self._clips = metrics.Counter("framescribe_clips", "Clips with a row.", ("status", "worker"))
        self._queue = metrics.Gauge("framescribe_queue_clips", "Clips a worker has.", ("worker",))
        self._busy = metrics.Gauge(
            "framescribe_engine_busy",
            "Share of the last second in which a worker's engine had a clip.",
            ("worker",),
        )
        for metric in (self._clips, self._queue, self._busy):
            metric.set_default_tags(tags)
        self._lock = threading.Lock()
        self._statuses: Counter[str] = Counter()
        self._problems: deque[str] = deque(maxlen=_PROBLEMS_KEPT)
        self._measured, self._busy_s, self._share = time.monotonic(), 0.0, 0.0
        threading.Thread(target=self._tell_regularly, name="report", daemon=True).start()

    def add(self, rows: Sequence[CaptionRow]) -> None:
        """Takes the rows of some clips."""
        with self._lock:
            for row in rows:
                self._statuses[row.caption_status] += 1
                self._clips.inc(tags={"status": row.caption_status})
                if row.error_message:
                    self._problems.append(f"{row.caption_status} {row.error_message}")
        if not self._feeder.clips:
            self._tell()  # perhaps the last of the run, after which Ray ends this process

    def _tell_regularly(self) -> None:
        while True:
            time.sleep(_REPORT_S)
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            now, busy_s = time.monotonic(), self._feeder.busy_s
            if now - self._measured > _REPORT_S / 2:
                self._share = min(1.0, (busy_s - self._busy_s) / (now - self._measured))
                self._measured, self._busy_s = now, busy_s
            statuses, self._statuses = self._statuses, Counter()
            problems = tuple(self._problems)
            self._problems.clear()
        self._queue.set(self._feeder.clips)
        self._busy.set(self._share)
        report = Report(self._worker, statuses, problems, self._feeder.clips, self._share)
        self._conductor.report.remote(report)
