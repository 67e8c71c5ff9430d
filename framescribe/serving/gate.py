"""Who is let in: whoever has a key; where none is asked for, programs of this machine, but no pages in its browser."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import JSONResponse

from framescribe.errors import UsageError
from framescribe.reading import read_text
from framescribe.serving.bodies import Body, Receive
from framescribe.serving.errors import ApiError
from framescribe.serving.service import Service

App = Callable[[Any, Any, Any], Awaitable[None]]

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_OPEN_PATHS = ("/health", "/health/live", "/health/ready")


def read_keys(path: str | Path) -> tuple[str, ...]:
    """The keys in a file, one a line; blank lines and those that begin with ``#`` are none.

    Raises:
        UsageError: it cannot be read, has no key, or one that is short or has odd characters.
    """
    try:
        lines = [line.strip() for line in read_text(path).split("\n")]
    except OSError as error:
        raise UsageError(f"`key_file`: {path}: {error.strerror or error}") from error
    keys = tuple(line for line in lines if line and not line.startswith("#"))
    if not keys:
        raise UsageError(f"`key_file`: {path} holds no key; write one a line")
    for number, key in enumerate(keys, 1):
        if len(key) < 16 or not key.isascii() or not key.isprintable() or " " in key:
            raise UsageError(
                f"`key_file`: {path}: key {number} is no 16 or more plain characters without blanks"
            )
    return keys


class Gate:
    """ASGI middleware that asks for a key, or for a host's name of this machine.

    Args:
        app: what is behind it.
        service: whose limits hold.
        keys: that are taken; none where only this machine is answered.
    """

    def __init__(self, app: App, service: Service, keys: tuple[str, ...]) -> None:
        self._app, self._service = app, service
        self._digests = tuple(hashlib.sha256(key.encode()).digest() for key in keys)

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        if scope["type"] == "http":
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
            if (error := self._refusal(scope["path"], headers)) is not None:
                body = Body(
                    receive, headers.get("content-length"), self._service.settings, self._service.held
                )
                await body.skip()
                await JSONResponse(error.body, error.status, error.headers)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, path: str, headers: dict[str, str]) -> ApiError | None:
        if (error := two_lengths(headers)) is not None:
            return error
        if not self._digests:
            return _foreign(headers)
        if path in _OPEN_PATHS or self._is_key(headers.get("authorization", "")):
            return None
        return ApiError(401, "invalid_api_key", "a key is needed: Authorization: Bearer KEY")

    def _is_key(self, header: str) -> bool:
        scheme, _, key = header.partition(" ")
        digest = hashlib.sha256(key.strip().encode()).digest()
        found = [
            hmac.compare_digest(digest, each) for each in self._digests
        ]  # all of them: one takes as long as another
        return scheme.lower() == "bearer" and any(found)


def two_lengths(headers: dict[str, str]) -> ApiError | None:
    """Of a request with two lengths a proxy may take the other, and the rest for the next request: RFC 9112, 6.1."""
    if "content-length" not in headers or "transfer-encoding" not in headers:
        return None
    message = "Content-Length and Transfer-Encoding do not go together"
    return ApiError(400, "invalid_request", message, closes=True)


def _foreign(headers: dict[str, str]) -> ApiError | None:
    """Why a request does not come from a program of this machine (DNS rebinding, another site's page)."""
    if _name(f"//{headers.get('host', '')}") not in LOOPBACK_HOSTS:
        return ApiError(403, "forbidden", "this server answers to 127.0.0.1 and localhost only")
    origin = headers.get("origin")
    if origin is not None and _name(origin) not in LOOPBACK_HOSTS:
        return ApiError(403, "forbidden", "pages of other sites may not ask this server")
    return None


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
