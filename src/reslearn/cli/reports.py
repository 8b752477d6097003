"""`demo`, `doctor` and `report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..jobs.progress import watching
from ..runtime.allocator import tune
from ..runtime.files import writable_target
from .options import Json
from .output import emit, put, say

if TYPE_CHECKING:
    from ..jobs.demo import Demo


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(demo)
    app.command()(doctor)
    app.command()(report)


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", help="The run folder; a demo that was stopped there goes on, any other is replaced."
        ),
    ] = Path("runs/demo"),
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Train a small residual network on real handwritten digits, score it, show it, in about a minute."""
    say("reslearn demo: a residual network learns 1,797 handwritten digits; loading torch")
    writable_target(out, "folder", "--out")
    tuned = tune()
    from ..jobs import demo as job

    with watching() as watch:
        done = job.demo(out, seed=seed, tuned_allocator=tuned, watch=watch, say=say)
    emit(done.run.to_json(), as_json, lambda: _print_demo(done))


def doctor(
    measure: Annotated[bool, typer.Option("--measure", help="Measure what the processor does, two seconds.")] = False,
    as_json: Json = False,
) -> None:
    """Say what this machine has: versions, device, rates, bf16, compiler, allocator, threads, extras, disk."""
    say("reslearn doctor: loading torch")
    from ..jobs.doctor import checkup

    facts = checkup(measure=measure)
    emit(facts.to_json(), as_json, lambda: put(*(f"{name:<10} {text}" for name, text in facts.lines())))


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or that of a cross-validation.")],
    figures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Also write every figure there, as PNG and SVG.")
    ] = None,
    tensorboard: Annotated[bool, typer.Option(help="Also write its journal as TensorBoard events.")] = False,
    as_json: Json = False,
) -> None:
    """Write a run's report anew, with whatever has been evaluated since."""
    say(f"reslearn report: {run}")
    if figures is not None:
        writable_target(figures, "folder", "--figures")
    if tensorboard:
        from ..train.tensorboard import write_events

        say(f"TensorBoard events in {write_events(run)}")
    from ..jobs.pages.rewrite import rewrite

    page, written = rewrite(run, figures)
    value = {"report": str(page), "figures": [str(path) for path in written]}
    emit(value, as_json, lambda: put(str(page), *map(str, written)))


def _print_demo(done: Demo) -> None:
    test = done.test
    low, high = (100 * bound for bound in test.top1_interval)
    right = round(test.top1 * test.images)
    columns = [drawing.splitlines() for drawing in done.drawings]
    put()
    for row in zip(*columns, strict=True):
        put("   ".join(row))
    for texts in (
        [f"is {truth}" for truth in done.truths],
        [f"read {a.label}, {100 * a.predictions[0].probability:.0f} %" for a in done.answers],
    ):
        put("   ".join(f"{text:<{len(columns[0][0])}}" for text in texts).rstrip())
    put()
    bounds = f"(95 %: {low:.1f} .. {high:.1f})"
    put(f"test      {100 * test.top1:.1f} % right: {right} of {test.images} unseen digits {bounds}")
    put(f"training  {done.run.seconds:.0f} s, {done.run.images_per_second:,.0f} images/s in the median step")
    put(f"model     {done.run.model}")
    put(f"report    {done.report}")
    put("", f"next      reslearn predict {done.run.path} some-picture.png")
    put("          reslearn train YOUR-FOLDER")
