"""`plan`: a probe before a long run, of its speed or of the learning rate that it bears."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.replacing import PAGE
from ..spec.errors import UserError
from ..spec.text import counted
from ..train.stopping import naming_remedies
from . import options as opt
from .asking import Training, asking
from .output import check_targets, emit, put, say
from .training import print_plan

if TYPE_CHECKING:
    from ..jobs.plan import Forecast
    from ..jobs.resolve import Plan


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(asking(plan))


def plan(
    data: opt.Data,
    *,
    asked: Training,
    val_fraction: opt.ValFraction = 0.1,
    seconds: Annotated[float, typer.Option(help="How long to probe the loader, and the steps.")] = 12.0,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="A learning-rate range test instead: the loss while the rate grows.")
    ] = False,
    html: Annotated[
        Path | None, typer.Option("-o", "--out", "--html", metavar="FILE", help="With --find-lr: its curve as a page.")
    ] = None,
    as_json: opt.Json = False,
) -> None:
    """Probe for a minute: speed, memory, what holds it back, time in all, disk; and the --set line to paste."""
    if html is not None and not find_lr:
        raise UserError(f"--html {html}: goes with --find-lr; add it, or leave --html out")
    check_targets({"--html": (html, PAGE)})
    say(f"reslearn plan: {asked.words(f'on {data}')}")
    request = asked.request(data, val_fraction=val_fraction)
    from ..jobs.plan import check_seconds, forecast
    from ..jobs.resolve import resolve

    check_seconds(seconds)
    resolved = resolve(request)
    print_plan(resolved)
    with naming_remedies(data):
        if find_lr:
            _range_test(resolved, html, as_json)
            return
        for line in resolved.advice():
            say(f"advice    {line}")
        result = forecast(resolved, seconds=seconds)
    emit(result.to_json() | {"chosen": resolved.choice.to_json()}, as_json, lambda: _print_forecast(result))


def _range_test(plan: Plan, html: Path | None, as_json: bool) -> None:
    """`plan --find-lr`."""
    from ..jobs.find_lr import drawn, find_lr, write_page

    found = find_lr(plan, watch=lambda step, steps: say(f"step {step}/{steps}") if step % 25 == 0 else None)
    if html is not None:
        write_page(str(html), found, plan)

    def tell() -> None:
        put(*drawn(found))
        put(f"suggested {found.words}")
        if html is not None:
            put(f"page      {html}")

    emit(found.to_json() | {"html": str(html) if html else None}, as_json, tell)


def _print_forecast(result: Forecast) -> None:
    from ..report.pages import duration

    gib = 2**30
    put(
        f"speed     {result.images_per_second:,.0f} images/s, its steps' spread {100 * result.spread:.1f} %; "
        f"the loader alone {result.loader_images_per_second:,.0f}"
    )
    put(f"bound by  {'reading pictures' if result.bound == 'loader' else 'computing'}")
    put(f"memory    {result.memory_bytes / gib:.1f} of {result.memory_available_bytes / gib:.1f} GiB at the peak")
    epoch, total = duration(result.seconds_per_epoch), duration(result.seconds_total)
    put(f"time      {epoch} an epoch, {total} for {counted(result.steps, 'step')}")
    put(f"disk      {result.checkpoint_bytes / gib:.2f} GiB for the run, {result.free_disk_bytes / gib:.0f} GiB free")
    if result.busy:
        put(f"busy      {result.busy}: plan again when the machine is quiet")
    nothing = "nothing can be told on a busy machine" if result.busy else "nothing: these settings are the best known"
    put(f"suggested {result.suggestion or nothing}")
