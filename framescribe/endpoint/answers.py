"""What a server answered: read within limits, and believed only where it is whole and of the right types."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from framescribe.shown import one_line, shorten, shown

Trouble = Literal["busy", "late", "broken", "refused", "denied"]
FINISH_REASONS = ("stop", "length", "loop")
MAX_NAME_CHARS = 500
"""Of a model's name, and of whatever else a server calls something."""
_MAX_ERROR_CHARS = 300
_MAX_TOKEN_CHARS = 128  # Llama 3's longest token
_MAX_TOKEN_BYTES = 2048  # an event of a stream, with its fields
_LEAST_BYTES = 1 << 16


class Failure(Exception):
    """A request was not answered.

    Attributes:
        trouble: ``busy``: the server has too much to do; ``late``: it took too long; ``broken``: it failed, or answered
            what is no answer; ``refused``: it does not take this request; ``denied``: it takes none of this caller.
        retry_after_s: what the server asks for; None for nothing.
    """

    def __init__(self, trouble: Trouble, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.trouble: Trouble = trouble
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return shorten(one_line(shown(self.args[0])), _MAX_ERROR_CHARS)

    def without(self, secret: str | None) -> Failure:
        """The same, with what a message repeats of a key taken out before it is shortened."""
        message = self.args[0] if secret is None else self.args[0].replace(secret, "***")
        return Failure(self.trouble, message, self.retry_after_s)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is whole.

    Attributes:
        text: as the model wrote it.
        finish_reason: ``stop``, ``length``, or ``loop`` (framescribe's server).
        model: that answered, as the server says; None if it does not.
        prompt_tokens, output_tokens: as the server counts them; None if it does not.
        id: of the answer.
        extra: what framescribe's server adds.
        url: of the server that answered.
    """

    text: str
    finish_reason: str
    model: str | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    id: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    url: str = ""


def max_bytes(max_tokens: int) -> int:
    """More bytes than an answer of so many tokens can have."""
    return _LEAST_BYTES + _MAX_TOKEN_BYTES * max_tokens


class AnswerReader:
    """Puts an answer together, from one JSON object or the events of a stream.

    Args:
        max_tokens: that were asked for.
        on_text: is given the text piece by piece as it comes.
        secret: the key that was sent, which no answer holds; None for none.

    Attributes:
        is_done: whether a stream has said that it is over.
    """

    def __init__(
        self, max_tokens: int, on_text: Callable[[str], None] | None = None, secret: str | None = None
    ) -> None:
        self._max_tokens = max_tokens
        self._on_text = on_text
        self._secret = secret
        self._held_back = ""  # what may be the beginning of the secret
        self._pieces: list[str] = []
        self._chars = 0
        self._values: dict[str, Any] = {}
        self._finish_reason: Any = None
        self._line = bytearray()
        self.is_done = False

    def add_events(self, received: bytes) -> None:
        """More bytes of a stream of server-sent events."""
        self._line += received
        if b"\n" not in received:
            return
        *lines, self._line = self._line.split(b"\n")
        for line in lines:
            name, _, data = line.strip().partition(b":")
            if data.strip() == b"[DONE]":
                self.is_done = True
            elif name == b"data":
                self.add(bytes(data), "delta")

    def add(self, content: bytes, part: Literal["message", "delta"]) -> None:
        """One JSON object: the whole answer, or an event of a stream.

        Raises:
            Failure: it is not what an OpenAI-compatible server writes.
        """
        try:
            value = json.loads(content)
        except (ValueError, RecursionError):
            raise Failure("broken", f"its answer is no JSON: {content[:80]!r}") from None
        if not isinstance(value, dict):
            raise Failure("broken", "its answer is no JSON object")
        if value.get("error"):
            raise failure_of(error_status(value), error_message(value))
        for name, kind in (("id", str), ("model", str), ("usage", dict), ("framescribe", dict)):
            if (found := value.get(name)) is not None:
                self._values[name] = _typed(found, kind, name)
                if kind is str and len(found) > MAX_NAME_CHARS:
                    raise Failure("broken", f"{name} of its answer has {len(found):,} characters")
        # Events may be without choices: of usage, or to keep the connection.
        choices = _typed(value.get("choices", [] if part == "delta" else None), list, "choices")
        if not choices and part == "message":
            raise Failure("broken", "its answer has no choices")
        if choices:
            self._add_choice(_typed(choices[0], dict, "choices[0]"), part)

    def _add_choice(self, choice: dict[str, Any], part: str) -> None:
        message = _typed(choice.get(part) or ({} if part == "delta" else None), dict, part)
        if part == "message" and "content" not in message:
            raise Failure("broken", "its answer has no content")
        piece = "" if (content := message.get("content")) is None else _typed(content, str, "content")
        self._finish_reason = choice.get("finish_reason") or self._finish_reason
        self._chars += len(piece)
        if self._chars > _MAX_TOKEN_CHARS * self._max_tokens:
            raise Failure("broken", f"its answer is longer than {self._max_tokens} tokens can be")
        if piece:
            self._pieces.append(piece)
            self._tell(self._held_back + piece)

    def _tell(self, text: str, is_end: bool = False) -> None:
        """Tells what has come, but for an end that may become the secret."""
        if self._secret is not None and self._secret in text:
            raise Failure("broken", "its answer holds the key")
        held = 0 if self._secret is None or is_end else _overlap(text, self._secret)
        text, self._held_back = text[: len(text) - held], text[len(text) - held :]
        if self._on_text is not None and text:
            self._on_text(text)

    def answer(self, url: str) -> Answer:
        """The answer, once all of it has come.

        Raises:
            Failure: it is not whole, or was held back by a filter.
        """
        if self._finish_reason == "content_filter":
            raise Failure("refused", "a filter of the server held the answer back")
        if self._finish_reason not in FINISH_REASONS:
            raise Failure(
                "broken", f"its answer ended before its end (finish_reason {self._finish_reason!r})"
            )
        refuse_secret(self._values, self._secret)
        self._tell(self._held_back, is_end=True)
        text, model = "".join(self._pieces), self._values.get("model")
        try:
            f"{text}{model}".encode()
        except UnicodeEncodeError:  # half a character, which JSON may hold and no file of rows
            raise Failure("broken", "its answer is no text") from None
        usage, extra = self._values.get("usage", {}), self._values.get("framescribe", {})
        reason = extra.get("finish_reason", self._finish_reason)
        return Answer(
            text=text,
            finish_reason=reason if reason in FINISH_REASONS else self._finish_reason,
            model=model,
            prompt_tokens=_count(usage, "prompt_tokens"),
            output_tokens=_count(usage, "completion_tokens"),
            id=self._values.get("id", ""),
            extra=extra,
            url=url,
        )


def refuse_secret(value: object, secret: str | None) -> None:
    """
    Raises:
        Failure: a JSON value holds the key that was sent: a row would publish it.
    """
    try:
        is_there = secret is not None and json.dumps(secret)[1:-1] in json.dumps(value, ensure_ascii=False)
    except RecursionError:
        raise Failure("broken", "its answer is nested too deeply") from None
    if is_there:
        raise Failure("broken", "its answer holds the key")


def _overlap(text: str, word: str) -> int:
    """How many characters at the end of a text begin a word."""
    return next((n for n in range(min(len(text), len(word)), 0, -1) if text.endswith(word[:n])), 0)


def failure_of(status: int, message: str, retry_after_s: float | None = None) -> Failure:
    """What an HTTP status means for the request."""
    trouble: Trouble = "broken"
    if status in (429, 503, 529):
        trouble = "busy"
    elif status in (401, 402, 403, 404):
        trouble = "denied"
    elif 400 <= status < 500 and status not in (408, 409, 425):
        trouble = "refused"
    return Failure(trouble, f"{status}: {message}" if status else message, retry_after_s)


def error_message(value: object) -> str:
    """The message of an error object, in any of the forms that servers use."""
    while isinstance(value, dict):
        value = next(
            (value[name] for name in ("error", "message", "detail") if value.get(name)), "no message"
        )
    return value if isinstance(value, str) else json.dumps(value)[:_MAX_ERROR_CHARS]


def error_status(value: dict[str, Any]) -> int:
    """The HTTP status that an error object within an answer stands for; 0 if it names none."""
    error = value["error"]
    code = error.get("code") if isinstance(error, dict) else None
    return code if type(code) is int and 400 <= code < 600 else 0


def _count(usage: dict[str, Any], name: str) -> int | None:
    count = usage.get(name)
    if count is None:
        return None
    if type(count) is not int or not 0 <= count < 1 << 40:
        raise Failure("broken", f"its {name} is no count: {count!r}")
    return count


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind):
        raise Failure(
            "broken", f"{name} of its answer is of type {type(value).__name__}, not {kind.__name__}"
        )
    return value
