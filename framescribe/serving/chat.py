"""One exchange: a request's body in, its answer out, whole or as a stream of events."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ValidationError

from framescribe.serving.bodies import Body, ClientLeft, Receive, gone, unless_gone
from framescribe.serving.errors import ApiError
from framescribe.serving.reply import Reply
from framescribe.serving.schema import AnswerMessage, ChatCompletion, ChatRequest, Choice
from framescribe.serving.service import Service
from framescribe.shown import shorten
from framescribe.version import __version__

_REQUEST_ID = re.compile(r"[\w.-]{1,100}", re.ASCII)
_SEND_TIMEOUT_S = 60.0

Parsed = TypeVar("Parsed", bound=BaseModel)


class ChatResponse(Response):
    """Answers one request for a chat completion, from its body on.

    Args:
        service: answers it.
        request: its body has not been read.
    """

    def __init__(self, service: Service, request: Request) -> None:
        self._service = service
        given = request.headers.get("x-request-id", "")
        self._id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self._length = request.headers.get("content-length")
        self._type = request.headers.get("content-type", "")
        self._has_begun = False
        self.background = None

    async def __call__(self, scope: Any, receive: Receive, send: Any) -> None:
        service, status = self._service, 500
        body = Body(receive, self._length, service.settings, service.held)
        try:
            with service.coming():
                self._check_type()
                await body.read()
            with service.taken_in():
                await unless_gone(gone(receive), self._answer(body, scope, receive, send))
            status = 200
        except ClientLeft:
            status = 499
        except ApiError as error:
            status = error.status
            await self._refuse(error, body, scope, receive, send)
        finally:
            body.release()
            service.metrics.requests.labels(str(status)).inc()

    def _check_type(self) -> None:
        if self._type.partition(";")[0].strip().lower() != "application/json":
            raise ApiError(415, "invalid_request", "a request is JSON: Content-Type: application/json")

    async def _refuse(self, error: ApiError, body: Body, scope: Any, receive: Any, send: Any) -> None:
        if self._has_begun:
            await self._event(send, error.body, is_last=True)
            return
        response = JSONResponse(error.body, error.status, error.headers | {"x-request-id": self._id})
        if not error.closes:
            await body.skip()
            await response(scope, receive, send)
            return
        await body.refuse(response, send)

    async def _answer(self, body: Body, scope: Any, receive: Any, send: Any) -> None:
        reply = await self._service.reply(lambda: parse(body.take(), ChatRequest), body.shrink)
        try:
            body.release()
            if reply.is_streamed:
                await self._stream(reply, send)
            else:
                text = "".join([piece async for piece in reply.pieces()])
                answer = completion_of(reply, text, self._id)
                response = JSONResponse(answer.model_dump(), headers={"x-request-id": self._id})
                await response(scope, receive, send)
        finally:
            reply.close()

    async def _stream(self, reply: Reply, send: Any) -> None:
        chunk = _head_of(reply, self._id) | {"object": "chat.completion.chunk"}
        if reply.wants_usage:
            chunk["usage"] = None

        def choice(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
            choices = [{"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}]
            return chunk | {"choices": choices}

        async for piece in reply.pieces():
            if not self._has_begun:
                await self._begin(send)
                await self._event(send, choice({"role": "assistant", "content": ""}))
            if piece:
                await self._event(send, choice({"content": piece}))
        if not self._has_begun:
            await self._begin(send)
            await self._event(send, choice({"role": "assistant", "content": ""}))
        last = choice({}, reply.finish_reason) | {"framescribe": reply.facts.model_dump()}
        await self._event(send, last)
        if reply.wants_usage:
            await self._event(send, chunk | {"choices": [], "usage": reply.usage.model_dump()})
        await self._event(send, None, is_last=True)

    async def _begin(self, send: Any) -> None:
        headers = {
            "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache", "x-request-id": self._id,
            "x-accel-buffering": "no",
        }  # fmt: skip
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        self._has_begun = True

    async def _event(self, send: Any, value: dict[str, Any] | None, *, is_last: bool = False) -> None:
        text = "[DONE]" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        try:
            async with asyncio.timeout(_SEND_TIMEOUT_S):  # a client that reads nothing holds a place
                await send(
                    {
                        "type": "http.response.body",
                        "body": f"data: {text}\n\n".encode(),
                        "more_body": not is_last,
                    }
                )
        except TimeoutError:
            raise ClientLeft from None


def parse(body: bytes | bytearray, kind: type[Parsed]) -> Parsed:
    """
    Raises:
        ApiError: it is none of this kind.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        message = f"{place}: {first['msg']}" if place else first["msg"]
        raise ApiError(400, "invalid_value", shorten(message), shorten(place, 200) or None) from None


def _head_of(reply: Reply, request_id: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{request_id}",
        "created": int(time.time()),
        "model": reply.model,
        "system_fingerprint": f"framescribe-{__version__}",
    }


def completion_of(reply: Reply, text: str, request_id: str) -> ChatCompletion:
    """A whole answer."""
    return ChatCompletion(
        **_head_of(reply, request_id),
        choices=[Choice(message=AnswerMessage(content=text), finish_reason=reply.finish_reason)],
        usage=reply.usage,
        framescribe=reply.facts,
    )
