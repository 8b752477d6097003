"""The report of an evaluation: one model on one set of pictures, by one protocol or several."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...measure.calibration import reliability
from ...measure.evaluation import Evaluation
from ...report.pages import interval, number, percent, render
from ...report.values import Fact, Grid, Report, Table
from ...runtime.environment import command_line, environment
from ...runtime.replacing import write_page
from ...spec.text import counted
from ..evaluation import Evaluated
from .details import ece_note, look_inside
from .heats import heats_of
from .tables import environment_table, fields_table, heading, remarks, score_row


def write_evaluation_report(path: str | os.PathLike[str], done: Evaluated) -> Path:
    """Write the page of one or more evaluations of the same pictures to `path`; the closer look is at the last."""
    write_page(path, render(evaluation_report(done)))
    return Path(path)


def evaluation_report(done: Evaluated) -> Report:
    """What the page shows, as plain values."""
    evaluations, subject = [result.evaluation for result in done.results], done.subject
    data, loaded, last, members = done.dataset, done.loaded, evaluations[-1], done.loaded.bundle.members
    details = look_inside(last, subject.pictures, loaded.bundle, subject.split, heats=heats_of(loaded))
    name = " + ".join(dict.fromkeys(member.spec.name for member in members))
    right = round(last.top1 * last.images)
    return Report(
        name=heading(name, data.path),
        summary=f"{loaded.path}, {subject.split}: {counted(last.images, 'picture')}, {last.protocol}, {last.precision}",
        notes=(*remarks(last.selected_on_test, last.seen), *_left_out(done.left_out)),
        facts=(
            Fact(label="accuracy", value=percent(last.top1), note=f"{right:,} of {last.images:,}"),
            Fact(label="95 % interval", value=interval(last.top1_interval), note="of the accuracy, Wilson"),
            Fact(label="loss", value=f"{last.loss:.3f}", note="cross-entropy, nats"),
            Fact(label="calibration error", value=number(details.plain_ece), note=ece_note(details)),
        ),
        scores=tuple(
            score_row(subject.split, one.to_json(), reliability(one.logits, one.labels).ece) for one in evaluations
        ),
        grids=(_protocols(evaluations),) if len(evaluations) > 1 else (),
        details=(details,),
        command=command_line(),
        tables=(
            *(
                fields_table("Network" if len(members) == 1 else f"Network {i}", member.spec)
                for i, member in enumerate(members, 1)
            ),
            Table(
                title="Data",
                rows=(
                    ("path", data.path or "given from Python"),
                    ("fingerprint", data.fingerprint()),
                    ("split", subject.split),
                    ("pictures", f"{last.images:,}"),
                ),
            ),
            fields_table("Preprocessing", loaded.bundle.preprocess, ("hash", last.preprocess_hash)),
            Table(title="Sealed file", rows=(("path", str(loaded.path)), ("sha256", loaded.bundle.sha256))),
            environment_table(environment()),
        ),
    )


def _left_out(count: int | None) -> Iterable[str]:
    """That `--known-classes` left pictures out."""
    if count:
        what = "is of a class" if count == 1 else "are of classes"
        yield f"{counted(count, 'picture')} of the data {what} that the model does not know, and left out here."


def _protocols(evaluations: Sequence[Evaluation]) -> Grid:
    first = evaluations[0]
    return Grid(
        title="Protocols",
        note="What each gains over the first, beside what it costs in forward passes of one crop.",
        columns=("protocol", "top-1", "gain", "loss", "cost"),
        rows=tuple(
            (
                one.protocol,
                percent(one.top1, 2),
                "" if one is first else f"{first.top1_error - one.top1_error:+.2f}",
                f"{one.loss:.4f}",
                f"{one.cost:.1f} ×",
            )
            for one in evaluations
        ),
    )
