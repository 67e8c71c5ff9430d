"""How many requests each server gets at a time, and which server is next."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from dataclasses import dataclass, field

_FIRST_LIMIT = 4.0
_FAILURES_OF_ONE_DOWN = 4


def back_off_s(tries: int) -> float:
    """Seconds to wait after so many tries that failed: exponential, with full jitter, so that callers spread."""
    return random.uniform(0.0, min(60.0, 0.25 * 2.0 ** min(tries, 10)))


@dataclass(slots=True, eq=False)
class Server:
    """A server, and how much it takes: additive increase, multiplicative decrease, as TCP does (RFC 5681).

    The limit grows by one with each answer until the server is first too busy, and then by one with each round of
    answers; it is halved when the server is too busy, once for all requests that were on their way then.

    Attributes:
        url: where its API begins.
        most: requests at a time.
        limit: how many of these it gets now.
        in_flight: how many it has.
        paused_until: by ``time.monotonic``: it asked for no requests before.
        echoes: where its answers repeat the id of a request, from which others' answers are told: ``id``, ``header``.
    """

    url: str
    most: int
    limit: float = 0.0
    in_flight: int = 0
    paused_until: float = 0.0
    echoes: frozenset[str] = frozenset()
    _failures: int = 0
    _grows_fast: bool = True
    _cut_at: float = 0.0

    def __post_init__(self) -> None:
        self.limit = min(_FIRST_LIMIT, self.most)

    def answered(self) -> None:
        """It answered a request."""
        self._failures = 0
        if self.in_flight >= int(self.limit):  # otherwise nothing is known of what more it would take
            self.limit = min(self.most, self.limit + (1.0 if self._grows_fast else 1.0 / self.limit))

    def failed(self) -> None:
        """It failed a request. After several in a row it is left alone for a while: one that is down fails fastest."""
        self._failures += 1
        if self._failures >= _FAILURES_OF_ONE_DOWN:
            pause_s = back_off_s(self._failures - _FAILURES_OF_ONE_DOWN)
            self.paused_until = max(self.paused_until, time.monotonic() + pause_s)

    def was_busy(self, sent_at: float, retry_after_s: float | None) -> None:
        """It was too busy for a request that was sent at this time, by ``time.monotonic``."""
        now = time.monotonic()
        if sent_at >= self._cut_at:
            self.limit = max(1.0, self.limit / 2)
            self._cut_at, self._grows_fast = now, False
        if retry_after_s is not None:
            self.paused_until = max(self.paused_until, now + retry_after_s)


@dataclass(slots=True, eq=False)
class Servers:
    """The servers of an endpoint. For one event loop.

    Attributes:
        all: in the order in which they were named.
        last_answer: by ``time.monotonic``: when one of them last answered anything as it should.
    """

    all: list[Server]
    last_answer: float = field(default_factory=time.monotonic)
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self) -> Server:
        """The server with most room, once one has any; ``give_back`` follows."""
        while True:
            now = time.monotonic()
            free = [
                each for each in self.all if each.in_flight < int(each.limit) and each.paused_until <= now
            ]
            if free:
                server = min(free, key=lambda each: each.in_flight / each.limit)
                server.in_flight += 1
                return server
            self._freed.clear()
            pauses = [each.paused_until - now for each in self.all if each.paused_until > now]
            with suppress(TimeoutError):
                await asyncio.wait_for(self._freed.wait(), min(pauses, default=None))

    def give_back(self, server: Server) -> None:
        """A request to this server is over."""
        server.in_flight -= 1
        self._freed.set()
