"""`ensemble` and `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.container import sealed_in
from ..runtime.replacing import PAGE, sealed_target
from ..spec.choices import Combine
from ..spec.errors import UserError
from ..spec.text import counted
from . import options as opt
from .asking import Looking, asking
from .evaluation import plain_warnings
from .names import as_typed
from .output import check_targets, emit, print_seen, put, say

if TYPE_CHECKING:
    from ..jobs.compare import Compared
    from ..jobs.ensemble import Ensembled

Protocol = Annotated[str, typer.Option(help="How each picture is looked at; see `evaluate`.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(asking(ensemble))
    app.command()(asking(compare))


def ensemble(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Run folders or sealed files.")],
    data: Annotated[str, typer.Option(metavar="DATA", help="What to choose and to score on.")],
    combine: Annotated[Combine, typer.Option(help="Average softmax (probabilities) or logits.")] = "softmax",
    weights: Annotated[
        str | None, typer.Option("--member-weights", help="One number per model, as in 1,2,1; equal if absent.")
    ] = None,
    greedy: Annotated[bool, typer.Option("--greedy", help="Choose members and weights to lower the loss.")] = False,
    split: Annotated[str, typer.Option(help="What members are chosen on. Of test the file keeps a mark.")] = "val",
    score_split: Annotated[str | None, typer.Option(help="What is scored; the same if absent.")] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Seal the ensemble here.")] = None,
    protocol: Protocol = "1-crop",
    precision: opt.ScorePrecision = "fp32",
    cache: opt.Cache = None,
    *,
    looking: Looking,
    forget_pictures: opt.ForgetPictures = False,
    as_json: opt.Json = False,
) -> None:
    """Average several models, measure the gain over the best of them, and seal them as one file."""
    say(f"reslearn ensemble: {len(models)} models on {data}")
    numbers = None if weights is None else _numbers(weights, len(models))
    if out is not None:
        sealed_target(out, "--out", inputs=map(sealed_in, models))
    scoring = looking.scoring(split, protocol=protocol, precision=precision, cache=cache or "auto")
    from ..jobs.ensemble import ensemble_models

    with plain_warnings():
        done = ensemble_models(
            models,
            data,
            combine=combine,
            weights=numbers,
            greedy=greedy,
            score_split=score_split,
            out=out,
            forget_pictures=forget_pictures,
            scoring=scoring,
        )
    emit(done.to_json(), as_json, lambda: _print_ensemble(done))


def compare(
    a: Annotated[str, typer.Argument(metavar="RUN", help="A run, a sealed file, or a folder of runs (seeds).")],
    b: Annotated[str, typer.Argument(metavar="RUN", help="The other.")],
    data: Annotated[str | None, typer.Option(metavar="DATA", help="The first run's own data if absent.")] = None,
    split: Annotated[str | None, typer.Option(help="test if there is one and this is absent, else val.")] = None,
    out: opt.PageOut = None,
    protocol: Protocol = "1-crop",
    precision: opt.ScorePrecision = "fp32",
    cache: opt.Cache = None,
    *,
    looking: Looking,
    as_json: opt.Json = False,
) -> None:
    """Say in plain words whether one model is better than another, by paired tests on the same pictures."""
    say(f"reslearn compare: {a} and {b}")
    check_targets({as_typed("--out"): (out, PAGE)})
    scoring = looking.scoring(split, protocol=protocol, precision=precision, cache=cache or "auto")
    from ..jobs.compare import compare_models

    with plain_warnings():
        done = compare_models(a, b, data=data, scoring=scoring)
        if out is not None:
            from ..jobs.pages.comparison import write_comparison_report

            write_comparison_report(out, done)
    emit(done.to_json(), as_json, lambda: _print_comparison(done))


def _numbers(text: str, models: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UserError(f"{as_typed('--member-weights')} {text}: write one number per model, as in 1,2,1") from None
    if len(numbers) != models:
        option = as_typed("--member-weights")
        raise UserError(f"{option} {text}: {len(numbers)} weights for {models} models; write one number per model")
    return numbers


def _print_ensemble(done: Ensembled) -> None:
    for member in done.members:
        score = member.score
        note = f", seen: {score.seen}" if score.seen.worth_saying else ""
        put(f"{member.model}  weight {member.weight:g}  {100 * score.top1:.2f} % right, loss {score.loss:.4f}{note}")
    whole, gain = done.ensemble, done.gain
    low, high = (100 * share for share in whole.top1_interval)
    put(f"ensemble   {100 * whole.top1:.2f} % right (95 %: {low:.2f} .. {high:.2f}), loss {whole.loss:.4f}")
    low, high = (100 * share for share in gain.interval)
    best = done.members[gain.best].model
    put(f"gain       {100 * gain.top1:+.2f} points over {best} (95 %: {low:+.2f} .. {high:+.2f})")
    put(f"scored on  {counted(done.images, 'picture')} of {done.scored_on}")
    print_seen("seen       ", whole.seen)
    if done.selected_on == done.scored_on:
        put("note       members were chosen on these same pictures, so this is a little too good; add --score-split")
    if whole.selected_on_test:
        put("warning    selected on test pictures: a score on them is too good")
    if done.model:
        put(f"model      {done.model}")


def _print_comparison(done: Compared) -> None:
    found = done.comparison
    for letter, side in (("A", done.a), ("B", done.b)):
        shown = ", ".join(f"{100 * score.top1:.2f}" for score in side.scores)
        put(f"{letter}  {side.name}  {', '.join(side.networks)}, {side.parameters:,} parameters: {shown} % right")
    put(f"on {counted(found.images, 'picture')} of {done.split} ({done.data}); {found.test}")
    if found.only_a is not None:
        put(f"right alone: A {found.only_a:,}, B {found.only_b:,}")
    put(done.verdict)
    for difference in done.differs:
        put(f"differs    {difference}")
    print_seen("seen       ", done.seen)
    if any(score.selected_on_test for side in (done.a, done.b) for score in side.scores):
        put("warning    selected on test pictures: a score on them is too good")
