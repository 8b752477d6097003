"""The Open Inference Protocol, `/v2`: what KServe, Triton and OpenVINO Model Server speak, and their clients."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from ..data.dataset import Image
from .batcher import Row
from .gate import Exchange
from .models import Served
from .refusals import Refused, json_response
from .service import Service
from .tensors import HEADER_LENGTH, MODEL_VERSION, Asked, answer, inputs_of, outputs_of, read_request

PARSED_HERE = 1 << 15  # bytes of a body; larger ones are parsed in a thread


def inference_routes(service: Service) -> APIRouter:
    """The routes of `/v2`."""
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

    @routes.get("", summary="The server and what it speaks")
    async def server() -> Response:
        from importlib.metadata import version

        return json_response({"name": "reslearn", "version": version("reslearn"), "extensions": ["binary_tensor_data"]})

    @routes.get("/health/live", summary="Whether the server runs")
    async def live() -> Response:
        return json_response({"live": True})

    @routes.get("/health/ready", summary="Whether it takes requests")
    async def ready() -> Response:
        return _ready(service)

    @routes.get("/models/{name}", summary="A model's tensors")
    async def metadata(name: str) -> Response:
        with service.slot(name).using() as served:
            return json_response(
                {
                    "name": name, "versions": [MODEL_VERSION], "platform": f"reslearn_{served.predictor.engine}",
                    "inputs": inputs_of(served), "outputs": outputs_of(served),
                }
            )  # fmt: skip

    @routes.get("/models/{name}/ready", summary="Whether a model takes requests")
    async def model_ready(name: str) -> Response:
        service.slot(name)
        return _ready(service, name)

    @routes.post("/models/{name}/infer", summary="Tensors in, logits out", openapi_extra=_INFER)
    async def infer(name: str, request: Request) -> Response:
        return await _infer(service, name, request)

    return routes


_INFER: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "`images`, FP32 (N, channels, S, S) normalised, or UINT8 (N, height, width, 3); JSON, or JSON "
        "with bytes behind it and its length in Inference-Header-Content-Length.",
        "content": {"application/json": {"schema": {"type": "object"}}, "application/octet-stream": {}},
    }
}


def _ready(service: Service, name: str | None = None) -> Response:
    named = {} if name is None else {"name": name}
    return json_response({**named, "ready": service.ready}, 200 if service.ready else 503)


async def _infer(service: Service, name: str, request: Request) -> Response:
    exchange = Exchange.of(request)
    with service.slot(name).using() as served, served.batcher.expecting() as arrived:
        exchange.model = name
        async with service.room.body(request) as body:
            length = request.headers.get(HEADER_LENGTH)
            if len(body) <= PARSED_HERE:
                asked = read_request(served, body, length)
            else:
                asked = await service.decoding.aside(lambda: read_request(served, body, length))
            exchange.pictures = len(asked.images)
            with service.accepting(served, len(asked.images)):

                async def logits() -> list[Row | str]:
                    prepared = await _prepared(service, served, asked)
                    arrived()
                    return await service.score(served, prepared)

                rows = await service.in_time(request, logits())
    bad = next((row for row in rows if isinstance(row, str)), None)
    service.metrics.pictures.labels(name, "answered" if bad is None else "unread").inc(len(rows))
    if bad is not None:
        raise Refused(422, bad)
    content, head = answer(served, asked, np.stack([row for row in rows if not isinstance(row, str)]))
    if head is None:
        return Response(content, media_type="application/json")
    return Response(content, headers={HEADER_LENGTH: str(head)}, media_type="application/octet-stream")


async def _prepared(service: Service, served: Served, asked: Asked) -> list[Any]:
    images = asked.images
    if images.dtype == np.float32:
        return list(images)
    if images.shape[1] * images.shape[2] > service.settings.max_pixels:
        raise Refused(413, f"pictures of over {service.settings.max_pixels} pixels are not taken")
    prepare, preprocess = service.decoding.prepare, served.preprocess
    found: list[Image | str] = await asyncio.gather(
        *(prepare(image, f"picture {i + 1}", preprocess) for i, image in enumerate(images))
    )
    return list(found)
