"""What bounds a run: how its time divides among decoding, the model and the writing of rows, and what to change."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal, get_args

Part = Literal["decoding", "model", "output"]

_WORTH_SAYING = 0.1
_LONG_S = 60.0
"""A shorter run is mostly its start and its last clips, which more CPUs would not change."""
_ADVICE: dict[Part, str] = {
    "decoding": "the model had room for clips that were not decoded yet {share:.0%} of the time; give it more CPUs",
    "output": "rows were being written {share:.0%} of the time; write them to a faster place",
}


class TimeSpent:
    """Adds up what a run waits for. For one thread.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._seconds: dict[Part, float] = dict.fromkeys(get_args(Part), 0.0)

    def start(self) -> None:
        """Time counts from now on."""
        self._last = self._clock()

    def on(self, part: Part) -> None:
        """All since the last call went to this part."""
        self.divide({part: 1.0})

    def divide(self, shares: Mapping[Part, float]) -> None:
        """All since the last call went to these parts, as far as they add up to 1."""
        now = self._clock()
        for part, share in shares.items():
            self._seconds[part] += share * (now - self._last)
        self._last = now

    @property
    def shares(self) -> Mapping[Part, float]:
        """Of all the time, by part; empty if there was none."""
        total = sum(self._seconds.values())
        return {part: seconds / total for part, seconds in self._seconds.items()} if total else {}


def said(shares: Mapping[Part, float], seconds: float) -> str:
    """What bounds a run of so many seconds, and what to change; nothing if that is the model, or it is short."""
    largest = max(_ADVICE, key=lambda part: shares.get(part, 0.0))
    share = shares.get(largest, 0.0)
    if share < _WORTH_SAYING or seconds < _LONG_S:
        return ""
    return f"bound by {largest}: " + _ADVICE[largest].format(share=share)
