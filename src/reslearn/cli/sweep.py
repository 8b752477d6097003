"""`sweep`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..jobs.progress import watching
from ..runtime.files import writable_target
from ..spec.choices import Sampler
from ..spec.errors import UserError
from ..spec.seen import seen_from_json
from . import options as opt
from .addresses import opened_so
from .asking import Training, asking
from .output import emit, print_seen, put, put_table, say

if TYPE_CHECKING:
    from ..jobs.search.result import Sweep
    from ..jobs.search.sweep import SweepPlan


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(asking(sweep))


def sweep(
    data: opt.Data,
    *,
    asked: Training,
    trials: Annotated[int, typer.Option(help="At most so many; a space of fewer points is tried whole.")] = 20,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="SWEEP", help="The folder to make, or to join; runs/SET-sweep-1, ..."),
    ] = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the winner again, on training and validation pictures together.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Runs of each trial, compared by their mean and spread.")] = 1,
    sampler: Annotated[
        Sampler, typer.Option(help="quasi: spread evenly, known beforehand; tpe: each proposed after those before.")
    ] = "quasi",
    prune: Annotated[bool, typer.Option(help="End trials early that are worse than most by then.")] = True,
    val_fraction: opt.ValFraction = 0.1,
    forget_pictures: opt.ForgetPictures = False,
    cache_size: opt.CacheSize = None,
    allow_urls: opt.AllowUrls = False,
    log_to: opt.LogTo = None,
    dry_run: opt.DryRun = False,
    as_json: opt.Json = False,
) -> None:
    """Train many times with other settings, and find on validation which are best; test pictures are left alone.

    `--set lr=log:0.01..1`, `lr=0.1..0.5` and `lr=a,b,c` are searched, `lr=0.1` is the same in all trials.
    Run the same command again, in more terminals or on more machines that see the folder, and they share the trials;
    killed anywhere, it goes on with the same command.
    """
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn sweep: {asked.words(f'on {data}')}")
    if out is not None:
        writable_target(out, "folder", "--out")
    request = asked.request(data, val_fraction=val_fraction, forget_pictures=forget_pictures)
    from ..jobs.naming import chosen_folder
    from ..jobs.search.record import Asked
    from ..jobs.search.sweep import begun_alike, plan_sweep, run_sweep
    from ..train.trackers.forward import boards

    begins = boards(log_to or ())
    plan = plan_sweep(request, Asked(trials, seeds, sampler, prune, retrain))
    out = out or begun_alike(plan.record) or chosen_folder(data, kind="-sweep")
    _print_plan(plan)
    say(f"folder    {out}")
    if dry_run:
        emit(plan.to_json() | {"out": str(out)}, as_json, lambda: None)
        return
    with watching() as watch:
        done = run_sweep(out, plan.record, watch=watch, begins=begins)
    emit(done.to_json(), as_json, lambda: _print_sweep(done))


def resume_sweep(out: Path, as_json: bool, *, data: str | None = None, log_to: list[str] | None = None) -> None:
    """`resume` of a sweep's folder: train what is left of its trials and choose the winner."""
    if data is not None:
        raise UserError(f"{out}: a sweep finds its data where it was; leave --data out, or put the pictures back")
    from ..jobs.search.sweep import run_sweep
    from ..train.trackers.forward import boards

    begins = boards(log_to or ())
    with watching() as watch:
        done = run_sweep(out, watch=watch, begins=begins)
    emit(done.to_json(), as_json, lambda: _print_sweep(done))


def _print_plan(plan: SweepPlan) -> None:
    first, record = plan.first, plan.record
    for line in first.choice.lines(each="trial"):
        say(f"chosen    {line}")
    for note in first.notes:
        say(f"note      {note}")
    size = first.start.preprocess.size
    say(
        f"data      {len(first.train_data):,} to train on, {len(first.val_data):,} to validate on, "
        f"{len(first.data.classes)} classes"
    )
    say(f"network   {first.start.spec.name}, input {size} x {size}")
    for name, text in record.space.items():
        say(f"searched  {name} in {text}")
    each = "" if record.seeds == 1 else f" of {record.seeds} runs each"
    say(f"trials    {record.trials}{each}, {'worse ones ended early' if record.prune else 'all to their end'}")


def _print_sweep(done: Sweep) -> None:
    names = list(done.record.space)
    ranked = sorted(done.tried, key=lambda one: (one.top1 is None, -(one.top1.mean if one.top1 else 0.0)))
    rows = [
        (
            str(one.trial.number),
            *(one.trial.values.get(name, "") for name in names),
            one.top1.percent() if one.top1 else one.trial.state,
        )
        for one in ranked
    ]
    put_table(("trial", *names, "right on validation"), rows)
    put()
    put(f"best      {' '.join(f'{name}={text}' for name, text in done.best.trial.values.items())}")
    val = done.best.runs[0].val
    if val is not None:
        print_seen("seen      ", seen_from_json(val["seen"]))
    for name, share in done.importance.items():
        put(f"matters   {100 * share:3.0f} %  {name}")
    put(f"verdict   {done.verdict}")
    put(f"model     {done.model}")
    put(f"report    {done.path / 'report.html'}")
