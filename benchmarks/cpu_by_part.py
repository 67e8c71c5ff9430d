"""CPU seconds of this process's descendants by what they are, sampled while they live."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import psutil

_EVERY_S = 0.5
PARTS = {
    "framescribe.video.worker": "decoding",
    "PrepareStage": "preparing",
    "CaptionStage": "captioning",
    "Conductor": "conducting",
    "raylet": "Ray",
}
"""What a process's command line holds, and what it does; the first that fits. Others are ``others``."""


class CpuByPart:
    """Sums CPU seconds by part, and of each part's busiest thread: what it can do in a second is bounded by that."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, int, int], float] = {}
        self._samples: list[tuple[float, dict[tuple[str, int, int], float]]] = []
        self._end = threading.Event()

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        thread = threading.Thread(target=self._sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()

    def per_clip(self, start: float, end: float, clips: int) -> dict[str, dict[str, float]]:
        """CPU seconds from ``start`` to ``end`` by part, divided by so many clips: of all its threads, and of the
        busiest one."""
        samples = [used for at, used in self._samples if start <= at <= end]
        parts: dict[str, dict[str, float]] = {}
        for key, used in samples[-1].items():
            part = parts.setdefault(key[0], {"all": 0.0, "busiest_thread": 0.0})
            spent = (used - samples[0].get(key, 0.0)) / clips
            part["all"] += spent
            part["busiest_thread"] = max(part["busiest_thread"], spent)
        return {name: {what: round(s, 5) for what, s in part.items()} for name, part in sorted(parts.items())}

    def _sample(self) -> None:
        while not self._end.wait(_EVERY_S):
            for process in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    part = _part(" ".join(process.cmdline()))
                    for each in process.threads():
                        self._used[part, process.pid, each.id] = each.user_time + each.system_time
            self._samples.append((time.time(), dict(self._used)))


def _part(command: str) -> str:
    return next((part for sign, part in PARTS.items() if sign in command), "others")
