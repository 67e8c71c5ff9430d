"""Answers of a server that means harm: of every shape that HTTP and JSON allow or forbid."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable

Answering = Callable[[asyncio.StreamWriter], Awaitable[None]]

_OK = b"HTTP/1.1 200 OK\r\n"
_STREAM = _OK + b"Content-Type: text/event-stream\r\n"
_CHUNKED = _STREAM + b"Transfer-Encoding: chunked\r\n\r\n"
_BOMB = gzip.compress(bytes(64 << 20))


def _once(head: bytes, body: bytes = b"") -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)

    return answer


def _endless(head: bytes, piece: bytes, pause_s: float = 0.0) -> Answering:
    async def answer(writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)

    return answer


def _json(**values: object) -> Answering:
    choice = {"message": {"content": "WRONG"}, "finish_reason": "stop"}
    return _once(_OK, json.dumps({"choices": [choice]} | values).encode())


HOSTILE: dict[str, Answering] = {
    "a header without an end": _endless(_OK + b"X-Long: ", b"x" * 65536),
    "headers without an end": _endless(_OK, b"X-Many: x\r\n" * 1000),
    "interim answers without an end": _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "a line without an end, a byte a chunk": _endless(_CHUNKED, b"1\r\nx\r\n" * 10_000),
    "trailers without an end": _endless(_CHUNKED + b"0\r\n", b"X-Trailer: x\r\n" * 1000),
    "chunk extensions without an end": _endless(_CHUNKED + b"1;", b"x" * 65536),
    "events without an end": _endless(_STREAM + b"\r\n", b"data: {}\n\n" * 1000),
    "comments without an end": _endless(_STREAM + b"\r\n", b": comment\n" * 1000),
    "headers that drip": _endless(_OK, b"X", 0.02),
    "a body that drips": _endless(_STREAM + b"\r\n", b":", 0.02),
    "silence": _endless(b"", b"", 0.02),
    "a bomb": _once(_OK + b"Content-Encoding: gzip\r\n", _BOMB),
    "a bomb that does not say so": _once(_OK, _BOMB),
    "a bomb as a transfer coding": _once(_OK + b"Transfer-Encoding: gzip, chunked\r\n", _BOMB),
    "a redirect to a file": _once(b"HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\n"),
    "a redirect to metadata": _once(b"HTTP/1.1 308 X\r\nLocation: http://169.254.169.254/latest\r\n"),
    "a redirect to nowhere": _once(b"HTTP/1.1 302 X\r\nLocation: http://[::1\r\n"),
    "events that are none": _once(_STREAM, b'{"choices": [{"message": {"content": "WRONG"}}]}'),
    "another content type": _once(_OK + b"Content-Type: video/mp4\r\n", bytes(1000)),
    "another protocol": _once(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    "another status": _once(b"HTTP/1.1 999999 X\r\n"),
    "deep JSON": _once(_OK, b"[" * 2_000_000),
    "deep JSON that is kept": _once(
        _OK,
        b'{"framescribe": {"a": %s}, "choices": [{"message": {"content": ""}}]}'
        % (b"[" * 900 + b"]" * 900),
    ),
    "a number without an end": _once(_OK, b'{"usage": {"prompt_tokens": %s}, "choices": [{}]}' % (b"9" * 90_000)),
    "no number": _json(usage={"prompt_tokens": float("nan")}),
    "an infinite number": _json(usage={"completion_tokens": float("inf")}),
    "a number below 0": _json(usage={"completion_tokens": -1}),
    "half a character": _json(model="\ud800"),
    "a name of 60,000 characters": _json(model="x" * 60_000),
    "a caption of 10 MB": _json(choices=[{"message": {"content": "x" * 10_000_000}, "finish_reason": "stop"}]),
}  # fmt: skip
"""By name: each is met with another try."""
