"""`POST /predict`: pictures in, the most probable classes out, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .batcher import Row
from .gate import Exchange
from .models import Served
from .multipart import Upload, uploads
from .refusals import Refused, json_response
from .service import Service

PARSED_HERE = 1 << 16  # bytes of a body; larger ones are parsed in a thread


async def predict(service: Service, request: Request, model: str | None, top: int) -> Response:
    """The answer to a request; of pictures that cannot be read, `error` says why, and where none can, so does 422."""
    settings, exchange = service.settings, Exchange.of(request)
    with service.slot(model).using() as served, served.batcher.expecting() as arrived:
        exchange.model = served.name
        async with service.room.body(request) as body:
            kind = request.headers.get("content-type")
            if len(body) <= PARSED_HERE:
                given = uploads(kind, body, settings.queue)
            else:
                given = await service.decoding.aside(lambda: uploads(kind, body, settings.queue))
            exchange.pictures = len(given)
            with service.accepting(served, len(given)):

                async def answers() -> list[Row | str]:
                    size = served.preprocess
                    prepared = await asyncio.gather(*(service.decoding.read(x.content, x.said, size) for x in given))
                    arrived()
                    return await service.score(served, prepared)

                logits = await service.in_time(request, answers())
    return _reply(service, served, given, logits, top)


def _reply(
    service: Service, served: Served, given: Sequence[Upload], logits: Sequence[Row | str], top: int
) -> Response:
    sound = [row for row in logits if not isinstance(row, str)]
    best = iter(served.answers(sound, top) if sound else ())
    told: list[dict[str, Any]] = []
    for upload, row in zip(given, logits, strict=True):
        error = row if isinstance(row, str) else None
        answers = [] if error is not None else [asdict(one) for one in next(best)]
        told.append({"name": upload.name, "predictions": answers, "error": error})
    pictures = service.metrics.pictures
    pictures.labels(served.name, "answered").inc(len(sound))
    pictures.labels(served.name, "unread").inc(len(told) - len(sound))
    value = {"model": served.name, "sha256": served.sha256, "predictions": told}
    if not sound:
        raise Refused(422, told[0]["error"], also=value)
    return json_response(value)
