"""One address in front of several servers: each request goes to the one that has the fewest, and each answer back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
from fastapi.responses import JSONResponse, PlainTextResponse

from framescribe.errors import FramescribeError
from framescribe.serving.bodies import ClientLeft, Receive, gone, refuse, unless_gone
from framescribe.serving.engines import Engine
from framescribe.serving.errors import ApiError
from framescribe.serving.gate import two_lengths

_OF_A_CONNECTION = {
    b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"date"
}  # fmt: skip
_CONNECT_S = 5.0


class Front:
    """An ASGI application that passes requests on. Keys, limits and errors are the servers' own.

    Args:
        engines: which there are.
        read_timeout_s: how long a request that is being sent may stand still.

    Attributes:
        is_draining: no further requests are taken; those in work are answered.
        in_work: requests that are not answered.
    """

    def __init__(self, engines: Sequence[Engine], read_timeout_s: float) -> None:
        self._engines, self._read_timeout_s = engines, read_timeout_s
        self.is_draining = False
        self.in_work = 0
        self._client: httpx2.AsyncClient | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer."""
        return not self.in_work

    @property
    def failure(self) -> FramescribeError | None:
        """Why no engine can ever be started."""
        return next((each.failure for each in self._engines if each.failure is not None), None)

    def close(self) -> None:
        """Ends all engines."""
        for each in self._engines:
            each.close()

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = _Client(receive, send, any(name in headers for name in _LENGTHS), self._read_timeout_s)
        try:
            if (error := two_lengths(headers)) is not None:
                raise error
            if not scope["raw_path"].startswith(b"/"):  # after a server's address, "@host" would name another
                raise ApiError(404, "not_found", "Not Found")
            if scope["path"] == "/health/live":
                await JSONResponse({"status": "alive"})(scope, receive, send)
            elif scope["path"] in ("/health", "/health/ready"):
                self._least_busy()
                await JSONResponse({"status": "ready"})(scope, receive, send)
            elif scope["path"] == "/metrics":
                await (await self._metrics(scope))(scope, receive, send)
            else:
                await self._pass_on(scope, client)
        except ApiError as error:
            await client.refuse(error)

    def _least_busy(self) -> Engine:
        """
        Raises:
            ApiError: none is ready, or this one is about to end.
        """
        if self.is_draining:
            raise ApiError(503, "stopping", "the server is about to end", closes=True)
        if ready := [each for each in self._engines if each.url is not None]:
            return min(ready, key=lambda each: each.in_work)
        raise ApiError(503, "starting", "the model is being loaded", closes=True)

    def _request(self, engine: Engine, scope: Any, content: AsyncIterator[bytes] | None) -> httpx2.Request:
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        left_out = _OF_A_CONNECTION if content is not None else {*_OF_A_CONNECTION, b"content-length"}
        headers = [each for each in scope["headers"] if each[0] not in left_out]
        try:
            url = httpx2.URL(f"{engine.url}{path}{query}")
        except httpx2.InvalidURL as error:
            raise ApiError(400, "invalid_request", f"the URL cannot be used: {error}") from error
        return httpx2.Request(scope["method"], url, headers=headers, content=content)

    def _http(self) -> httpx2.AsyncClient:
        if self._client is None:
            self._client = httpx2.AsyncClient(
                timeout=httpx2.Timeout(None, connect=_CONNECT_S),
                limits=httpx2.Limits(
                    max_connections=None, max_keepalive_connections=100, keepalive_expiry=30.0
                ),
                trust_env=False,
            )
        return self._client

    async def _pass_on(self, scope: Any, client: _Client) -> None:
        engine = self._least_busy()
        self.in_work += 1
        engine.in_work += 1
        try:
            with contextlib.suppress(ClientLeft):
                await unless_gone(client.gone(), self._exchange(engine, scope, client))
        finally:
            self.in_work -= 1
            engine.in_work -= 1

    async def _exchange(self, engine: Engine, scope: Any, client: _Client) -> None:
        try:
            request = self._request(engine, scope, client.body() if client.has_body else None)
            response = await self._http().send(request, stream=True)
            try:
                await client.answer(response)
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            if client.has_begun:
                return  # uvicorn closes a connection whose answer is not whole
            message = "the process that was to answer is gone; try again"
            raise ApiError(503, "engine_died", message, closes=True) from error

    async def _metrics(self, scope: Any) -> PlainTextResponse | JSONResponse:
        """All servers' counters, summed."""
        texts = []
        for each in self._engines:
            if each.url is None:
                continue
            with contextlib.suppress(httpx2.HTTPError):
                response = await self._http().send(self._request(each, scope, None))
                if response.status_code != 200:
                    return JSONResponse(response.json(), response.status_code)
                texts.append(response.text)
        return PlainTextResponse(summed(texts), media_type="text/plain; version=0.0.4")


_LENGTHS = ("content-length", "transfer-encoding")


class _Client:
    """Who asks: its body as it comes, and its answer."""

    def __init__(self, receive: Receive, send: Any, has_body: bool, read_timeout_s: float) -> None:
        self._receive, self._send, self._read_timeout_s = receive, send, read_timeout_s
        self.has_body = has_body
        self.has_begun = False
        self._is_read = asyncio.Event()
        if not has_body:
            self._is_read.set()

    async def body(self) -> AsyncIterator[bytes]:
        while not self._is_read.is_set():
            try:
                async with asyncio.timeout(self._read_timeout_s):
                    message = await self._receive()
            except TimeoutError:
                raise ApiError(408, "timeout", "the request came too slowly", closes=True) from None
            if message["type"] == "http.disconnect":
                raise ClientLeft
            if not message.get("more_body", False):
                self._is_read.set()
            yield message.get("body", b"")

    async def gone(self) -> None:
        """Returns when it has left."""
        await self._is_read.wait()
        await gone(self._receive)

    async def refuse(self, error: ApiError) -> None:
        response = JSONResponse(error.body, error.status, error.headers)
        await refuse(response, self._receive, self._send, is_read=self._is_read.is_set())

    async def answer(self, response: httpx2.Response) -> None:
        headers = [each for each in response.headers.raw if each[0].lower() not in _OF_A_CONNECTION]
        await self._send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        self.has_begun = True
        async for part in response.aiter_raw():
            await self._send({"type": "http.response.body", "body": part, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})


def summed(texts: Sequence[str]) -> str:
    """Prometheus's text format of several servers as of one: each sample is their sum."""
    sums: defaultdict[str, float] = defaultdict(float)
    lines: dict[str, None] = {}
    for text in texts:
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if line.startswith("#"):
                lines[line] = None
            elif not name.partition("{")[0].endswith("_created"):  # a time, which has no sum
                lines[name] = None
                sums[name] += float(value)
    return "".join(f"{line} {sums[line]:.17g}\n" if line in sums else f"{line}\n" for line in lines)
