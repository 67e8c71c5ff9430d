"""A request's body, read within limits of size, time, and memory of all requests together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

from fastapi import Response

from framescribe.serving.errors import ApiError
from framescribe.serving.settings import ServerSettings

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_SLOWEST_BYTES_PER_S = 100_000
_LINGERS_S = 2.0


class ClientLeft(Exception):
    """Nobody waits for an answer any more."""


class Held:
    """Bytes of all bodies, and then of the videos in them, until these are decoded."""

    def __init__(self, settings: ServerSettings) -> None:
        self._most = int(settings.max_held_mb * 1e6)
        self.num_bytes = 0

    def add(self, count: int) -> None:
        """Counts more; ``add`` of as many, negative, gives them back.

        Raises:
            ApiError: there is no room now.
        """
        if count > 0 and self.num_bytes + count > self._most:
            raise ApiError(429, "too_many_requests", "too much is in work; try again", closes=True)
        self.num_bytes += count


class Body:
    """One request's.

    Args:
        receive: as ASGI has it.
        content_length: the header, if it came.
        settings, held: the limits, of one and of all.
    """

    def __init__(
        self, receive: Receive, content_length: str | None, settings: ServerSettings, held: Held
    ) -> None:
        self._receive, self._length, self._settings, self._held = receive, content_length, settings, held
        self._content, self._size = bytearray(), 0
        self._is_read = False

    async def read(self, *, keep: bool = True) -> None:
        """Reads all of it; with ``keep`` it is counted as held, and there to be taken.

        Raises:
            ApiError: it is too large, too slow, or there is no room for it now.
            ClientLeft: the connection ended before it did.
        """
        most, patience_s = self._settings.max_body_bytes, self._settings.read_timeout_s
        if (length := self._length) is not None and not (length.isascii() and length.isdecimal()):
            raise ApiError(400, "invalid_request", "Content-Length is no number", closes=True)
        if length is not None and (len(length) > 18 or int(length) > most):
            raise self._too_large()
        size, is_last = 0, False
        try:
            async with asyncio.timeout(patience_s) as patience:
                begun_s = asyncio.get_running_loop().time()
                while not is_last:
                    message = await self._receive()
                    if message["type"] == "http.disconnect":
                        raise ClientLeft
                    chunk, is_last = message.get("body", b""), not message.get("more_body", False)
                    self._is_read = is_last
                    if (size := size + len(chunk)) > most:
                        raise self._too_large()
                    if keep:
                        self._held.add(len(chunk))
                        self._size = size
                        self._content += chunk
                    patience.reschedule(begun_s + patience_s + size / _SLOWEST_BYTES_PER_S)
        except TimeoutError:
            raise ApiError(408, "timeout", "the request came too slowly", closes=True) from None

    def take(self) -> bytearray:
        """What was read, for whoever is to let go of it soon; it stays counted."""
        content, self._content = self._content, bytearray()
        return content

    def shrink(self, count: int) -> None:
        """Only so many bytes are held of it from now on."""
        self._held.add(count - self._size)
        self._size = count

    async def skip(self) -> None:
        """Reads the rest for nothing, as most clients hear no answer before they have sent all."""
        if not self._is_read:
            with contextlib.suppress(ApiError, ClientLeft):
                await self.read(keep=False)

    async def refuse(self, response: Response, send: Send) -> None:
        """Sends an error whose connection is closed, though not all of the body was read."""
        await refuse(response, self._receive, send, is_read=self._is_read)

    def release(self) -> None:
        """It is held no more."""
        self._content = bytearray()
        self.shrink(0)

    def _too_large(self) -> ApiError:
        return ApiError(
            413, "request_too_large", f"a request may have {self._settings.max_body_mb:g} MB", closes=True
        )


async def refuse(response: Response, receive: Receive, send: Send, *, is_read: bool) -> None:
    """Sends an error, and then reads on for a moment, for nothing.

    What is unread when a connection closes takes the answer along.
    """
    await send(
        {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
    )
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LINGERS_S):
            while not is_read:
                is_read = not (await receive()).get("more_body", False)
    await send({"type": "http.response.body", "body": b""})


async def unless_gone(gone: Coroutine[Any, Any, None], work: Coroutine[Any, Any, None]) -> None:
    """Does the work, or gives it up when the other one ends, as the client has left.

    Raises:
        ClientLeft: it did.
    """
    doing, leaving = asyncio.ensure_future(work), asyncio.ensure_future(gone)
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise ClientLeft
        doing.result()
    finally:
        leaving.cancel()
        doing.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)


async def gone(receive: Receive) -> None:
    """Ends when the client has left; the request has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass
