"""`POST /predict`: pictures in, the most probable classes out, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..data.dataset import Image
from ..interpret.heats import Rows
from .batcher import Row
from .gate import Exchange
from .models import Served
from .multipart import Upload, uploads
from .refusals import Refused, json_response
from .service import Service


@dataclass(frozen=True)
class Heat:
    """Where a picture speaks for a class: rows of numbers in 0..1 over the prepared picture."""

    index: int
    heat: Rows


PARSED_HERE = 1 << 16  # bytes of a body; larger ones are parsed in a thread


async def predict(service: Service, request: Request, model: str | None, top: int, *, cam: bool) -> Response:
    """The answer to a request; of pictures that cannot be read, `error` says why, and where none can, so does 422.

    With `cam`, heat of each picture where it speaks for its best class.
    """
    settings, exchange = service.settings, Exchange.of(request)
    with service.slot(model).using() as served, served.batcher.expecting() as arrived:
        exchange.model = served.name
        if cam and served.heats is None:
            raise Refused(422, f"{served.name} has no class maps (it was exported without --cam); leave cam=1 out")
        async with service.room.body(request) as body:
            kind = request.headers.get("content-type")
            if len(body) <= PARSED_HERE:
                given = uploads(kind, body, settings.queue)
            else:
                given = await service.decoding.aside(lambda: uploads(kind, body, settings.queue))
            exchange.pictures = len(given)
            with service.accepting(served, len(given)):

                async def answers() -> tuple[list[Row | str], list[Heat | None]]:
                    size = served.preprocess
                    prepared = await asyncio.gather(*(service.decoding.read(x.content, x.said, size) for x in given))
                    arrived()
                    logits = await service.score(served, prepared)
                    return logits, await _heats(service, served, prepared, logits) if cam else [None] * len(logits)

                logits, heats = await service.in_time(request, answers())
    return _reply(service, served, given, logits, heats=heats, top=top)


async def _heats(
    service: Service, served: Served, prepared: Sequence[Image | str], logits: Sequence[Row | str]
) -> list[Heat | None]:
    """Class and heat of every picture that has an answer; made aside, one request at a time."""
    draw = served.heats
    sound = [(i, image, row) for i, (image, row) in enumerate(zip(prepared, logits, strict=True))
             if not isinstance(image, str) and not isinstance(row, str)]  # fmt: skip
    found: list[Heat | None] = [None] * len(logits)
    if draw is None or not sound:
        return found
    classes = [int(row.argmax()) for _, _, row in sound]
    images = [image for _, image, _ in sound]
    rows = await service.decoding.aside(lambda: draw(images, classes), light=False)
    for (i, _, _), index, heat in zip(sound, classes, rows, strict=True):
        found[i] = Heat(index, heat)
    return found


def _reply(
    service: Service,
    served: Served,
    given: Sequence[Upload],
    logits: Sequence[Row | str],
    *,
    heats: Sequence[Heat | None],
    top: int,
) -> Response:
    sound = [row for row in logits if not isinstance(row, str)]
    best = iter(served.answers(sound, top) if sound else ())
    told: list[dict[str, Any]] = []
    for upload, row, heat in zip(given, logits, heats, strict=True):
        error = row if isinstance(row, str) else None
        answers = [] if error is not None else [asdict(one) for one in next(best)]
        more = {} if heat is None else {"cam": {"label": served.labels[heat.index], **asdict(heat)}}
        told.append({"name": upload.name, "predictions": answers, "error": error, **more})
    pictures = service.metrics.pictures
    pictures.labels(served.name, "answered").inc(len(sound))
    pictures.labels(served.name, "unread").inc(len(told) - len(sound))
    value = {"model": served.name, "sha256": served.sha256, "predictions": told}
    if not sound:
        raise Refused(422, told[0]["error"], also=value)
    return json_response(value)
