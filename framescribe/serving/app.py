"""The server's addresses."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from framescribe.captioner import Captioner
from framescribe.serving.chat import ChatResponse
from framescribe.serving.errors import ApiError
from framescribe.serving.gate import Gate
from framescribe.serving.schema import ChatCompletion, ChatRequest, ErrorBody, ModelCard, ModelList
from framescribe.serving.service import Service
from framescribe.serving.settings import ServerSettings
from framescribe.version import __version__

_REFS = "#/components/schemas/{model}"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in (400, 401, 403, 404, 405, 408, 413, 415, 429, 503)
}
_EVENT = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {"schema": _EVENT}},
        "description": "The answer, whole or as events",
    }
}
_CODES = {404: "not_found", 405: "method_not_allowed"}


def create_app(
    captioner: Captioner, settings: ServerSettings = ServerSettings(), keys: tuple[str, ...] = ()
) -> FastAPI:
    """An ASGI application that answers with a captioner: what ``framescribe serve`` runs, to run it elsewhere.

    Args:
        captioner: loaded.
        settings: what clients may ask.
        keys: that clients need; without any, only requests that this machine sends are answered.

    Returns:
        The application; its ``state.service`` is what answers, to be closed at the end.
    """
    service = Service(settings)
    service.open(captioner)
    return app_of(service, keys)


def app_of(service: Service, keys: tuple[str, ...]) -> FastAPI:
    """As ``create_app``, of a service that may not be ready yet."""
    app = FastAPI(
        title="framescribe", version=__version__, docs_url=None, redoc_url=None, responses=_REFUSALS,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    app.add_middleware(Gate, service=service, keys=keys)
    app.add_exception_handler(ApiError, _refused)
    app.add_exception_handler(HTTPException, _no_such_place)
    app.add_exception_handler(Exception, _failed)
    body = {
        "content": {"application/json": {"schema": {"$ref": _REFS.format(model="ChatRequest")}}},
        "required": True,
    }

    @app.post(
        "/v1/chat/completions",
        response_model=ChatCompletion,
        responses=_STREAM,
        openapi_extra={"requestBody": body},
    )
    async def chat_completions(request: Request) -> Response:
        return ChatResponse(service, request)

    @app.get("/v1/models")
    async def models() -> ModelList:
        return ModelList(data=[service.opened.card])

    @app.get("/v1/models/{name:path}")
    async def model(name: str) -> ModelCard:
        if name != service.opened.card.id:
            raise ApiError(404, "model_not_found", f"there is no model {name!r} here")
        return service.opened.card

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        if service.failure is not None:
            service.check_ready()
        return {"status": "alive"}

    @app.get("/health/ready")
    @app.get("/health")
    async def ready() -> dict[str, str]:
        service.check_ready()
        return {"status": "ready"}

    @app.get("/version")
    async def version() -> dict[str, str]:
        return {"version": __version__}

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        return PlainTextResponse(
            service.metrics_text(), headers={"content-type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    app.openapi = lambda: _published(app)  # type: ignore[method-assign]
    return app


def _published(app: FastAPI) -> dict[str, Any]:
    """The schema, with the request's, which is read by other means than FastAPI's."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, routes=app.routes)
        request = ChatRequest.model_json_schema(ref_template=_REFS)
        schema["components"]["schemas"] |= {**request.pop("$defs"), "ChatRequest": request}
        app.openapi_schema = schema
    return app.openapi_schema


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.body, error.status, error.headers)


async def _no_such_place(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    told = ApiError(error.status_code, _CODES.get(error.status_code, "invalid_request"), str(error.detail))
    return JSONResponse(told.body, told.status, {**told.headers, **(error.headers or {})})


async def _failed(request: Request, error: Exception) -> Response:
    told = ApiError(500, "internal_error", "this is a bug in the server; its log says more")
    return JSONResponse(told.body, told.status)
