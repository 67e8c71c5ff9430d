"""One request over HTTP, to its answer or to what went wrong: nothing else is raised. No other file here knows httpx2.

Redirects are not followed, so that neither a key nor a video reaches a host that nobody named; answers are read up to a
size, and not unpacked.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from framescribe.endpoint.answers import (
    Answer,
    AnswerReader,
    Failure,
    error_message,
    failure_of,
    max_bytes,
    refuse_secret,
)
from framescribe.endpoint.budget import Budget
from framescribe.endpoint.servers import Server
from framescribe.endpoint.spec import Endpoint
from framescribe.version import __version__

_CONNECT_S = 30.0
_SHORT_S = 60.0
_MAX_LIST_BYTES = 8 << 20  # the longest list known, OpenRouter's, has 1 MB
_MAX_ERROR_BYTES = 1 << 16
_LEAST_SECRET_CHARS = 8


class Http:
    """The connections to an endpoint's servers. For one event loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._timeout_s = endpoint.timeout_s
        self._patience_s = endpoint.patience_s
        self._key = endpoint.key
        # A short one, such as EMPTY, is no secret, but may be a word of a caption.
        self._secret = endpoint.key if endpoint.key and len(endpoint.key) >= _LEAST_SECRET_CHARS else None
        self._budget = Budget(endpoint)
        headers = {"Accept-Encoding": "identity", "User-Agent": f"framescribe/{__version__}"}
        if endpoint.key is not None:
            headers["Authorization"] = f"Bearer {endpoint.key}"
        self._client = httpx2.AsyncClient(
            headers=headers,
            follow_redirects=False,
            timeout=httpx2.Timeout(None, connect=_CONNECT_S),  # each request has a limit for all of it
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=5.0),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, url: str) -> Any:
        """The JSON that a URL gives; None if it gives something else.

        Raises:
            Failure: it cannot be had.
        """
        async with self._response("GET", url, _SHORT_S) as response:
            content = await _content(response, _MAX_LIST_BYTES)
            try:
                value = json.loads(content)
                refuse_secret(value, self._secret)
            except (ValueError, RecursionError):
                return None
            return value

    async def chat(
        self, server: Server, body: bytes, max_tokens: int, on_text: Callable[[str], None] | None = None
    ) -> tuple[Answer, frozenset[str]]:
        """One chat completion, and where the answer repeated the request's id.

        Args:
            server: that is asked. An answer without the id, from a server that repeats it, is another request's.
            body: JSON.
            max_tokens: that the body asks for.
            on_text: is given the text as it comes.

        Raises:
            Failure: there is no answer.
            BudgetSpent: nothing more is to be asked.
        """
        self._budget.ask()
        sent_id = uuid.uuid4().hex
        headers = {"Content-Type": "application/json", "X-Request-Id": sent_id}
        url = f"{server.url}/chat/completions"
        async with self._response("POST", url, self._timeout_s, content=body, headers=headers) as response:
            has_id = response.headers.get("x-request-id") == sent_id
            if "header" in server.echoes and not has_id:
                raise Failure("broken", "it gave another request's answer")
            reader = AnswerReader(max_tokens, on_text, self._secret)
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                async for chunk in _chunks(response, max_bytes(max_tokens)):
                    reader.add_events(chunk)
                    if reader.is_done:
                        break
            else:
                reader.add(await _content(response, max_bytes(max_tokens)), "message")
            answer = reader.answer(server.url)
        self._budget.answered(answer, max_tokens)
        if "id" in server.echoes and sent_id not in answer.id:
            raise Failure("broken", "it gave another request's answer")
        return answer, _echoes(has_id, sent_id in answer.id)

    @asynccontextmanager
    async def _response(
        self, method: str, url: str, timeout_s: float, **options: Any
    ) -> AsyncIterator[httpx2.Response]:
        """A response that is none of an error, within whose ``with`` block it is read; all of it within the time."""
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._client.stream(method, url, **options) as response,
            ):
                if response.is_redirect:
                    host = httpx2.URL(url).join(response.headers.get("location", "")).host
                    raise Failure(
                        "broken", f"it redirects to {host}, which is not followed; name that URL instead"
                    )
                if response.headers.get("content-encoding", "identity") != "identity":
                    raise Failure("broken", "its answer is compressed, which was not asked for")
                if response.status_code != 200:
                    raise await self._failure(response)
                yield response
        except Failure as failure:
            raise failure.without(self._key) from None
        except (TimeoutError, httpx2.TimeoutException):
            raise Failure("late", f"no answer within {timeout_s:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            raise Failure("broken", f"{type(error).__name__}: {error}").without(self._key) from None

    async def _failure(self, response: httpx2.Response) -> Failure:
        content = await _content(response, _MAX_ERROR_BYTES, is_cut=True)
        try:
            message = error_message(json.loads(content))
        except (ValueError, RecursionError):
            message = content[:200].decode("utf-8", "replace") or response.reason_phrase
        after_s = _retry_after_s(response.headers.get("retry-after"))
        retry_after_s = None if after_s is None else min(max(0.0, after_s), self._patience_s)
        return failure_of(response.status_code, message, retry_after_s)


def _echoes(in_header: bool, in_id: bool) -> frozenset[str]:
    return frozenset(name for name, is_there in (("header", in_header), ("id", in_id)) if is_there)


async def _chunks(response: httpx2.Response, most: int) -> AsyncIterator[bytes]:
    length = 0
    async for chunk in response.aiter_raw():
        length += len(chunk)
        if length > most:
            raise Failure("broken", f"its answer has more than {most:,} bytes")
        yield chunk


async def _content(response: httpx2.Response, most: int, is_cut: bool = False) -> bytes:
    """All bytes of a response; with ``is_cut`` the first so many."""
    received = bytearray()
    try:
        async for chunk in _chunks(response, most):
            received += chunk
    except Failure:
        if not is_cut:
            raise
    return bytes(received)


def _retry_after_s(value: str | None) -> float | None:
    """Seconds that the header ``Retry-After`` names, as a number or as a date (RFC 9110)."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value[:10])
    try:
        return parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError, TypeError):
        return None
