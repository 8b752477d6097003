"""`train` and `resume`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..jobs.progress import watching
from ..runtime.allocator import tune
from ..runtime.process_group import from_environment, restarted
from ..spec.errors import UserError
from ..spec.seen import seen_from_json
from ..spec.text import counted
from . import options as opt
from .addresses import opened_so
from .asking import Training, asking
from .config import check_config_target, over_file, read_config, write_config
from .crossval import resume_crossval
from .output import emit, print_seen, put, say
from .sweep import resume_sweep

if TYPE_CHECKING:
    from ..jobs.resolve import Plan
    from ..train.fit import Run


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(asking(train))
    app.command()(resume)


def train(
    data: opt.MaybeData = None,
    out: opt.Out = None,
    *,
    context: typer.Context,
    asked: Training,
    val_fraction: opt.ValFraction = 0.1,
    dry_run: opt.DryRun = False,
    save: Annotated[
        Path | None, typer.Option(metavar="F.toml", help="With --dry-run: write what it resolved as a file of options.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="F.toml",
            help="Take options from this file; those given here win.",
            callback=read_config,
            is_eager=True,
        ),
    ] = None,
    cache_size: opt.CacheSize = None,
    allow_urls: opt.AllowUrls = False,
    log_to: opt.LogTo = None,
    overwrite: Annotated[bool, typer.Option(help="Replace a run that is there.")] = False,
    forget_pictures: opt.ForgetPictures = False,
    as_json: opt.Json = False,
) -> None:
    """Train a network on your pictures and seal it in one file. DATA alone is enough."""
    if data is None:
        raise UserError("train: DATA is missing; name the pictures (reslearn train --help), or --config F.toml")
    data, asked = opened_so(data, cache_size, allow_urls), over_file(asked, context)
    say(f"reslearn train: {asked.words(f'on {data}')}")
    check_config_target(save, dry_run)
    from ..jobs.naming import chosen_folder

    out = out or chosen_folder(data)
    if restarted() and (out / "run.json").exists():  # torchrun started all processes again after one failed
        resume(out, log_to=log_to, as_json=as_json)
        return
    request = asked.request(data, val_fraction=val_fraction, forget_pictures=forget_pictures)
    from ..jobs import training as jobs
    from ..jobs.resolve import resolve
    from ..train.folder import refuse_existing
    from ..train.origin import check_start
    from ..train.trackers.forward import boards, forwarded

    begins = boards(log_to or ())
    if from_environment().first:
        refuse_existing(out, overwrite)
    plan = resolve(request)
    check_start(plan.start.recipe, request.weights)
    print_plan(plan)
    say(f"run       {out}")
    for line in plan.advice():
        say(f"advice    {line}")
    if dry_run:
        if save is not None and from_environment().first:
            write_config(save, _as_options(plan, out) | {"log_to": log_to}, plan.request.changes)
            say(f"saved     {save}: reslearn train --config {save}")
        emit(plan.to_json() | {"out": str(out)}, as_json, lambda: None)
        return
    with watching() as alone, forwarded(begins, out, alone) as watch:
        run = jobs.train(plan, out=out, overwrite=overwrite, watch=watch)
    for reason in run.skipped.values():
        say(f"skipped   {reason}")
    emit(run.to_json(), as_json, lambda: _print_run(run, data))


def _as_options(plan: Plan, out: Path) -> dict[str, object]:
    """What `--save` writes: everything that was resolved, by the options' names."""
    asked = plan.request
    model = asked.model if isinstance(asked.model, str) else None
    options = {"data": asked.data, "model": model, "recipe": asked.recipe, "out": str(out)}
    others = ("epochs", "image_size", "seed", "weights", "prefer", "val_fraction", "split_seed", "precision",
              "on_bad_file", "forget_pictures")  # fmt: skip
    return options | {name: getattr(asked, name) for name in others}


def resume(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    data: Annotated[
        str | None, typer.Option(metavar="NEWPATH", help="Where the same data is now, if it has moved.")
    ] = None,
    allow_different_numerics: Annotated[
        bool, typer.Option(help="Go on although this machine computes otherwise.")
    ] = False,
    log_to: opt.LogTo = None,
    as_json: opt.Json = False,
) -> None:
    """Go on with a run (or cross-validation, or sweep) that was stopped or killed; it ends as if it never had been."""
    say(f"reslearn resume: {run}")
    tune()
    if (run / "crossval.json").exists():
        if log_to:
            raise UserError(f"--log-to: {run} is a cross-validation, whose folds tell no board; leave it out")
        resume_crossval(run, as_json, data=data, allow_different_numerics=allow_different_numerics)
        return
    if (run / "sweep.json").exists():
        resume_sweep(run, as_json, data=data, log_to=log_to)
        return
    from ..jobs import training as jobs
    from ..train.trackers.forward import boards, forwarded

    begins = boards(log_to or ())
    with watching() as alone, forwarded(begins, run, alone) as watch:
        done, nothing_left = jobs.resume(run, data=data, allow_different_numerics=allow_different_numerics, watch=watch)
    if nothing_left:
        say(f"{run}: this run is finished")
    emit(done.to_json(), as_json, lambda: _print_run(done))


def print_plan(plan: Plan) -> None:
    for line in plan.choice.lines():
        say(f"chosen    {line}")
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
    say(
        f"network   {start.spec.name}, input {size} x {size}, "
        f"{counted(plan.steps, 'step')} of {start.recipe.batch_size}"
    )
    for line in start.weights_lines():
        say(f"weights   {line}")
    for line in start.frozen_lines(plan.steps):
        say(f"frozen    {line}")
    how = "compiled (the first step takes half a minute)" if settings.compile else "eager"
    allocator = "tuned" if settings.tuned_allocator else "default"
    say(
        f"settings  {settings.device}, {settings.precision}, {how}, {counted(settings.threads, 'thread')}, "
        f"{allocator} allocator"
    )
    say(f"because   {settings.source}")


def _print_run(run: Run, data: str | None = None) -> None:
    put(f"model     {run.model}")
    if run.val is not None:
        right, count = f"{100 * run.val['top1']:.2f} %", counted(run.val["images"], "picture")
        put(f"val       {right} of {count} right, loss {run.val['loss']:.4f}")
        print_seen("seen      ", seen_from_json(run.val["seen"]))
    if run.probe is not None:
        from ..jobs.probe import verdict

        put(f"probe     {verdict(run.probe)}")
    put(f"time      {run.seconds:.1f} s of training, {run.images_per_second:,.0f} images/s in the median step")
    put(f"report    {run.path / 'report.html'}")
