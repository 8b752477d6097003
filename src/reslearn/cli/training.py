"""`train` and `resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.allocator import tune
from ..runtime.process_group import from_environment, restarted
from ..spec.codec import parse_assignments
from ..spec.seen import seen_from_json
from . import options as opt
from .crossval import resume_crossval
from .output import emit, print_seen, put, say
from .progress import watching

if TYPE_CHECKING:
    from ..jobs.plan import Forecast
    from ..jobs.resolve import Plan
    from ..train.fit import Run


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(train)
    app.command()(resume)
    app.command()(plan)


def train(
    data: opt.Data,
    model: opt.Model,
    recipe: opt.Recipe,
    out: Annotated[Path, typer.Option(help="The run folder to make.")],
    epochs: opt.Epochs = None,
    assignments: opt.Assignments = None,
    seed: int = 0,
    weights: opt.Weights = None,
    prefer: opt.PreferOption = None,
    image_size: opt.ImageSize = None,
    val_fraction: Annotated[float, typer.Option(help="Held out of train where the data has no val.")] = 0.1,
    split_seed: int = 0,
    precision: opt.TrainPrecision = None,
    on_bad_file: opt.BadFile = "stop",
    dry_run: opt.DryRun = False,
    overwrite: Annotated[bool, typer.Option(help="Replace a run that is there.")] = False,
    forget_pictures: opt.ForgetPictures = False,
    as_json: opt.Json = False,
) -> None:
    """Train a network on your pictures and seal it in one file."""
    say(f"reslearn train: {model} on {data} with {recipe}")
    if restarted() and (out / "run.json").exists():  # torchrun started all processes again after one failed
        resume(out, as_json=as_json)
        return
    tuned = tune()
    from ..jobs import training as jobs
    from ..jobs.resolve import TrainRequest, resolve
    from ..train.folder import refuse_existing
    from ..train.origin import check_start

    if from_environment().first:
        refuse_existing(out, overwrite)
    request = TrainRequest(
        data,
        model,
        recipe,
        epochs=epochs,
        changes=parse_assignments(assignments or []),
        image_size=image_size,
        seed=seed,
        val_fraction=val_fraction,
        split_seed=split_seed,
        precision=precision,
        tuned_allocator=tuned,
        on_bad_file=on_bad_file,
        forget_pictures=forget_pictures,
        weights=weights,
        prefer=prefer,
    )
    plan = resolve(request)
    check_start(plan.start.recipe, request.weights)
    _print_plan(plan)
    if dry_run:
        emit(plan.to_json(), as_json, lambda: None)
        return
    with watching() as watch:
        run = jobs.train(plan, out=out, overwrite=overwrite, watch=watch)
    for reason in run.skipped.values():
        say(f"skipped   {reason}")
    emit(run.to_json(), as_json, lambda: _print_run(run))


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    data: Annotated[
        str | None, typer.Option(metavar="NEWPATH", help="Where the same data is now, if it has moved.")
    ] = None,
    allow_different_numerics: Annotated[
        bool, typer.Option(help="Go on although this machine computes otherwise.")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Go on with a run (or cross-validation) that was stopped or killed; it ends as if it never had been."""
    say(f"reslearn resume: {run}")
    tune()
    if (run / "crossval.json").exists():
        resume_crossval(run, as_json, data=data)
        return
    from ..jobs import training as jobs

    with watching() as watch:
        done, nothing_left = jobs.resume(run, data=data, allow_different_numerics=allow_different_numerics, watch=watch)
    if nothing_left:
        say(f"{run}: this run is finished")
    emit(done.to_json(), as_json, lambda: _print_run(done))


def plan(
    data: opt.Data,
    model: opt.Model,
    recipe: opt.Recipe,
    epochs: opt.Epochs = None,
    assignments: opt.Assignments = None,
    image_size: opt.ImageSize = None,
    weights: opt.Weights = None,
    prefer: opt.PreferOption = None,
    seconds: Annotated[float, typer.Option(help="How long to probe the loader, and the steps.")] = 12.0,
    as_json: opt.Json = False,
) -> None:
    """Probe for a minute: speed, memory, what holds it back, time in all, disk; and the --set line to paste."""
    say(f"reslearn plan: {model} on {data} with {recipe}")
    tuned = tune()
    from ..jobs.plan import check_seconds, forecast
    from ..jobs.resolve import TrainRequest, resolve

    check_seconds(seconds)
    request = TrainRequest(
        data,
        model,
        recipe,
        epochs=epochs,
        changes=parse_assignments(assignments or []),
        image_size=image_size,
        tuned_allocator=tuned,
        weights=weights,
        prefer=prefer,
    )
    resolved = resolve(request)
    _print_plan(resolved)
    result = forecast(resolved, seconds=seconds)
    emit(result.to_json(), as_json, lambda: _print_forecast(result))


def _print_plan(plan: Plan) -> None:
    start = plan.start
    settings, size = start.settings, start.preprocess.size
    say(
        f"data      {len(plan.train_data):,} to train on, {len(plan.val_data):,} to validate on, "
        f"{len(plan.data.classes)} classes"
    )
    for note in plan.notes:
        say(f"note      {note}")
    for reason in plan.left_out.values():
        say(f"left out  of validation: {reason}")
    say(f"network   {start.spec.name}, input {size} x {size}, {plan.steps:,} steps of {start.recipe.batch_size}")
    for line in start.weights_lines():
        say(f"weights   {line}")
    for line in start.frozen_lines(plan.steps):
        say(f"frozen    {line}")
    how = "compiled (the first step takes half a minute)" if settings.compile else "eager"
    allocator = "tuned" if settings.tuned_allocator else "default"
    say(f"settings  {settings.device}, {settings.precision}, {how}, {settings.threads} threads, {allocator} allocator")
    say(f"because   {settings.source}")


def _print_run(run: Run) -> None:
    put(f"model     {run.model}")
    if run.val is not None:
        put(
            f"val       top-1 {100 * run.val['top1']:.2f} % of {run.val['images']} pictures, loss {run.val['loss']:.4f}"
        )
        print_seen("seen      ", seen_from_json(run.val["seen"]))
    if run.probe is not None:
        from ..jobs.probe import verdict

        put(f"probe     {verdict(run.probe)}")
    put(f"time      {run.seconds:.1f} s of training, {run.images_per_second:,.0f} images/s")
    put(f"report    {run.path / 'report.html'}")


def _print_forecast(result: Forecast) -> None:
    gib = 2**30
    put(
        f"speed     {result.images_per_second:,.0f} images/s, its steps' spread {result.spread:.1%}; "
        f"the loader alone {result.loader_images_per_second:,.0f}"
    )
    put(f"bound by  {'reading pictures' if result.bound == 'loader' else 'computing'}")
    put(f"memory    {result.memory_bytes / gib:.1f} of {result.memory_available_bytes / gib:.1f} GiB at the peak")
    epoch, total = _clock(result.seconds_per_epoch), _clock(result.seconds_total)
    put(f"time      {epoch} an epoch, {total} for {result.steps:,} steps")
    put(f"disk      {result.checkpoint_bytes / gib:.2f} GiB for the run, {result.free_disk_bytes / gib:.0f} GiB free")
    if result.busy:
        put(f"busy      {result.busy}: plan again when the machine is quiet")
    nothing = "nothing can be told on a busy machine" if result.busy else "nothing: these settings are the best known"
    put(f"suggested {result.suggestion or nothing}")


def _clock(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d} h" if hours else f"{rest // 60}:{rest % 60:02d} min"
