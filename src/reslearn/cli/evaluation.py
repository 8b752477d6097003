"""`evaluate` and `calibrate`."""

from __future__ import annotations

import contextlib
import shlex
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.notes import warn
from ..runtime.replacing import PAGE, PREDICTIONS
from ..spec.errors import UserError
from ..spec.text import counted
from . import options as opt
from .addresses import opened_so
from .asking import Looking, asking
from .names import as_typed
from .output import check_targets, emit, print_seen, put, put_table, say

if TYPE_CHECKING:
    from ..jobs.calibration import Calibrated
    from ..jobs.evaluation import Evaluated, Result
    from ..measure.evaluation import Evaluation
    from ..measure.summary import Summary

Protocols = Annotated[
    list[str] | None,
    typer.Option(
        "--protocol",
        help="1-crop, 10-crop or multi-scale; also @SIZE/RESIZE, @SIZE:FRACTION, +flip, +shift, +logits. Repeatable.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(asking(evaluate))
    app.command()(asking(calibrate))


def evaluate(
    model: opt.Scored,
    data: opt.Data,
    split: Annotated[str | None, typer.Option(help="train, val, test or all; test if absent and there is one.")] = None,
    protocol: Protocols = None,
    precision: opt.OwnPrecision = None,
    details: Annotated[bool, typer.Option(help="Every class, mix-ups, ROC-AUC, calibration.")] = False,
    predictions: Annotated[Path | None, typer.Option(metavar="FILE", help="Keep every picture's logits here.")] = None,
    out: opt.PageOut = None,
    cache: opt.Cache = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Score anew and keep nothing.")] = False,
    known_classes: Annotated[
        bool, typer.Option("--known-classes", help="Leave out pictures of classes that the model does not know.")
    ] = False,
    batch_size: int = 256,
    *,
    looking: Looking,
    cache_size: opt.CacheSize = None,
    allow_urls: opt.AllowUrls = False,
    as_json: opt.Json = False,
) -> None:
    """Score a model on a set of pictures; every look at a test set is a line in the run's ledger.

    Under torchrun the pictures are shared out among the processes.
    """
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn evaluate: {model} on {data}")
    check_targets({"--predictions": (predictions, PREDICTIONS), as_typed("--out"): (out, PAGE)})
    if no_cache and cache is not None:
        raise UserError("--cache keeps scores and --no-cache keeps none; give one of them")
    kept = None if no_cache else cache or "auto"
    scoring = looking.scoring(split, precision=precision, batch_size=batch_size, cache=kept)
    from ..jobs.evaluation import evaluate_protocols
    from ..runtime.process_group import process_group

    with process_group(scoring.device or "cpu") as world, plain_warnings():
        done = evaluate_protocols(
            model,
            data,
            protocol or ["1-crop"],
            scoring,
            details=details,
            predictions=predictions,
            known_classes=known_classes,
        )
        if out is not None and world.first:
            from ..jobs.pages.evaluation import write_evaluation_report

            write_evaluation_report(out, done)
    emit(done.to_json(), as_json, lambda: _print_results(done))
    if done.stale is not None and not as_json:
        say(f"note       the run's page is of before: reslearn report {shlex.quote(str(done.stale))}")


def calibrate(
    model: opt.Sealed,
    data: opt.Data,
    split: Annotated[str, typer.Option(help="What to fit on. Of test the file keeps a mark.")] = "val",
    target_precision: Annotated[
        float | None, typer.Option(help="Also choose a threshold so that answers are right this often, in 0..1.")
    ] = None,
    *,
    looking: Looking,
    as_json: opt.Json = False,
) -> None:
    """Fit a temperature (and a threshold for `unknown`) on validation pictures and store it in the sealed file."""
    say(f"reslearn calibrate: {model} on {split} of {data}")
    scoring = looking.scoring(split)
    from ..jobs.calibration import calibrate_model

    with plain_warnings():
        done = calibrate_model(model, data, target_precision=target_precision, scoring=scoring)
    emit(done.to_json(), as_json, lambda: _print_calibration(done))


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """A library's warnings become one line each on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default", UserWarning)
        try:
            yield
        finally:
            for text in dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, UserWarning)):
                warn(text)


def _print_results(done: Evaluated) -> None:
    results = done.results
    if len(results) > 1:
        _print_protocols(results, done.subject.split)
    else:
        _print_scores(results[0].evaluation, results[0].seconds, done.subject.split)
    for result in results:
        if result.details:
            put("", f"{result.evaluation.protocol}")
            _print_details(result.details)
    if done.left_out:
        put(f"left out   {counted(done.left_out, 'picture')} of classes that the model does not know")
    print_seen("seen       ", results[0].evaluation.seen)
    if results[0].evaluation.selected_on_test:
        put("warning: this model was selected on test pictures; a score on them is too good")


def _print_protocols(results: Sequence[Result], split: str) -> None:
    first = results[0].evaluation
    width = max(len(result.evaluation.protocol) for result in results)
    put(f"{counted(first.images, 'picture')} of {split}, {_how(first)}")
    put(f"{'protocol':<{width}}  top-1 %  95 %            gain   top-5 %    loss  crops  seconds")
    for result in results:
        e = result.evaluation
        low, high = (100 * share for share in e.top1_interval)
        top5 = "–" if e.top5 is None else f"{100 * e.top5:.2f}"
        put(
            f"{e.protocol:<{width}}  {100 * e.top1:7.2f}  {low:.2f} .. {high:.2f}  {100 * (e.top1 - first.top1):+6.2f}"
            f"  {top5:>7}  {e.loss:.4f}  {e.cost:5.4g}  {'kept' if e.kept else f'{result.seconds:.1f}':>7}"
        )


def _print_scores(scores: Evaluation, seconds: float, split: str) -> None:
    low, high = (100 * share for share in scores.top1_interval)
    put(f"protocol   {scores.protocol}, {_how(scores)}, preprocessing {scores.preprocess_hash}")
    put(f"pictures   {scores.images:,} of {split}")
    put(f"top-1      {100 * scores.top1:.2f} % right  (95 %: {low:.2f} .. {high:.2f})")
    if scores.top5 is not None:
        put(f"top-5      {100 * scores.top5:.2f} % right")
    put(f"loss       {scores.loss:.4f}")
    if scores.calibrated is not None:
        at = scores.calibrated
        put(f"calibrated loss {at.loss:.4f}, ECE {at.ece:.4f} at temperature {at.temperature:.3g}")
    speed = "from kept scores" if scores.kept else f"{seconds:.1f} s, {scores.images / seconds:,.0f} pictures/s"
    put(f"cost       {scores.cost:.4g} {'crop' if scores.cost == 1 else 'crops'} a picture; {speed}")


def _how(scores: Evaluation) -> str:
    """The precision, and the engine where it is not torch."""
    return scores.precision if scores.engine == "torch" else f"{scores.precision} on {scores.engine}"


def _print_details(details: Summary) -> None:
    rows = []
    for row in details.per_class:
        shares = (_percent(share) for share in (row.precision, row.recall, row.f1))
        area = "–" if row.roc_auc is None else f"{row.roc_auc:.3f}"
        rows.append([row.label, *shares, area, str(row.support)])
    for kind, means in (("macro", details.macro), ("weighted", details.weighted)):
        rows.append([f"[{kind}]", *(_percent(means[key]) for key in ("precision", "recall", "f1")), "", ""])
    put_table(["class", "precision", "recall", "F1", "ROC-AUC", "pictures"], rows)
    for pair in details.most_confused:
        put(f"mixed up   {pair.truth} taken for {pair.answer}: {pair.count} ({100 * pair.share:.1f} %)")
    believed = f"ECE {details.ece:.4f}, NLL {details.nll:.4f}, Brier {details.brier:.4f}"
    put(f"calibration  {believed} at temperature {details.temperature:.3g}")
    surest = ", ".join(f"{100 * float(c):.0f} %: {100 * (1 - e):.2f} %" for c, e in details.error_at_coverage.items())
    put(f"right when only the surest are answered  {surest}")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _print_calibration(done: Calibrated) -> None:
    print_seen("seen         ", done.seen)
    how = "fitted on" if done.fitted else "as before, for none is fitted on"
    put(f"temperature  {done.temperature:.4f}  ({how} {counted(done.images, 'picture')} of {done.split})")
    for name in ("nll", "ece", "brier"):
        put(f"{name:<11}  {getattr(done.before, name):.4f} -> {getattr(done.after, name):.4f}")
    if done.fitted:
        put(
            "note         the numbers after -> are of the pictures that it was fitted on, so they are a little too good"
        )
    if done.threshold is not None:
        put(
            f"threshold    {done.threshold:.4f}: answers {100 * done.coverage:.1f} % of the pictures, "
            f"{100 * done.precision:.1f} % of them right"
        )
