"""Which server captions, and within which limits: one value, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Literal, get_args
from urllib.parse import urlsplit

from framescribe.errors import UsageError
from framescribe.views import value_text


class BudgetSpent(UsageError):
    """A run's budget of requests or tokens is spent."""


Send = Literal["frames", "png", "images", "video"]


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """An OpenAI-compatible server, or several that serve the same model; and how they are used.

    Attributes:
        url: of the API, such as ``http://gpu:8000`` (which means ``http://gpu:8000/v1``) or
            ``https://openrouter.ai/api/v1``; or several, which requests are spread over.
        model: as the server names it; None takes the only one that it serves.
        key: the API key. No message, row or file ever holds it.
        send: what of a clip is sent. ``frames``: the chosen frames as a sequence of JPEGs with their times; ``png``:
            the same without loss (framescribe's own server takes it); ``images``: the chosen frames as single
            pictures; ``video``: the file, or the clip cut out of it.
        jpeg_q: quality of JPEGs, FFmpeg's ``q``: 2 is the best, 31 the smallest.
        long_side: frames are shrunk until their long side has so many pixels; None leaves them as they are.
        concurrency: requests at a time to each server, at most; how many there are adapts to it.
        tries: how often a request is sent, if the server fails it and is well otherwise.
        timeout_s: seconds for one answer.
        patience_s: seconds without any answer after which the run gives up.
        max_requests: budget of requests of this run, the probe's among them; None is no limit.
        max_tokens: budget of tokens, of prompts and answers, of this run; what is in flight when it is spent is still
            answered. None is no limit.

    Raises:
        UsageError: a value makes no sense, or a URL holds secrets.

    Examples:
        >>> Endpoint("http://gpu:8000", key="secret")
        Endpoint('http://gpu:8000')
        >>> Endpoint("http://gpu:8000").urls
        ('http://gpu:8000/v1',)
    """

    __repr__ = value_text

    url: str | Sequence[str]
    model: str | None = None
    key: str | None = field(default=None, repr=False)
    send: Send = "frames"
    jpeg_q: int = 2
    long_side: int | None = None
    concurrency: int = 64
    tries: int = 8
    timeout_s: float = 600.0
    patience_s: float = 1800.0
    max_requests: int | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if not self.urls:
            raise UsageError("`endpoint` names no URL")
        if self.model is not None and not self.model.strip():
            raise UsageError("the endpoint's model is empty; leave it out for the only one that it serves")
        if self.key is not None and (
            not self.key.strip() or not self.key.isascii() or not self.key.isprintable()
        ):
            raise UsageError("the endpoint's key is empty, or holds characters that no key has")
        if self.send not in get_args(Send):
            raise UsageError(f"`send` takes {', '.join(get_args(Send))}, not {self.send!r}")
        if not (isinstance(self.jpeg_q, int) and 2 <= self.jpeg_q <= 31):
            raise UsageError(f"`jpeg_q` is 2 (best) to 31, not {self.jpeg_q!r}")
        for name in ("long_side", "concurrency", "tries", "max_requests", "max_tokens"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= 1):
                raise UsageError(f"`{name}` must be a whole number, at least 1, not {value!r}")
        for name in ("timeout_s", "patience_s"):
            value = getattr(self, name)
            if not (isinstance(value, int | float) and isfinite(value) and value > 0):
                raise UsageError(f"`{name}` must be a number above 0, not {value!r}")

    @property
    def urls(self) -> tuple[str, ...]:
        """Where the API of each server begins."""
        given = self.url.split(",") if isinstance(self.url, str) else self.url
        return tuple(dict.fromkeys(_base_url(url.strip()) for url in given if url.strip()))

    @property
    def sent(self) -> str:
        """What is sent of a clip, in the words of rows: ``frames jpeg q=2``."""
        if self.send == "video":
            return "video"
        coding = "png" if self.send == "png" else f"jpeg q={self.jpeg_q}"
        shrunk = "" if self.long_side is None else f" long_side={self.long_side}"
        return f"{'images' if self.send == 'images' else 'frames'} {coding}{shrunk}"


def _base_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for one that is none
    except ValueError as error:
        raise UsageError(f"`endpoint` takes a URL such as http://gpu:8000, not {url!r}: {error}") from None
    if "@" in parts.netloc or parts.query or parts.fragment:
        # Not repeated in the message: what is before the @ is a password.
        raise UsageError(
            "an endpoint's URL holds no user, password, query or fragment; its key comes from a file or the "
            "environment"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"`endpoint` takes a URL such as http://gpu:8000, not {url!r}")
    path = parts.path.rstrip("/").removesuffix("/chat/completions")
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}"
