"""How fast clips are captioned, and how long the rest will take: arithmetic on times that are passed in."""

from __future__ import annotations

from collections import Counter, deque
from itertools import pairwise

_WINDOW_S, _WINDOW_CLIPS = 60.0, 16
_SPEED_S = 10.0


class Pace:
    """Estimates from what was done lately, and from what the captions that are being written have come to.

    The rate is that of the last minute, or of the last 16 clips where those took longer. A pause that is longer than
    any of that time counts too, so the rate falls while a few long captions hold up the end. The time left is the
    longest of three: the clips left at that rate; what a caption as long as the longest being written usually still has
    before it (as much again, if none was that long); and as long again as such a pause.

    Args:
        total: clips of the run.
        started: when it began, in seconds of any clock.
    """

    def __init__(self, total: int, started: float) -> None:
        self._total = total
        self._done = 0
        # When so many clips were done; the first entry is where the window begins.
        self._times: deque[tuple[float, int]] = deque([(started, 0)])
        self._lengths: Counter[int] = Counter()
        self._writing = 0
        self._speed = 0.0
        self._speed_from: tuple[float, int] | None = None

    def did(self, done: int, now: float, tokens: int | None = None) -> None:
        """``done`` clips are done by now; the last one's caption had ``tokens``."""
        if tokens is not None:
            self._lengths[tokens] += 1
        if done <= self._done:
            return
        self._done = done
        self._times.append((now, done))
        while len(self._times) > 2 and self._is_beyond_window(self._times[1], now):
            self._times.popleft()

    def writes(self, tokens: int, now: float) -> None:
        """The longest caption that is being written has ``tokens`` by now."""
        self._writing = tokens
        since, before = self._speed_from or (now, tokens)
        if self._speed_from is None or tokens < before:
            self._speed_from = (now, tokens)
        elif now - since >= _SPEED_S or (not self._speed and now > since):
            self._speed = (tokens - before) / (now - since)
            self._speed_from = (now, tokens)

    def clips_per_s(self, now: float) -> float:
        """Of late; 0 before the first clip is done."""
        since, before = self._times[0]
        until = now if self._pause(now) else self._times[-1][0]
        return (self._done - before) / (until - since) if until > since else 0.0

    def left_s(self, now: float) -> float | None:
        """Seconds until all is done; None as long as nothing tells."""
        left = self._total - self._done
        if left <= 0:
            return 0.0
        if not (rate := self.clips_per_s(now)):
            return None
        return max(
            left / rate, self._tokens_to_come() / self._speed if self._speed else 0.0, self._pause(now)
        )

    def _pause(self, now: float) -> float:
        """Seconds since the last clip, if no pause of late was as long; else 0."""
        pause = now - self._times[-1][0]
        longest = max((later - time for (time, _), (later, _) in pairwise(self._times)), default=0.0)
        return pause if pause > longest else 0.0

    def _tokens_to_come(self) -> float:
        longer = Counter({length: count for length, count in self._lengths.items() if length > self._writing})
        if not longer:
            return self._writing
        return sum(length * count for length, count in longer.items()) / longer.total() - self._writing

    def _is_beyond_window(self, entry: tuple[float, int], now: float) -> bool:
        return entry[0] < now - _WINDOW_S and self._done - entry[1] >= _WINDOW_CLIPS
