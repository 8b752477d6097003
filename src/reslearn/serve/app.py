"""The routes of the server, put together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..spec.errors import unknown
from .gate import Gate
from .inference import inference_routes
from .pages import page_routes
from .predict import predict as answer
from .refusals import Refused, json_response
from .service import Service

_ABOUT = (
    'Names the most probable classes of pictures. Errors are JSON, {"error": "one line"}, and every answer has an '
    "X-Request-Id, which the server's log has, too."
)
_ERRORS = {
    400: "The request is broken", 401: "A key is needed", 404: "There is no such model",
    408: "The request did not come in in time", 411: "No Content-Length", 413: "Too many bytes or pictures",
    415: "Another kind of body", 422: "A wrong parameter, or no picture that can be read",
    429: "The queue is full; see Retry-After", 503: "No answer in time, or the server is being stopped",
}  # fmt: skip
PARAMETERS = ("model", "top", "cam")  # of /predict
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"schema": {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}}}
_PICTURES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Files in any field of a form, or one picture as it is.",
        "content": {"multipart/form-data": _FILES, "image/*": _BINARY, "application/octet-stream": _BINARY},
    }
}
_PREDICTION = {
    "type": "object",
    "properties": {
        "label": {"type": "string"}, "index": {"type": ["integer", "null"]}, "probability": {"type": "number"}
    },
}  # fmt: skip
_HEAT = {
    "type": "object",
    "description": "With cam=1: rows of numbers in 0..1 over the prepared picture, where it speaks for the class.",
    "properties": {
        "label": {"type": "string"}, "index": {"type": "integer"},
        "heat": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
    },
}  # fmt: skip
_PICTURE = {
    "type": "object",
    "properties": {
        "name": {"type": ["string", "null"]}, "predictions": {"type": "array", "items": _PREDICTION},
        "error": {"type": ["string", "null"]}, "cam": _HEAT,
    },
}  # fmt: skip
_ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "model": {"type": "string"}, "sha256": {"type": "string"},
        "predictions": {"type": "array", "items": _PICTURE},
    },
}  # fmt: skip
RESPONSES: dict[int | str, dict[str, Any]] = {status: {"description": text} for status, text in _ERRORS.items()}
_ANSWERED: dict[int | str, dict[str, Any]] = {
    200: {"description": "In the order given", "content": {"application/json": {"schema": _ANSWER}}}
}


def build_app(service: Service) -> FastAPI:
    """The app of a service; its lifespan ends the service."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="reslearn", description=_ABOUT, version=version("reslearn"), lifespan=lifespan, docs_url=None,
        redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.service = service
    app.add_middleware(Gate, service=service)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _wrong_parameter)
    _add_routes(app, service)
    app.include_router(inference_routes(service), responses=RESPONSES)
    app.include_router(page_routes(app.openapi))
    return app


def _add_routes(app: FastAPI, service: Service) -> None:
    @app.post(
        "/predict", summary="What is in these pictures?", openapi_extra=_PICTURES, responses=_ANSWERED | RESPONSES
    )
    async def predict(
        request: Request,
        model: Annotated[str | None, Query(description="A name of /models; the first one if absent.")] = None,
        top: Annotated[int, Query(ge=1, description="How many classes to name.")] = 5,
        cam: Annotated[int, Query(ge=0, le=1, description="1: heat of the best class, too.")] = 0,
    ) -> Response:
        for name in request.query_params:
            if name not in PARAMETERS:
                raise Refused(422, str(unknown("parameter", name, PARAMETERS)))
        return await answer(service, request, model, top, cam=bool(cam))

    @app.get("/models", summary="What is served")
    async def models() -> Response:
        return json_response({"models": [slot.current.to_json() for slot in service.slots.values()]})

    @app.get("/health", summary="Whether the server runs; no key is needed")
    async def health() -> Response:
        return json_response({"status": "ok"})

    @app.get("/ready", summary="Whether it takes requests; no key is needed", responses={503: RESPONSES[503]})
    async def ready() -> Response:
        if not service.ready:
            raise Refused(503, "the server is being stopped; ask another, or again")
        return json_response({"status": "ready"})

    @app.get("/metrics", summary="Counters, as Prometheus reads them")
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type=service.metrics.content_type)


async def _http_error(_: Request, error: Exception) -> Response:
    """What the router refuses: paths and methods that there are not."""
    if not isinstance(error, HTTPException):
        raise error
    words = {404: "there is nothing at this path; see /docs", 405: "this path does not take this method; see /docs"}
    return Refused(error.status_code, words.get(error.status_code, str(error.detail)), error.headers).response()


async def _wrong_parameter(_: Request, error: Exception) -> Response:
    """A query that is not what the route takes, in one line."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    name = first["loc"][-1] if first["loc"] else "the request"
    return Refused(422, f"{name}: {first['msg']}, found {str(first.get('input'))[:60]!r}").response()
