"""The report of a comparison: the verdict in words, both sides' numbers, and the pictures that only one gets right."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ...bundle.file import read_bundle
from ...measure.classes import names_of
from ...measure.metrics import correct, softmax
from ...report.pages import interval, percent, render
from ...report.values import Curves, Fact, Gallery, Grid, Report, Table
from ...runtime.environment import command_line, environment
from ...runtime.replacing import write_page
from ...spec.text import counted
from ...train.records.curves import sealed_curves
from ...train.records.journal import read_journal
from ...train.records.run import read_record
from ..compare import Compared, Side
from .details import SHOTS, picture_of
from .tables import environment_table, remarks


def write_comparison_report(path: str | os.PathLike[str], done: Compared) -> Path:
    """Write the page of a comparison to `path`."""
    write_page(path, render(comparison_report(done)))
    return Path(path)


def comparison_report(done: Compared) -> Report:
    """What the page shows, as plain values."""
    found, scores = done.comparison, (*done.a.scores, *done.b.scores)
    sign = -100 if found.difference < 0 else 100  # as the verdict has it: what the better one is ahead by
    low, high = sorted(sign * bound for bound in found.interval)
    ahead, behind = (done.a, done.b) if found.difference < 0 else (done.b, done.a)
    return Report(
        name=f"{done.a.name} and {done.b.name}",
        summary=f"{counted(found.images, 'picture')} of {done.split}, {done.data or 'given from Python'}; "
        f"{scores[0].protocol}, {scores[0].precision}",
        notes=remarks(any(score.selected_on_test for score in scores), done.seen),
        verdict=(done.verdict,),
        facts=(
            *(Fact(label=side.name, value=percent(_mean(side), 2), note=_trainings(side)) for side in (done.a, done.b)),
            Fact(
                label="difference",
                value=f"{abs(100 * found.difference):.2f}",
                note=f"points that {ahead.name} is ahead of {behind.name}; 95 %: {low:+.2f} to {high:+.2f}",
            ),
            Fact(label="p", value=f"{found.p_value:.2g}" if found.p_value >= 0.001 else "< 0.001", note=found.test),
        ),
        grids=(_sides(done), *_differs(done)),
        rivals=tuple(_curves(done)),
        galleries=tuple(_galleries(done)),
        command=command_line(),
        tables=(
            *(
                Table(title=side.name, rows=tuple((f"model {i}", str(path)) for i, path in enumerate(side.models, 1)))
                for side in (done.a, done.b)
            ),
            environment_table(environment()),
        ),
    )


def _sides(done: Compared) -> Grid:
    sides = (done.a, done.b)
    rows = [
        ("networks", *(", ".join(side.networks) for side in sides)),
        ("parameters", *(f"{side.parameters:,}" for side in sides)),
        ("multiply-adds", *(f"{side.macs / 1e6:,.1f} M" for side in sides)),
        ("trainings", *(str(len(side.scores)) for side in sides)),
        ("top-1, mean", *(percent(_mean(side), 2) for side in sides)),
        ("loss, mean", *(f"{np.mean([score.loss for score in side.scores]):.4f}" for side in sides)),
    ]
    if all(len(side.scores) == 1 for side in sides):
        rows.append(("95 % interval", *(interval(side.scores[0].top1_interval) for side in sides)))
        rows.append(
            (
                "right alone",
                *(counted(count or 0, "picture") for count in (done.comparison.only_a, done.comparison.only_b)),
            )
        )
    return Grid(title="Side by side", columns=("", done.a.name, done.b.name), rows=tuple(rows))


def _differs(done: Compared) -> Iterable[Grid]:
    if done.differs:
        rows = tuple((one.what, *one.shown()) for one in done.differs)
        note = "Beside their answers; between the first training of each."
        yield Grid(title="What differs", columns=("", done.a.name, done.b.name), rows=rows, note=note)


def _curves(done: Compared) -> Iterable[tuple[str, Curves]]:
    """Validation errors of the trainings that are runs."""
    for side in (done.a, done.b):
        for number, path in enumerate(side.models, 1):
            folder = path if path.is_dir() else path.parent
            if (folder / "run.json").exists():
                name = side.name if len(side.models) == 1 else f"{side.name} {number}"
                val = read_bundle(path).scores.get("val")
                yield name, sealed_curves(read_record(folder), read_journal(folder / "metrics.jsonl"), val)


def _galleries(done: Compared) -> Iterable[Gallery]:
    """Pictures that the first training of one side alone gets right, those where the other was surest first."""
    for winner, loser in ((done.b, done.a), (done.a, done.b)):
        right, wrong = winner.scores[0], loser.scores[0]
        probabilities = softmax(wrong.logits)
        names = names_of(read_bundle(loser.models[0]).classes, wrong.logits.shape[1])
        alone = np.flatnonzero(correct(right.logits, right.labels) & ~correct(wrong.logits, wrong.labels))
        order = alone[np.argsort(-probabilities[alone].max(axis=1), kind="stable")][:SHOTS]
        yield Gallery(
            title=f"Only {winner.name} is right",
            note=f"The prediction in red is that of {loser.name}, with its probabilities.",
            pictures=tuple(picture_of(done.pictures, i, probabilities[i], int(wrong.labels[i]), names) for i in order),
        )


def _mean(side: Side) -> float:
    return float(np.mean([score.top1 for score in side.scores]))


def _trainings(side: Side) -> str:
    return "one training" if len(side.scores) == 1 else f"mean of {len(side.scores)} trainings"
