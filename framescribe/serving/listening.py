"""uvicorn, with an end that waits for answers, and connections that may not just stand there."""

from __future__ import annotations

import asyncio
import json
import resource
import time
from types import FrameType
from typing import Any, Protocol

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from framescribe.serving.errors import ApiError

_MAX_CONNECTIONS = min(4000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
_HEADER_TIMEOUT_S = 10.0
_NOTICE_S = 0.5
"""So long a server that is to end still listens, to say so, even if nothing is in work."""


def config_of(app: Any) -> uvicorn.Config:
    """How uvicorn runs an application here."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


class Connection(H11Protocol):
    """One that sends no request for some seconds is closed, and of too many the one that is longest at it."""

    _deadline: asyncio.TimerHandle | None = None
    made_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.made_s = self.loop.time()
        if len(self.connections) > _MAX_CONNECTIONS:
            others: list[Any] = [each for each in self.connections if each is not self and _is_sender(each)]
            slow: Any = min(others, key=lambda each: (not _is_idle(each), each.made_s), default=self)
            self.connections.discard(slow)  # now, as it is only lost when the loop comes to it
            slow.transport.abort()
        self._expect()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._forget()  # from here on uvicorn waits for the next request
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Tells in OpenAI's words what uvicorn tells in plain ones, and closes."""
        body = json.dumps(ApiError(400, "invalid_request", msg).body).encode()
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        self.transport.write(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        self.transport.close()

    def _expect(self) -> None:
        """A request's head has to be whole some seconds after its first byte, or after the connection was made."""
        if not _is_idle(self):
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(_HEADER_TIMEOUT_S, self._give_up)

    def _give_up(self) -> None:
        if _is_idle(self):
            self.transport.abort()

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _is_idle(connection: Any) -> bool:
    """Whether no request is being answered on it."""
    return connection.cycle is None or connection.cycle.response_complete


def _is_sender(connection: Any) -> bool:
    """Whether its next request has not come, or not all of it."""
    return _is_idle(connection) or bool(connection.cycle.more_body)


class Answering(Protocol):
    """What is behind the address."""

    is_draining: bool

    @property
    def is_idle(self) -> bool: ...

    @property
    def failure(self) -> Exception | None: ...

    def close(self) -> None: ...


class Server(uvicorn.Server):
    """Ends by a signal, or ``stop``: takes no further requests, answers those in work, within a time.

    Args:
        config: of uvicorn.
        service: what answers; told when to take no further requests.
        drain_timeout_s: how long the end waits for answers.
    """

    def __init__(self, config: uvicorn.Config, service: Answering, drain_timeout_s: float) -> None:
        super().__init__(config)
        self._service, self._drain_timeout_s = service, drain_timeout_s
        self._ends_s: tuple[float, float] | None = None  # not before, and at the latest

    def stop(self) -> None:
        """Begins the end; the second time, ends at once. From any thread."""
        if self._service.is_draining:
            self.should_exit = self.force_exit = True
        self._service.is_draining = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.stop()

    async def on_tick(self, counter: int) -> bool:
        if self._service.failure is not None:
            self._service.is_draining = True
        if self._service.is_draining:
            now_s = time.monotonic()
            first_s, last_s = self._ends_s = self._ends_s or (
                now_s + _NOTICE_S,
                now_s + self._drain_timeout_s,
            )
            if now_s >= last_s or (now_s >= first_s and self._service.is_idle):
                self.should_exit = True
        return await super().on_tick(counter)
