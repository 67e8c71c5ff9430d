"""The server's addresses: thin JSON over ``RowIndex``, ``Decisions``, ``Previews`` and the quality checks.

``docs/review.md`` says what each takes and gives. All but ``GET /`` and the page's own files answer in JSON or media.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Callable
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from framescribe.errors import ClipError, UsageError
from framescribe.reviewing.guard import LOCKED
from framescribe.reviewing.session import NotReadYet, ReviewSession
from framescribe.version import __version__

_PAGE_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
_LOOK = "look.css"
_MAX_ROWS = 500
_TOLD = """<!doctype html>
<html lang="en"><head><title>Report</title><meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/page/look.css">
<link rel="stylesheet" href="/page/review.css"></head>
<body><main id="view"><h1>Report</h1><p class="hint">{}</p></main></body></html>
"""
Answer = dict[str, Any]


def app_of(session: ReviewSession) -> Starlette:
    """The server of a review, not yet guarded."""
    gets: dict[str, Callable[[Request], Any]] = {
        "/api/folder": lambda request: session.about() | {"version": __version__},
        "/api/rows": lambda request: _rows(session, request),
        "/api/clip": lambda request: session.clip(*_key(request)),
        "/api/media": lambda request: _media(session, request),
        "/api/compare": lambda request: session.comparison(_number(request, "after", -1)),
    }
    posts: dict[str, Callable[[Any], Answer]] = {
        "/api/changes": session.changes,
        "/api/check": session.check,
        "/api/decide": session.decide,
        "/api/bulk": session.bulk,
    }
    routes = [Route("/", _page_file("index.html")), Route("/page/{name}", _page)]
    routes += [Route(path, _get(answer), methods=["GET"]) for path, answer in gets.items()]
    routes += [Route(path, _post(answer), methods=["POST"]) for path, answer in posts.items()]
    routes += [
        Route("/report", lambda request: _report(session)),
        Route("/media/video", lambda request: _video(session, request)),
        Route("/media/strip", lambda request: _strip(session, request)),
    ]
    return Starlette(
        routes=routes,
        exception_handlers={
            UsageError: _refused,
            ClipError: _refused,
            OSError: _failed,
            ClientDisconnect: _cut_off,
        },
    )


def _get(answer: Callable[[Request], Any]) -> Any:
    def respond(request: Request) -> Response:  # no coroutine: it is called on a thread
        return _json(answer(request))

    return respond


def _post(answer: Callable[[Any], Answer]) -> Any:
    async def respond(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            raise HTTPException(415, "JSON is taken")
        try:
            given = json.loads(await request.body())
        except (ValueError, RecursionError) as error:
            raise UsageError("the request is no JSON") from error
        if not isinstance(given, dict):
            raise UsageError("the request is no JSON object")
        return _json(await run_in_threadpool(answer, given))

    return respond


def _json(value: Any, status: int = 200) -> Response:
    text = json.dumps(_plain(value), ensure_ascii=False, allow_nan=False)
    return Response(text.encode("utf-8", "backslashreplace"), status, media_type="application/json")


def _plain(value: Any) -> Any:
    """Numbers that JSON has not become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


async def _refused(request: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 503 if isinstance(error, NotReadYet) else 422)


async def _cut_off(request: Request, error: Exception) -> Response:
    return _json({"error": "the request is too large, or has no end"}, 413)


async def _failed(request: Request, error: Exception) -> Response:
    reason = getattr(error, "strerror", None) or str(error)
    return _json({"error": f"not written: {reason}"}, 507)


def _key(request: Request) -> tuple[str, int]:
    return request.query_params.get("clip", ""), _number(request, "prompt", 0)


def _rows(session: ReviewSession, request: Request) -> Answer:
    asked = request.query_params
    return session.rows(
        asked.get("search", ""),
        tuple(asked.getlist("where")),
        asked.get("order", ""),
        view=_number(request, "view", -1),
        offset=max(0, _number(request, "offset", 0)),
        limit=min(_MAX_ROWS, max(0, _number(request, "limit", 60))),
    )


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal() and len(text) <= 15):
        raise UsageError(f"`{name}` is a number")
    return int(text)


def _media(session: ReviewSession, request: Request) -> Answer:
    clip_id, prompt = _key(request)
    media = session.previews.video(session.media(clip_id, prompt))
    return {
        "url": f"/media/video?clip={quote(clip_id, safe='')}&prompt={prompt}",
        "is_original": media.is_original,
    }


def _video(session: ReviewSession, request: Request) -> Response:
    media = session.previews.video(session.media(*_key(request)))
    return FileResponse(
        media.path, media_type=media.media_type, headers={"cache-control": "private, max-age=600"}
    )


def _strip(session: ReviewSession, request: Request) -> Response:
    path = session.previews.strip(session.media(*_key(request)))
    return FileResponse(path, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})


def _report(session: ReviewSession) -> Response:
    from framescribe.report.page import policy

    try:
        page = session.report.page()
    except UsageError as error:
        return _told(str(error), 422)
    if page is None:
        return _told("It is being made, and appears here once it is there.", 202, {"refresh": "1"})
    return Response(
        page, media_type="text/html", headers={"content-security-policy": f"{policy()}; {LOCKED}"}
    )


def _told(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(_TOLD.format(html.escape(text)), status, headers, "text/html")


def _page_file(name: str) -> Any:
    async def respond(request: Request) -> Response:
        folder = (
            files("framescribe.look") if name == _LOOK else files("framescribe.reviewing").joinpath("page")
        )
        content = folder.joinpath(name).read_bytes()
        return Response(content, media_type=_PAGE_TYPES[name[name.rfind(".") :]])

    return respond


async def _page(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in PAGE_FILES:
        raise HTTPException(404)
    response: Response = await _page_file(name)(request)
    return response


PAGE_FILES = frozenset(each.name for each in files("framescribe.reviewing").joinpath("page").iterdir()) | {
    _LOOK
}
"""What the page is made of; nothing else is served under its address."""
