"""The report of a cross-validation: its folds, and every picture as judged by the network that had not seen it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...bundle.file import read_bundle
from ...data.memory import Subset
from ...data.sources import open_data
from ...measure.confusion import confusion_matrix
from ...measure.evaluation import score
from ...measure.predictions import read_predictions
from ...report.pages import duration, interval, percent, render
from ...report.values import Curves, Details, Fact, Grid, Report
from ...runtime.files import write_atomic
from ...spec.errors import UserError
from ...spec.text import counted
from ...spec.voice import COMMAND, Voice
from ...train.crossval import Crossval
from ...train.fold_models import MODEL, PREDICTIONS, fold_folder
from ...train.numerics import not_alike
from ...train.records.crossval import CrossvalRecord, read_record
from ...train.records.curves import sealed_curves
from ...train.records.journal import read_journal
from ...train.records.run import read_record as read_run
from ..worth import Outcome, after_folds, outcome_of
from .details import look_inside
from .tables import FILE_NAME, Rows, heading, record_tables, score_row


def think_of_folds(done: Crossval, voice: Voice = COMMAND) -> tuple[str, ...]:
    """Write `report.html` into the folder of a finished cross-validation; returns what it says of the result."""
    report = crossval_report(done, voice)
    write_atomic(done.path / FILE_NAME, render(report))
    return report.verdict


def crossval_report(done: Crossval, voice: Voice = COMMAND) -> Report:
    """What the page shows, as plain values; advice in the words of `voice`."""
    folder, record, whole, (mean, std) = done.path, read_record(done.path), done.out_of_fold, done.spread()
    runs = [read_run(fold_folder(folder, k)) for k in range(1, record.count + 1)]
    notes = list(not_alike({f"Fold {k}": run for k, run in enumerate(runs, 1)}))
    details: tuple[Details, ...] = ()
    try:
        details = tuple(_details(record, folder))
    except (UserError, OSError) as error:
        notes.append(f"The pictures could not be looked at again: {error}")
    spread = f"{100 * mean['top1']:.2f} ± {100 * std['top1']:.2f} %"
    return Report(
        name=heading(record.spec.name, record.data["path"]),
        summary=f"{folder.resolve().name}: cross-validation, recipe {record.recipe.name}, "
        f"{record.count} {record.method} folds, begun {record.created[:16].replace('T', ' ')}",
        verdict=tuple(_advice(record, done, voice)),
        notes=tuple(notes),
        facts=(
            Fact(
                label="accuracy out of fold", value=percent(whole.top1), note=f"95 %: {interval(whole.top1_interval)}"
            ),
            Fact(label="folds", value=spread, note="mean and standard deviation"),
            Fact(label="pictures", value=f"{whole.images:,}", note="each judged by a network that had not seen it"),
            Fact(label="training", value=duration(done.seconds), note=counted(record.count, "network")),
        ),
        scores=(score_row("out of fold", whole.to_json(), details[0].plain_ece if details else None),),
        grids=(_folds(done),),
        rivals=tuple(_fold_curves(folder, record, done)),
        details=details,
        command=record.command,
        tables=record_tables(record, _data(record)),
    )


def _advice(record: CrossvalRecord, done: Crossval, voice: Voice) -> list[str]:
    """What the result is worth: of all pictures together, then of the folds."""
    kept = read_predictions(done.predictions)

    def outcome(rows: NDArray[np.bool_], epochs: list[dict[str, Any]], val: dict[str, Any]) -> Outcome:
        looked = confusion_matrix(kept.logits[rows], kept.labels[rows])
        classes, started = record.spec.num_classes, record.weights is not None
        return outcome_of(epochs, val, looked, classes=classes, from_weights=started)

    folds, ends = [], []
    for k, val in enumerate(done.scores, 1):
        journal = read_journal(fold_folder(done.path, k) / "metrics.jsonl")
        epochs = [line for line in journal if line["kind"] == "epoch"]
        ends += [line["train_error"] for line in epochs[-1:] if line.get("train_error") is not None]
        folds.append(outcome(np.asarray(kept.fold) == k, epochs, val))
    learned = [{"train_error": float(np.mean(ends))}] if ends else []
    whole = outcome(np.ones(len(kept.labels), bool), learned, done.out_of_fold.to_json())
    return after_folds(whole, folds, voice)


def _folds(done: Crossval) -> Grid:
    rows = tuple(
        (f"fold {k}", f"{val['images']:,}", percent(val["top1"], 2), f"{val['loss']:.4f}", duration(run.seconds))
        for k, (run, val) in enumerate(zip(done.runs, done.scores, strict=True), 1)
    )
    return Grid(title="Folds", columns=("", "held out", "top-1", "loss", "training"), rows=rows)


def _fold_curves(folder: Path, record: CrossvalRecord, done: Crossval) -> Iterable[tuple[str, Curves]]:
    for k in range(1, record.count + 1):
        run = fold_folder(folder, k)
        yield f"fold {k}", sealed_curves(read_run(run), read_journal(run / "metrics.jsonl"), done.scores[k - 1])


def _details(record: CrossvalRecord, folder: Path) -> Iterable[Details]:
    """Every picture beside the answer of the network that had not seen it."""
    if record.data["path"] is None:
        return
    data = open_data(record.data["path"])
    if data.fingerprint() != record.data["fingerprint"]:
        raise UserError(f"{record.data['path']} holds other pictures now than the networks were trained on")
    kept = read_predictions(folder / PREDICTIONS)
    place = {identity: index for index, identity in enumerate(data.ids)}
    pictures = Subset(data, np.array([place[identity] for identity in kept.ids], dtype=np.int64))
    whole = score(kept.logits, kept.labels, record.preprocess)
    yield look_inside(whole, pictures, read_bundle(folder / MODEL), "out of fold")


def _data(record: CrossvalRecord) -> Rows:
    return [
        ("path", record.data["path"] or "given from Python"),
        ("fingerprint", record.data["fingerprint"]),
        ("pictures", f"{len(record.folds):,}"),
        ("folds", f"{record.count}, {record.method}, seed {record.split_seed}"),
        ("classes", f"{len(record.data['classes'])}"),
    ]
