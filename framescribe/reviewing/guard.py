"""Who is let in: whoever has the token, from a page of this server, under a name of this machine."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
MAX_BODY_BYTES = 8 << 20
LOCKED = (
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Part of every page's content security policy."""
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    f"media-src 'self'; connect-src 'self'; {LOCKED}",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}


class Guard:
    """ASGI middleware that refuses all but requests with the token from this server's own page.

    The token comes once in the address (``/?token=…``) and goes on as a cookie that no script can read and no other
    site's page sends. A request by a host's name other than this machine's (DNS rebinding), or from another origin's
    page, is refused whatever it holds.

    Args:
        app: what is guarded.
        token: of this server.
        cookie: name of the cookie.
    """

    def __init__(self, app: App, token: str, cookie: str) -> None:
        self._app, self._token, self._cookie = app, token, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if reason := _foreign(headers, scope["method"]):
            await _answer(send, 403, reason)
        elif given := parse_qs(scope["query_string"].decode("latin-1")).get("token"):
            await self._enter(scope, send, given[0])
        elif not self._has_cookie(headers.get("cookie", "")):
            await _answer(send, 401, "Open the address that `framescribe review` printed: it has the token.")
        elif (size := headers.get("content-length", "0")) and (
            not size.isdecimal() or int(size) > MAX_BODY_BYTES
        ):
            await _answer(send, 413, f"A request may have {MAX_BODY_BYTES} bytes.")
        else:
            await self._app(scope, _bounded(receive), _with_headers(send))

    async def _enter(self, scope: Scope, send: Send, given: str) -> None:
        if scope["path"] != "/" or scope["method"] != "GET" or not self._is_token(given):
            await _answer(send, 403, "This is not the token of this server.")
            return
        cookie = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000"
        await _answer(send, 303, "", [("location", "/"), ("set-cookie", cookie)])

    def _has_cookie(self, header: str) -> bool:
        pairs = (pair.strip().partition("=") for pair in header.split(";"))
        return any(name == self._cookie and self._is_token(value) for name, _, value in pairs)

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())


def _foreign(headers: dict[str, str], method: str) -> str | None:
    """Why a request does not come from a page of this server; None if it may."""
    host = headers.get("host", "")
    if _host_name(host) not in LOOPBACK_HOSTS:
        return "This server answers to 127.0.0.1 and localhost only."
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None and origin != f"http://{host}":
        return "Pages of other origins may not ask this server."
    if site is not None and site not in ("same-origin", "none"):
        is_link = headers.get("sec-fetch-mode") == "navigate" and method == "GET"
        if not is_link:
            return "Pages of other sites may not ask this server."
    if method not in ("GET", "HEAD") and origin is None:
        return "A change needs the page's origin."
    return None


def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _bounded(receive: Receive) -> Receive:
    taken = 0

    async def bounded() -> MutableMapping[str, Any]:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            return {"type": "http.disconnect"}
        return message

    return bounded


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(
                    (name.encode(), value.encode())
                    for name, value in _HEADERS.items()
                    if name.encode() not in given
                ),
            ]
        await send(message)

    return sending


async def _answer(send: Send, status: int, text: str, headers: list[tuple[str, str]] | None = None) -> None:
    sending = _with_headers(send)
    all_headers = [("content-type", "text/plain; charset=utf-8"), *(headers or [])]
    await sending(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(name.encode(), value.encode()) for name, value in all_headers],
        }
    )
    await sending({"type": "http.response.body", "body": text.encode()})
