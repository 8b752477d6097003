"""`crossval`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..jobs.progress import watching
from ..runtime.files import writable_target
from ..spec.text import counted
from ..train.events import Watch
from . import options as opt
from .addresses import opened_so
from .asking import Training, asking
from .output import emit, print_seen, put, say, say_notes

if TYPE_CHECKING:
    from ..jobs.crossval import CrossvalPlan
    from ..train.crossval import Crossval


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(asking(crossval))


def crossval(
    data: opt.Data,
    folds: Annotated[int, typer.Option(help="K: every picture is held out once.")] = 5,
    *,
    asked: Training,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="DIR", help="The folder to make, or to go on with; runs/SET-crossval-1, ..."
        ),
    ] = None,
    fold: Annotated[
        int | None, typer.Option(help="Train this one of 1..K only; give none to train the rest and merge.")
    ] = None,
    group: opt.GroupRegex = None,
    forget_pictures: opt.ForgetPictures = False,
    cache_size: opt.CacheSize = None,
    allow_urls: opt.AllowUrls = False,
    dry_run: opt.DryRun = False,
    as_json: opt.Json = False,
) -> None:
    """Train K networks, each without one K-th of the pictures, and score every picture by the one that has not seen it.

    The test split is left alone. The same command goes on where it was stopped; folds that were trained elsewhere are
    copied into the folder and merged. The K networks end as one sealed ensemble.
    """
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn crossval: {asked.words(f'on {folds} folds of {data}')}")
    from ..jobs.naming import chosen_folder

    out = out or chosen_folder(data, kind="-crossval")
    writable_target(out, "folder", "--out")
    request = asked.request(data, forget_pictures=forget_pictures)
    from ..jobs.crossval import as_begun, is_begun, plan_crossval, run_crossval

    plan = plan_crossval(request, folds=folds, group=group, only=fold, begun=is_begun(out))
    plan = as_begun(out, plan)
    from ..data.table import as_pictures

    say_notes(as_pictures(plan.dataset).notes)
    _print_plan(plan)
    say(f"folder    {out}")
    if dry_run:
        emit(plan.to_json() | {"out": str(out)}, as_json, lambda: None)
        return
    with watching() as watch:
        done = run_crossval(plan, out=out, only=fold, watch=_announcer(watch))
    emit(done.to_json() if done else _waiting(out, plan.record.count), as_json, lambda: _print_crossval(done, out))


def resume_crossval(
    out: Path, as_json: bool, *, data: str | None = None, allow_different_numerics: bool = False
) -> None:
    """`resume` of a cross-validation's folder: train what is left of its folds and merge them."""
    from ..jobs.crossval import resume_folds

    with watching() as watch:
        done = resume_folds(out, data=data, allow_different_numerics=allow_different_numerics, watch=_announcer(watch))
    emit(done.to_json(), as_json, lambda: _print_crossval(done, out))


def _announcer(watch: Watch) -> Callable[[int], Watch]:
    """For each fold, say which it is and return the function that is told of its steps."""

    def begin(fold: int) -> Watch:
        say(f"fold {fold}")
        return watch

    return begin


def _waiting(out: Path, count: int) -> dict[str, object]:
    """What is said while folds are missing."""
    there = [k for k in range(1, count + 1) if (out / f"fold-{k}" / "out-of-fold.safetensors").exists()]
    missing = [k for k in range(1, count + 1) if k not in there]
    return {"run": str(out), "model": None, "finished": there, "missing": missing}


def _print_crossval(done: Crossval | None, out: Path) -> None:
    """The folds' scores, their mean and spread, and where the files are."""
    if done is None:
        put(f"folds are missing; bring them into {out} and give the same command without --fold to merge them")
        return
    for number, val in enumerate(done.scores, 1):
        put(
            f"fold {number:<4}  {100 * val['top1']:.2f} % right, loss {val['loss']:.4f}, "
            f"{counted(val['images'], 'picture')}"
        )
    mean, std = done.spread()
    top1 = f"{100 * mean['top1']:.2f} ± {100 * std['top1']:.2f} %"
    put(f"mean       {top1} right, loss {mean['loss']:.4f} ± {std['loss']:.4f} (standard deviation over folds)")
    whole = done.out_of_fold
    low, high = (100 * share for share in whole.top1_interval)
    put(
        f"all        {100 * whole.top1:.2f} % of {counted(whole.images, 'picture')} right "
        f"(95 %: {low:.2f} .. {high:.2f})"
    )
    print_seen("seen       ", whole.seen)
    put(f"model      {done.model} (the {counted(len(done.runs), 'network')} as one)")
    put(f"pictures   {done.predictions} (every picture's logits by the network that had not seen it)")
    put(f"report     {out / 'report.html'}")


def _print_plan(plan: CrossvalPlan) -> None:
    sizes, start, settings = plan.held_out(), plan.start, plan.start.settings
    held = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
    say(
        f"data      {counted(sum(sizes), 'picture')} in {plan.record.count} folds of {held}, "
        f"{plan.record.method}; {plan.test_pictures:,} of test left alone"
    )
    say(f"network   {start.spec.name}, input {start.preprocess.size}, {counted(max(plan.steps()), 'step')} a fold")
    for word, line in plan.lines():
        say(f"{word:<9} {line}")
    say(f"settings  {settings.device}, {settings.precision}, {'compiled' if settings.compile else 'eager'}")
    say(f"because   {settings.source}")
