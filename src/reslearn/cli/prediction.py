"""`predict`: what is in these pictures, on the terminal or as a file of answers to any number of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.notes import note as tell
from ..spec.errors import UserError
from ..spec.text import counted
from . import options as opt
from .output import emit, put, rewrite_line, say

if TYPE_CHECKING:
    from ..predictor.answers import Prediction
    from ..predictor.writing import Written

EVERY = 10.0  # seconds between two lines of progress; on a terminal one line is rewritten


def register(app: typer.Typer) -> None:
    """Add this group's command to the app."""
    app.command()(predict)


def predict(
    model: opt.Scored,
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGE|DATA...", help="Files, folders, 'patterns*', tars, tables, manifests; labels are not needed."
        ),
    ],
    top: Annotated[int, typer.Option(help="How many classes to name.")] = 5,
    threshold: Annotated[
        float | None, typer.Option(help="Answer `unknown` below this probability; the sealed file's if absent.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Write answers to a .parquet, .csv or .jsonl, a row each."),
    ] = None,
    logits: Annotated[bool, typer.Option("--logits", help="With -o: a column of all logits, too.")] = False,
    features: Annotated[
        str | None, typer.Option(metavar="LAYER", help="With -o: a column of this layer's mean over places, too.")
    ] = None,
    shard: Annotated[str | None, typer.Option(help="With -o: i/n answers every n-th picture from the i-th on.")] = None,
    allow_urls: Annotated[bool, typer.Option("--allow-urls", help="Also read pictures at http addresses.")] = False,
    precision: opt.OwnPrecision = None,
    engine: opt.ChosenEngine = None,
    device: opt.Device = None,
    batch_size: Annotated[int, typer.Option(help="Pictures that are scored at once.")] = 64,
    workers: opt.Workers = 0,
    as_json: opt.Json = False,
) -> None:
    """Name the most probable classes of pictures; `unknown` where the threshold is not reached.

    Files that cannot be read are listed on standard error, the others answered; the exit status is then 2. With -o they
    are rows with an `error`, and the status is 0: given again after a kill, the command goes on where it was, and under
    torchrun the processes share the pictures.
    """
    say(f"reslearn predict: {model}")
    from ..jobs.prediction import PredictRequest, predict_file, predict_pictures

    request = PredictRequest(
        model, tuple(images), top, threshold, allow_urls, precision, engine, device, batch_size, workers
    )
    if out is not None:
        from ..predictor.writing import Wanted

        wanted = Wanted(top, logits, features, shard, workers)
        done = predict_file(request, out, wanted, say=say, note=tell, progress=_progress())
        if done is not None:
            emit(done.to_json(), as_json, lambda: _print_written(done))
        return
    given = {"--logits": logits, "--features": features, "--shard": shard}
    if any(given.values()):
        option = next(name for name, value in given.items() if value)
        raise UserError(f"{option} needs a file to write to: add -o answers.parquet, .csv or .jsonl")
    from ..predictor.answers import Unread

    answers = predict_pictures(request, say=say, note=tell)
    bad = [answer for answer in answers if isinstance(answer, Unread)]
    sound = [answer for answer in answers if not isinstance(answer, Unread)]
    emit([answer.to_json() for answer in answers], as_json, lambda: _print_answers(sound))
    for one in bad:
        say(f"reslearn: {one.error}")
    if bad:
        raise typer.Exit(2)


def _print_answers(answers: list[Prediction]) -> None:
    for prediction in answers:
        first, *rest = prediction.predictions
        unknown = first.index is None  # its probability is that of the best class, which follows
        shown = ", ".join(f"{a.label} {a.probability:.3f}" for a in (rest if unknown else prediction.predictions))
        put(f"{Path(prediction.path or '')}: {f'{first.label} (' if unknown else ''}{shown}{')' if unknown else ''}")


def _print_written(done: Written) -> None:
    bad = f", {done.errors:,} of them could not be read: see the column error" if done.errors else ""
    put(f"file       {done.path}")
    put(f"pictures   {done.pictures:,}{bad}")
    if done.kept:
        put(f"kept       {done.kept:,} were answered before, by a command that was stopped")
    fresh = done.pictures - done.kept
    rate = fresh / max(done.seconds, 1e-9)
    put(f"cost       {done.seconds:.1f} s, {rate:,.0f} pictures/s; {done.precision} on {done.engine}")


def _progress() -> Callable[[int, int], None]:
    """Says now and then how many are done, how fast, and what time is left."""
    live = sys.stderr is not None and sys.stderr.isatty()
    every = 0.5 if live else EVERY
    began = spoken = time.monotonic()
    first: int | None = None

    def progress(done: int, total: int) -> None:
        nonlocal spoken, first
        now = time.monotonic()
        first = done - 1 if first is None else first
        if now - spoken < every and not (live and done == total):
            return
        rate = (done - first) / max(now - began, 1e-9)
        left = (total - done) / rate
        line = f"{done:,} of {counted(total, 'picture')}  {rate:,.0f}/s  {int(left // 60)}:{int(left % 60):02d} left"
        if live:
            rewrite_line(f"{line:<72}", last=done == total)
        else:
            say(line)
        spoken = now

    return progress
