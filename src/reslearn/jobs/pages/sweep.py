"""The report of a sweep: its trials drawn, which settings matter, and what the winner is worth."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...report.pages import duration, interval, number, percent, render
from ...report.values import Curves, Fact, Grid, Report, Score, Search, SearchAxis, Table
from ...runtime.files import write_atomic
from ...spec.space import Axis, Choices
from ...spec.text import counted
from ...train.numerics import not_alike
from ...train.records.curves import sealed_curves
from ...train.records.journal import read_journal
from ...train.records.run import RunRecord
from ...train.records.run import read_record as read_run
from ..search.result import Sweep, Tried, rank
from .tables import FILE_NAME, environment_table, heading, recipe_table, score_row

DRAWN = 5  # of the trials, whose validation errors are drawn over epochs
CHOSEN = (
    "The winner was chosen on its validation pictures, so its score there promises a little too much; test pictures "
    "were not looked at."
)


def write_sweep_report(done: Sweep) -> Path:
    """Write `report.html` into the folder of a sweep and return its path."""
    path = done.path / FILE_NAME
    write_atomic(path, render(sweep_report(done)))
    return path


def sweep_report(done: Sweep) -> Report:
    """What the page shows, as plain values."""
    record, best = done.record, done.best
    run = read_run(best.folders[0])
    return Report(
        name=heading(run.spec.name, record.data),
        summary=f"{done.path.resolve().name}: sweep of {counted(len(done.tried), 'trial')}, recipe {run.recipe.name}, "
        f"begun {record.created[:16].replace('T', ' ')}",
        notes=(CHOSEN, *not_alike(_runs(done))),
        verdict=(done.verdict,),
        facts=tuple(_facts(done)),
        scores=tuple(_scores(done)),
        search=search_of(done),
        grids=(_trials(done),),
        rivals=tuple(_curves(done)),
        command=record.command,
        tables=(
            recipe_table(run.recipe),
            Table(title="Space", rows=tuple(record.space.items()), note=_how(done)),
            environment_table(record.environment),
        ),
    )


def _runs(done: Sweep) -> dict[str, RunRecord]:
    """The records of all runs, by what the page calls them."""
    found = {}
    for one in done.tried:
        for seed, folder in enumerate(one.folders, 1):
            name = f"Trial {one.trial.number}" + (f", seed {seed}" if len(one.folders) > 1 else "")
            if (folder / "run.json").exists():  # one that cannot be built has none
                found[name] = read_run(folder)
    return found


def _how(done: Sweep) -> str:
    record = done.record
    how = "proposed by Optuna's TPE" if record.sampler == "tpe" else "spread evenly, known beforehand"
    early = "poor ones are ended early" if record.prune else "none ended early"
    return f"{how}; {counted(record.seeds, 'run')} a trial; {early}"


def _facts(done: Sweep) -> Iterable[Fact]:
    best = done.best
    if best.top1 is not None:
        seeds = f"mean of {counted(len(best.runs), 'seed')}" if len(best.runs) > 1 else f"trial {best.trial.number}"
        yield Fact(label="best validation accuracy", value=best.top1.percent(), note=seeds)
    for name, text in best.trial.values.items():
        yield Fact(label=name, value=text, note=f"of {done.record.space[name]}")
    ended = sum(one.trial.state == "pruned" for one in done.tried)
    failed = sum(one.trial.state == "failed" for one in done.tried)
    note = ", ".join(f"{n} {what}" for n, what in ((ended, "ended early"), (failed, "failed")) if n)
    yield Fact(label="trials", value=str(len(done.tried)), note=note or "all trained to their end")
    yield Fact(label="training", value=duration(done.seconds), note="all finished runs together")


def _scores(done: Sweep) -> Iterable[Score]:
    for run in done.best.runs:
        if run.val is not None:
            yield score_row("val", {**run.val, "remark": f"chosen on it among {counted(done.compared, 'trial')}"}, None)


def _trials(done: Sweep) -> Grid:
    names = list(done.record.space)
    ordered = sorted(done.tried, key=lambda one: (one.top1 is None, *rank(one)))
    rows = tuple(
        (
            f"{one.trial.number}",
            *(one.trial.values.get(name, "") for name in names),
            one.top1.percent() if one.top1 else "–",
            _interval(one),
            number(None if one.loss is None else one.loss.mean, 4),
            _ended(one),
        )
        for one in ordered
    )
    columns = ("trial", *names, "top-1", "95 %", "loss", "ended")
    return Grid(title="Ranking", columns=columns, rows=rows, note="On validation, the best first.")


def _interval(one: Tried) -> str:
    if len(one.runs) != 1 or one.runs[0].val is None or one.top1 is None:
        return "–"
    low, high = one.runs[0].val["top1_interval"]
    return interval((low, high))


def _ended(one: Tried) -> str:
    if one.trial.state == "pruned":
        best = min(one.trial.reported, default=math.nan)
        return f"early, at {percent(1 - best / 100)}"
    return {"done": "at its end", "failed": "failed"}.get(one.trial.state, one.trial.state)


def _curves(done: Sweep) -> Iterable[tuple[str, Curves]]:
    """Validation errors of the best trials' first runs."""
    for one in sorted((one for one in done.tried if one.top1 is not None), key=rank)[:DRAWN]:
        run = one.runs[0]
        drawn = sealed_curves(read_run(run.path), read_journal(run.path / "metrics.jsonl"), run.val)
        yield f"trial {one.trial.number}", drawn


def search_of(done: Sweep) -> Search:
    """Where every trial lies on every axis."""
    axes = done.record.axes()
    errors = [one.trial.error for one in done.tried]
    known = np.array([error for error in errors if error is not None])
    low, high = float(known.min()), float(known.max())
    width = (high - low) or 1.0
    rows = [
        (
            *(_place(axis, one.trial.values[axis.name]) for axis in axes),
            None if error is None else (error - low) / width,
        )
        for one, error in zip(done.tried, errors, strict=True)
    ]
    marks = tuple((place, f"{low + place * width:.1f}") for place in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Search(
        axes=tuple(SearchAxis(name=axis.name, marks=_marks(axis)) for axis in axes),
        error=SearchAxis(name="error, %", marks=marks if high > low else ((0.0, f"{low:.1f}"),)),
        places=tuple(rows),
        best=next(i for i, one in enumerate(done.tried) if one.trial.number == done.best.trial.number),
        importance=tuple(done.importance.items()),
    )


def _place(axis: Axis, text: str) -> float:
    if isinstance(axis, Choices):
        return axis.texts.index(text) / max(len(axis.texts) - 1, 1)
    value, low, high = float(text), axis.low, axis.high
    if axis.log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)


def _marks(axis: Axis) -> tuple[tuple[float, str], ...]:
    if isinstance(axis, Choices):
        return tuple((_place(axis, text), text) for text in axis.texts)
    found = {_place(axis, repr(end)): f"{end:g}" for end in (axis.low, axis.high)}
    if axis.log:
        for power in range(math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high)) + 1):
            found[round(_place(axis, repr(10.0**power)), 6)] = f"{10.0**power:g}"
    else:
        middle = (axis.low + axis.high) / 2
        found[0.5] = f"{middle:g}"
    ordered = sorted(found.items())
    return tuple(mark for i, mark in enumerate(ordered) if i in (0, len(ordered) - 1) or _clear(i, ordered))


def _clear(i: int, marks: list[tuple[float, str]]) -> bool:
    """Whether the mark has room between the two ends."""
    return min(abs(marks[i][0] - marks[k][0]) for k in (0, -1)) > 0.07
