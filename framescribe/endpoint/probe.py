"""What is found out of a server before a run: whether it takes the key, the model and what will be sent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from framescribe.endpoint.answers import MAX_NAME_CHARS, Answer, Failure
from framescribe.endpoint.http import Http
from framescribe.endpoint.servers import Server, back_off_s
from framescribe.endpoint.spec import Endpoint
from framescribe.errors import UsageError

Message = dict[str, Any]
HELLO: Message = {"role": "user", "content": "Answer with one word."}
_TOKENS = 16
_LIST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Learned:
    """What is known of a server.

    Attributes:
        model: that it answers with.
        is_framescribe: whether it is framescribe's own, which knows strategies and templates.
        streams: whether it streams answers.
        revision, precision: of its model, where it says so.
    """

    model: str
    is_framescribe: bool = False
    streams: bool = True
    revision: str | None = None
    precision: str | None = None


class Probe:
    """Asks a server what is to be asked of it in the run, made small.

    Args:
        endpoint: says which model.
        messages: with media as the run sends it.
        fields: what requests say beside their messages.
    """

    def __init__(self, endpoint: Endpoint, messages: Sequence[Message], fields: dict[str, Any]) -> None:
        self._endpoint = endpoint
        self._messages = messages
        self._fields = fields | {"max_tokens": _TOKENS}

    async def learn(self, http: Http, server: Server) -> Learned:
        """
        Raises:
            UsageError: the server cannot be used so; the message says what to change.
        """
        entries = await self._models(http, server)
        model = self._endpoint.model or self._only(server, list(entries))
        entry = entries.get(model, {})
        learned = Learned(
            model,
            entry.get("owned_by") == "framescribe",
            revision=_text(entry.get("model_revision")),
            precision=_text(entry.get("precision")),
        )
        try:
            learned, answer = await self._first_answer(http, server, learned)
        except Failure as failure:
            raise self._unusable(server, failure, model, list(entries)) from None
        await self._check_counts(http, server, learned, answer)
        return learned

    async def again(self, http: Http, server: Server, learned: Learned) -> None:
        """
        Raises:
            Failure: the server does not answer as it did.
        """
        await http.chat(server, body_of(learned, self._messages, self._fields), _TOKENS)

    async def _models(self, http: Http, server: Server) -> dict[str, dict[str, Any]]:
        """What the server lists, by name; none if it has no list. One that is starting is waited for."""
        tries, started = 0, time.monotonic()
        while True:
            try:
                listed = await http.get(f"{server.url}/models")
                break
            except Failure as failure:
                if failure.trouble in ("refused", "denied") and self._endpoint.model is not None:
                    return {}  # the first question tells why
                if failure.trouble == "denied":
                    raise self._unusable(server, failure, "", []) from None
                tries += 1
                is_starting = failure.trouble == "busy"
                is_late = time.monotonic() - started > self._endpoint.patience_s
                if is_late or (tries >= _LIST_TRIES and not is_starting):
                    raise UsageError(f"{server.url} does not answer: {failure}") from None
                await asyncio.sleep(max(back_off_s(tries), failure.retry_after_s or 0.0))
        data = listed.get("data") if isinstance(listed, dict) else None
        entries = data if isinstance(data, list) else []
        return {each["id"]: each for each in entries if isinstance(each, dict) and _text(each.get("id"))}

    def _only(self, server: Server, served: list[str]) -> str:
        if len(served) != 1:
            raise UsageError(f"name the model that {server.url} is to use; {_named(served)}")
        return served[0]

    async def _first_answer(self, http: Http, server: Server, learned: Learned) -> tuple[Learned, Answer]:
        tries = 0
        while True:
            body = body_of(learned, self._messages, self._fields)
            try:
                answer, server.echoes = await http.chat(server, body, _TOKENS)
                return learned, answer
            except Failure as failure:
                tries += 1
                if failure.trouble == "refused" and learned.streams:
                    learned = Learned(
                        learned.model, learned.is_framescribe, False, learned.revision, learned.precision
                    )
                elif failure.trouble in ("refused", "denied") or tries >= self._endpoint.tries:
                    raise
                else:
                    await asyncio.sleep(max(back_off_s(tries), failure.retry_after_s or 0.0))

    async def _check_counts(self, http: Http, server: Server, learned: Learned, answer: Answer) -> None:
        """Servers that leave out what they do not know count no tokens for it.

        Raises:
            UsageError: media are left out; or tokens are not counted, though there is a budget of them.
        """
        if self._endpoint.max_tokens is not None and answer.output_tokens is None:
            raise UsageError(
                f"{server.url} does not count tokens, so `max_tokens` cannot be kept; leave it out"
            )
        content = self._messages[0]["content"]
        if isinstance(content, str) or answer.prompt_tokens is None or learned.is_framescribe:
            return
        text = [part for part in content if part["type"] == "text"]
        body = body_of(learned, [{"role": "user", "content": text}], {"max_tokens": _TOKENS})
        try:
            without, _ = await http.chat(server, body, _TOKENS)
        except Failure:
            return  # it may take no text alone
        if without.prompt_tokens is not None and without.prompt_tokens >= answer.prompt_tokens:
            raise UsageError(f"{server.url} ignores {self._what}; {self._advice}")

    def _unusable(self, server: Server, failure: Failure, model: str, served: list[str]) -> UsageError:
        if failure.trouble == "denied":
            key = "the key was refused" if self._endpoint.key else "it wants a key"
            about = {"401": f"{key} ({failure})", "404": f"{failure}; {_named(served)}"}
            whom = f"{server.url}, model {model}" if model else server.url
            return UsageError(f"{whom}: {about.get(str(failure)[:3], str(failure))}")
        if failure.trouble == "refused":
            known = "" if model in served or not served else f"; {_named(served)}"
            return UsageError(
                f"{server.url}, model {model}, takes no {self._what}: {failure}; {self._advice}{known}"
            )
        # Some servers fail on what they do not know, in place of refusing it.
        return UsageError(f"{server.url}, model {model}, does not answer: {failure}; {self._advice}")

    @property
    def _what(self) -> str:
        return "such request" if isinstance(self._messages[0]["content"], str) else self._endpoint.sent

    @property
    def _advice(self) -> str:
        if isinstance(self._messages[0]["content"], str):
            return "look at its log"
        ways = [way for way in ("frames", "images", "video") if way != self._endpoint.send]
        return f"try {' or '.join(f'`send={way}`' for way in ways)}"


def body_of(learned: Learned, messages: Sequence[Message], fields: dict[str, Any]) -> bytes:
    """A request for a chat completion."""
    body = {"model": learned.model, "messages": list(messages), **fields, "stream": learned.streams}
    if learned.streams:
        body["stream_options"] = {"include_usage": True}
    return json.dumps(body).encode()


def _named(served: list[str]) -> str:
    if not served:
        return "it lists none"
    more = f" and {len(served) - 10} more" if len(served) > 10 else ""
    return f"it serves {', '.join(served[:10])}{more}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= MAX_NAME_CHARS else None
