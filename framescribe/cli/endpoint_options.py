"""Options of ``caption``, ``ask`` and ``rewrite`` for an OpenAI-compatible server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from framescribe.cli.groups import Spelled
from framescribe.cli.options import above_zero
from framescribe.endpoint.spec import Endpoint
from framescribe.endpoint.spec import Send as SendName
from framescribe.errors import UsageError

_PANEL = "Through an OpenAI-compatible server"
_KEY_VARIABLE = "FRAMESCRIBE_ENDPOINT_KEY"

Url = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="Caption by this server, such as http://gpu:8000; or by several, divided by commas.",
        rich_help_panel=_PANEL,
    ),
]
TextUrl = Annotated[
    str,
    typer.Option(
        "--endpoint",
        metavar="URL",
        help="Server whose model rewrites, such as http://gpu:8000; or several, divided by commas.",
        rich_help_panel=_PANEL,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--endpoint-model",
        metavar="NAME",
        help="Its model, as the server names it; by default the only one that it serves.",
        rich_help_panel=_PANEL,
    ),
]
KeyVariable = Annotated[
    str | None,
    typer.Option(
        "--key-env",
        metavar="VARIABLE",
        help=f"Environment variable that holds the API key; by default {_KEY_VARIABLE}.",
        rich_help_panel=_PANEL,
    ),
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", help="File that holds the API key.", rich_help_panel=_PANEL)
]
Send = Annotated[
    SendName | None,
    typer.Option(
        help="What is sent of a clip. frames (default): the chosen frames with their times, as JPEGs. png: the same "
        "without loss. images: as single pictures. video: the file, or the clip cut out of it.",
        rich_help_panel=_PANEL,
    ),
]
JpegQuality = Annotated[
    int | None,
    typer.Option(
        "--jpeg-q",
        min=2,
        max=31,
        help="Quality of JPEGs, by FFmpeg's scale: 2, the default, is the best, 31 the smallest.",
        rich_help_panel=_PANEL,
    ),
]
LongSide = Annotated[
    int | None,
    typer.Option(
        min=16, metavar="PIXELS", help="Shrink frames until their long side is this.", rich_help_panel=_PANEL
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Requests at a time to each server, at most; by default 64. How many there are adapts to it.",
        rich_help_panel=_PANEL,
    ),
]
AnswerTimeout = Annotated[
    float | None,
    typer.Option(
        "--answer-timeout",
        callback=above_zero,
        metavar="SECONDS",
        help="Time for one answer; by default 600.",
        rich_help_panel=_PANEL,
    ),
]
Patience = Annotated[
    float | None,
    typer.Option(
        "--patience",
        callback=above_zero,
        metavar="SECONDS",
        help="Give up after so long without any answer; by default 1,800.",
        rich_help_panel=_PANEL,
    ),
]
MaxRequests = Annotated[
    int | None,
    typer.Option(min=1, help="Budget: send no more requests than this in one run.", rich_help_panel=_PANEL),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Budget: send no request once prompts and answers of a run have had so many tokens.",
        rich_help_panel=_PANEL,
    ),
]


def endpoint_of(
    endpoint: Url = None,
    endpoint_model: Model = None,
    key_env: KeyVariable = None,
    key_file: KeyFile = None,
    send: Send = None,
    jpeg_q: JpegQuality = None,
    long_side: LongSide = None,
    concurrency: Concurrency = None,
    timeout_s: AnswerTimeout = None,
    patience_s: Patience = None,
    max_requests: MaxRequests = None,
    max_tokens: MaxTokens = None,
) -> Endpoint | None:
    """The endpoint that the options spell; None without ``--endpoint``.

    Raises:
        UsageError: an option of an endpoint without one, or a key that cannot be read.
    """
    given: dict[str, Any] = {
        "send": send, "jpeg_q": jpeg_q, "long_side": long_side, "concurrency": concurrency, "timeout_s": timeout_s,
        "patience_s": patience_s, "max_requests": max_requests, "max_tokens": max_tokens,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    if endpoint is None:
        keys = {"endpoint_model": endpoint_model, "key_env": key_env, "key_file": key_file}
        for name in [*given, *(name for name, value in keys.items() if value is not None)]:
            raise UsageError(f"`{name}` is for a server: add `endpoint`")
        return None
    return Endpoint(endpoint, endpoint_model, _key(key_env, key_file), **given)


def text_endpoint_of(
    endpoint: TextUrl,
    endpoint_model: Model = None,
    key_env: KeyVariable = None,
    key_file: KeyFile = None,
    concurrency: Concurrency = None,
    timeout_s: AnswerTimeout = None,
    patience_s: Patience = None,
    max_requests: MaxRequests = None,
    max_tokens: MaxTokens = None,
) -> Endpoint:
    """The endpoint that is sent text alone.

    Raises:
        UsageError: a key that cannot be read.
    """
    given: dict[str, Any] = {
        "concurrency": concurrency, "timeout_s": timeout_s, "patience_s": patience_s, "max_requests": max_requests,
        "max_tokens": max_tokens,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    return Endpoint(endpoint, endpoint_model, _key(key_env, key_file), **given)


def _key(variable: str | None, file: Path | None) -> str | None:
    if file is None:
        key = os.environ.get(variable or _KEY_VARIABLE)
        if variable is not None and not key:
            raise UsageError(f"`key_env`: the environment has no {variable}")
        return key or None
    if variable is not None:
        raise UsageError("`key_env` and `key_file` exclude each other")
    from framescribe.reading import read_text

    try:
        return read_text(file).strip()
    except OSError as error:
        raise UsageError(f"--key-file {file} cannot be read: {error.strerror}") from error


Given = Annotated[Endpoint | None, Spelled(endpoint_of)]
GivenText = Annotated[Endpoint, Spelled(text_endpoint_of)]
