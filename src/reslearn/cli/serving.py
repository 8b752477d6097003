"""`serve`: answers over HTTP until it is told to stop."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Literal

import typer

from . import options as opt
from .output import say


def register(app: typer.Typer) -> None:
    """Add this group's command to the app."""
    app.command()(serve)


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|NAME=MODEL...",
            help="Run folders, sealed or exported files; named by these if NAME is absent.",
        ),
    ],
    host: Annotated[str, typer.Option(help="Where to listen; 0.0.0.0 is every address of this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any that is free.")] = 8000,
    engine: opt.ChosenEngine = None,
    max_batch: Annotated[int, typer.Option(help="Pictures that are scored at once, at most.")] = 32,
    max_wait_ms: Annotated[float, typer.Option(help="How long a picture waits for others that are coming.")] = 5.0,
    queue: Annotated[int, typer.Option(help="Pictures of a model that may wait; more are refused with 429.")] = 256,
    max_bytes: Annotated[str, typer.Option(metavar="SIZE", help="Of a request's body.")] = "16MiB",
    max_pixels: Annotated[int, typer.Option(help="Of a picture.")] = 89_000_000,
    timeout_s: Annotated[float, typer.Option(help="From a whole request to its answer; then 503.")] = 30.0,
    grace_s: Annotated[float, typer.Option(help="After SIGTERM, to answer what was accepted.")] = 20.0,
    receive_s: Annotated[float, typer.Option(help="For a request to come in, and an answer to be taken.")] = 20.0,
    api_key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keys, one a line; a request must bring one of them.")
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Swap in a model whose file is replaced.")] = False,
    log_format: Annotated[Literal["text", "json"], typer.Option(help="Of the line for each request.")] = "text",
) -> None:
    """Answer pictures over HTTP: POST /predict, and the Open Inference Protocol at /v2. GET /docs lists all.

    SIGTERM answers what was accepted, refuses the rest, and ends with status 0.
    """
    from ..serve.settings import NEEDS, Settings, size_of

    settings = Settings(
        engine, max_batch, max_wait_ms, queue, size_of(max_bytes), max_pixels, timeout_s, grace_s, receive_s,
        api_key_file, reload, log_format,
    )  # fmt: skip
    from ..engine.needs import need

    need(*NEEDS)
    from ..serve.server import Server, address_of, bound, end
    from ..serve.starting import start_service

    listener = bound(host, port)
    say(f"reslearn serve: opening {', '.join(models)}")
    service = start_service(models, settings)
    for slot in service.slots.values():
        say(f"model      {slot.name}: {slot.current.predictor!r}")

    def started() -> None:
        say(f"listening  {address_of(listener)}; Ctrl-C or SIGTERM ends it")

    told = Server(service, started).serve_until_told(listener)
    end(130 if told == signal.SIGINT else 0)
