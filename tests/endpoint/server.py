"""A small OpenAI-compatible server that fails as told; written on sockets, so that it can break every rule."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from tests.endpoint.hostile import HOSTILE

MODEL = "model-a"
FAULTS = (
    "429", "500", "503", "garbage", "half", "other", "nothing", "huge", "endless", "redirect", "types", "error in 200",
    "wrong length", "compressed",
)  # fmt: skip


def caption_of(body: dict) -> str:
    """What the server says about a request: it depends on all that was asked and shown."""
    seen = json.dumps(body["messages"], sort_keys=True).encode()
    return f"A caption of what has the hash {hashlib.sha256(seen).hexdigest()}."


@dataclass
class FakeServer:
    """
    Attributes:
        fault: says for each request (its number and body) which fault it meets; None for none.
        key: that it wants.
        models: that it lists.
        takes: types of message parts that it takes; others are refused with 400.
        ignores: types that it passes over without a word.
        refuses: fields of a request that it refuses with 400.
        most: requests at a time; more are answered with 429.
        owned_by, extra: as framescribe's server.
        echoes: whether answers have the id of their request.
        delay_s: before an answer.
        starting: so many requests for its models are answered with 503, as it is starting.
        say: makes the text of an answer.
        finish_reason: of its answers.
        holds_after: answers after so many requests wait until this is None, or more.
    """

    fault: Callable[[int, dict], str | None] = lambda number, body: None
    key: str | None = None
    models: tuple[str, ...] = (MODEL,)
    takes: tuple[str, ...] = ("text", "video_url", "image_url")
    ignores: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    most: int = 1000
    owned_by: str = "someone"
    extra: dict | None = None
    echoes: bool = True
    streams: bool = True
    counts: bool = True
    delay_s: float = 0.0
    starting: int = 0
    say: Callable[[dict], str] = caption_of
    finish_reason: str = "stop"
    bodies: list[dict] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    keeps_bodies: bool = True
    requests: int = 0
    holds_after: int | None = None
    looked_at_every_s: float = 0.005

    def __enter__(self) -> FakeServer:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        start = asyncio.start_server(self._serve, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(start, self._loop).result()
        self.url = "http://{}:{}".format(*self._server.sockets[0].getsockname())
        return self

    def __exit__(self, *error: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; False closes the connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.headers.append(headers) if self.keeps_bodies else None
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            return _send(writer, 401, {"error": {"message": "Incorrect API key"}})
        if first.startswith("GET /v1/models"):
            self.starting -= 1
            if self.starting >= 0:
                return _send(writer, 503, {"error": {"message": "starting"}}, Retry_After="0")
            data = [{"id": name, "owned_by": self.owned_by} for name in self.models]
            return _send(writer, 200, {"object": "list", "data": data})
        if not first.startswith("POST /v1/chat/completions"):
            return _send(writer, 404, {"detail": "Not Found"})
        asked = json.loads(body)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._complete(writer, headers, asked)
        finally:
            self.in_flight -= 1

    async def _complete(self, writer: asyncio.StreamWriter, headers: dict[str, str], body: dict) -> bool:
        if self.keeps_bodies:
            self.bodies.append(body)
        self.requests += 1
        number = self.requests
        while self.holds_after is not None and number > self.holds_after:
            await asyncio.sleep(0.005)
        if self.in_flight > self.most:
            return _send(writer, 429, {"error": {"message": "too many"}})
        if body["model"] not in self.models:
            return _send(writer, 404, {"error": {"message": f"The model {body['model']} does not exist"}})
        if body.get("stream") and not self.streams:
            return _send(writer, 400, {"error": {"message": "stream is not supported"}})
        content = body["messages"][-1]["content"]
        parts = [{"type": "text"}] if isinstance(content, str) else content
        if wrong := [part["type"] for part in parts if part["type"] not in self.takes + self.ignores]:
            return _send(writer, 400, {"error": {"message": f"unknown part {wrong[0]}"}})
        if wrong := [name for name in self.refuses if name in body]:
            return _send(writer, 400, {"error": {"message": f"{wrong[0]} is not taken from clients"}})
        fault = self.fault(number, body)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        if fault is not None:
            self.faults[fault] += 1
            sent_id = headers.get("x-request-id", "") if fault != "other" else "another"
            return await _fail(writer, fault, self._text(body), f"chatcmpl-{sent_id}")
        counted = sum(10 for part in parts if part["type"] not in self.ignores)
        sent_id = headers.get("x-request-id", "") if self.echoes else "of-its-own"
        whole = {"id": f"chatcmpl-{sent_id}", "model": body["model"]}
        usage = {"prompt_tokens": counted, "completion_tokens": 12} if self.counts else None
        extra = {} if self.extra is None else {"framescribe": self.extra}
        if not body.get("stream"):
            choice = {"message": {"content": self._text(body)}, "finish_reason": self.finish_reason}
            return _send(writer, 200, whole | {"choices": [choice], "usage": usage} | extra)
        text = self._text(body)
        pieces = [text[: len(text) // 2], text[len(text) // 2 :]]
        events = [
            whole | {"choices": [{"delta": {"content": piece}, "finish_reason": None}]} for piece in pieces
        ]
        end = {"choices": [{"delta": {}, "finish_reason": self.finish_reason}]}
        _stream(writer, [*events, whole | end | extra, whole | {"choices": [], "usage": usage}])
        return False

    def _text(self, body: dict) -> str:
        return self.say(body)


def _send(writer: asyncio.StreamWriter, status: int, value: object, **headers: str) -> bool:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    fields = {"Content-Type": "application/json", "Content-Length": str(len(content))} | headers
    lines = [f"HTTP/1.1 {status} X", *(f"{name.replace('_', '-')}: {text}" for name, text in fields.items())]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    return True


def _stream(writer: asyncio.StreamWriter, events: list[dict], is_whole: bool = True) -> None:
    writer.write(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n: a comment\n\n"
    )
    for event in events:
        writer.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    if is_whole:
        writer.write(b"data: [DONE]\n\n")


async def _fail(writer: asyncio.StreamWriter, fault: str, text: str, answer_id: str) -> bool:
    said = {"id": answer_id, "model": MODEL}
    choice = {"message": {"content": f"WRONG {text}"}, "finish_reason": "stop"}
    event = said | {"choices": [{"delta": {"content": f"WRONG {text}"}, "finish_reason": None}]}
    if fault.isdigit():
        return _send(writer, int(fault), {"error": {"message": "trouble"}}, Retry_After="0")
    if fault == "garbage":
        return _send(writer, 200, b"<html>\xff\xfe" + random.randbytes(200))
    if fault == "half":
        _stream(writer, [event], is_whole=False)
        return False
    if fault == "other":  # whole, of another request
        return _send(writer, 200, said | {"choices": [choice], "usage": None})
    if fault == "nothing":
        return False
    if fault == "huge":
        return _send(
            writer,
            200,
            said | {"choices": [{"message": {"content": "x" * 9_000_000}, "finish_reason": "stop"}]},
        )
    if fault == "endless":
        _stream(writer, [], is_whole=False)
        while True:
            writer.write(b"data: " + json.dumps(event).encode() + b"\n\n")
            await writer.drain()
    if fault == "redirect":
        return _send(writer, 307, b"", Location="http://127.0.0.2:9/v1/chat/completions")
    if fault == "types":
        wrong = random.choice([17, None, ["x"], {"content": 3}, [{"message": {"content": [1]}}], [None]])
        return _send(writer, 200, said | {"choices": wrong})
    if fault == "error in 200":
        return _send(writer, 200, {"error": {"message": "upstream", "code": 502}})
    if fault == "wrong length":
        return _send(writer, 200, said | {"choices": [choice]}, Content_Length="100000") and False
    if fault == "compressed":
        return _send(writer, 200, b"\x1f\x8b" + bytes(100), Content_Encoding="gzip")
    if fault == "hang":
        await asyncio.sleep(3600)
        return False
    await HOSTILE[fault](writer)
    return False
