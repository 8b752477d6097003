"""The report of a run: gathers its values from the run folder and its pictures, and writes `report.html`."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from ...bundle.file import Loaded, load
from ...data.dataset import Dataset
from ...data.sources import open_data
from ...measure.evaluate import evaluate
from ...measure.evaluation import Evaluation
from ...measure.scoring import Scoring
from ...report.pages import duration, interval, percent, render
from ...report.values import Details, Fact, Report, Score, Table
from ...runtime.files import write_atomic
from ...spec.cost import cost
from ...spec.errors import UserError
from ...spec.seen import Seen, seen_from_json
from ...spec.text import counted
from ...spec.voice import COMMAND, Voice
from ...train.records import ledger
from ...train.records.belonging import check_belongs
from ...train.records.curves import sealed_curves
from ...train.records.journal import read_journal
from ...train.records.run import RunRecord, read_record
from ..subject import as_training, cache_folder, subject_of
from ..unseen import recogniser
from ..worth import after, outcome_of
from .details import look_inside
from .heats import heats_of
from .start import probe_facts, start_tables
from .tables import FILE_NAME, SELECTED_ON_TEST, Rows, heading, record_tables, score_row

PLAIN = ["1-crop", "fp32"]  # what headline numbers are measured with


def write_report(run: str | os.PathLike[str]) -> Path:
    """Write `report.html` into the run folder `run` and return its path.

    The closer look is at the test split once that has been scored (a line in the ledger), else at validation. Of a
    run that is not finished, or whose pictures are gone, the page shows what there is and says so.
    """
    path = Path(run) / FILE_NAME
    write_atomic(path, render(gather(run)))
    return path


def think(run: str | os.PathLike[str], voice: Voice = COMMAND) -> tuple[str, ...]:
    """Write the report as `write_report` does; returns what it says of the result, in the words of `voice`."""
    report = gather(run, voice)
    write_atomic(Path(run) / FILE_NAME, render(report))
    return report.verdict


def gather(run: str | os.PathLike[str], voice: Voice = COMMAND) -> Report:
    """Everything the report of the run folder `run` shows, as plain values."""
    folder = Path(run)
    record = read_record(folder)
    journal = read_journal(folder / "metrics.jsonl")
    opened = ledger.read_ledger(folder)
    notes = [f"This run is {note}." for note in record.notes]
    scores: list[Score] = []
    details: tuple[Details, ...] = ()
    sealed: dict[str, Any] = {}
    if (folder / "model.safetensors").exists():
        loaded = load(folder)
        check_belongs(loaded.path, loaded.bundle.data, record)
        lines, sealed = _lines(record, loaded, opened), loaded.bundle.scores
        notes += _remarked(lines)
        try:
            for split, pictures, evaluation in _looked_at(record, loaded, opened):
                details = (look_inside(evaluation, pictures, loaded.bundle, split, heats=heats_of(loaded)),)
                notes += _changed(split, evaluation, lines.get((split, *PLAIN)))
        except (UserError, OSError) as error:
            notes.append(f"The pictures could not be looked at again: {error}")
        ece = {(part.split, *PLAIN): part.plain_ece for part in details}
        scores = [score_row(how[0], line, ece.get(how)) for how, line in lines.items()]
    else:
        notes.append(f"This run is not finished; go on with: reslearn resume {folder}")
    if any("selected on test" in row.remark for row in scores):
        notes.append(SELECTED_ON_TEST)
    return Report(
        name=heading(record.spec.name, record.data["path"]),
        summary=f"{folder.resolve().name}: recipe {record.recipe.name}, begun {record.created[:16].replace('T', ' ')}",
        verdict=tuple(_advice(record, journal, scores, details, voice)),
        curves=sealed_curves(record, journal, sealed.get("val")),
        command=record.command,
        facts=(*_facts(record, journal, scores, _unlooked(folder, record, opened)), *probe_facts(folder, record)),
        scores=tuple(scores),
        details=details,
        tables=(*record_tables(record, _data(record)), *start_tables(folder, record), *_looks(opened)),
        notes=tuple(notes),
    )


def _looked_at(
    record: RunRecord, loaded: Loaded, opened: list[dict[str, Any]]
) -> Iterable[tuple[str, Dataset, Evaluation]]:
    """The split to look into: test, if somebody has scored it already; it is never opened for a report."""
    own = [line for line in opened if line["fingerprint"] == record.data["fingerprint"]]
    split = "test" if any(line["split"] == "test" for line in own) else "val" if record.split.val else None
    if split is None or record.data["path"] is None:
        return
    data = open_data(record.data["path"], on_bad_file=record.on_bad_file)
    if data.fingerprint() != record.data["fingerprint"]:
        raise UserError(f"{record.data['path']} holds other pictures now than the run was trained on")
    pictures = subject_of(as_training(record), data, split).pictures
    device = "cuda" if torch.cuda.is_available() else "cpu"
    known = recogniser(loaded, data)
    scoring = Scoring(device=device, cache=cache_folder(loaded, "auto"))
    evaluation = evaluate(loaded, pictures, scoring, recogniser=known)
    yield split, pictures, evaluation


def _lines(record: RunRecord, loaded: Loaded, opened: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
    """Validation as it was sealed, then the newest look at each other set; by (split, protocol, precision)."""
    lines: dict[tuple[str, ...], dict[str, Any]] = {}
    for name, sealed in loaded.bundle.scores.items():
        selected = "weights selected on it" if name == "val" and record.recipe.select == "best" else ""
        lines[name, sealed["protocol"], sealed["precision"]] = sealed | {"remark": selected}
    now = loaded.identity() if opened else None
    for line in opened:
        own = line["fingerprint"] == record.data["fingerprint"]
        name = line["split"] if own else f"{line['data']} ({line['split']})"
        before = line.get("model_digest") not in (None, now)
        remark = {"remark": "of the file as it was before it was sealed anew"} if before else {}
        lines[name, line["protocol"], line["precision"]] = line | remark
    return lines


def _remarked(lines: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Iterable[str]:
    """For the top of the page, what its headline numbers must not be read without."""
    for (name, *how), line in lines.items():
        seen = seen_from_json(line.get("seen"))
        if how == PLAIN and seen.trained:
            yield f"Of the {counted(line['images'], 'picture')} of {name}, what the model has seen: {seen}."


def _changed(split: str, now: Evaluation, line: Mapping[str, Any] | None) -> Iterable[str]:
    """What differs between the score that was written down and the closer look, which is at the pictures of today."""
    then = Seen() if line is None else seen_from_json(line.get("seen"))
    same_pictures = line is not None and now.images == line["images"] and math.isclose(
        now.loss, line["loss"] or 0.0, rel_tol=0.01, abs_tol=1e-4
    )  # fmt: skip
    if line is not None and not same_pictures:
        yield (
            f"The closer look at {split} (calibration error, classes, pictures) is at {now.images:,} pictures as they "
            f"are now, {percent(now.top1)} right: not those that the score of {split} was taken on."
        )
    if now.selected_on_test and not (line or {}).get("selected_on_test"):
        yield f"Since the score of {split} was taken, something of this model was chosen on test pictures."
    if now.seen != then and (now.seen.trained or now.seen.selected):
        yield f"Of the pictures of {split} that the closer look is at, what the model has seen: {now.seen}."


def _data(record: RunRecord) -> Rows:
    classes = record.data["classes"]
    shown = ", ".join(classes[:12]) + (", ..." if len(classes) > 12 else "")
    return [
        ("path", record.data["path"] or "given from Python"),
        ("fingerprint", record.data["fingerprint"]),
        ("train", counted(len(record.split.train), "picture")),
        ("validation", counted(len(record.split.val), "picture")),
        ("split", f"{record.split.method}, seed {record.split.seed}"),
        ("classes", f"{len(classes)}: {shown}"),
    ]


def _looks(opened: list[dict[str, Any]]) -> Iterable[Table]:
    if opened:
        looks = [
            (line["time"][:16].replace("T", " "), f"{line['split']} of {line['data']}: {percent(line['top1'], 2)}")
            for line in opened
        ]
        note = "every time this model was scored on pictures kept from training"
        yield Table(title="Ledger", rows=tuple(looks), note=note)


def _advice(
    record: RunRecord,
    journal: list[dict[str, Any]],
    scores: list[Score],
    details: tuple[Details, ...],
    voice: Voice,
) -> list[str]:
    """What the result is worth, in words; nothing of a run that is not finished."""
    val = next((score for score in scores if score.split == "val"), None)
    if not scores:
        return []
    epochs = [line for line in journal if line["kind"] == "epoch"]
    return after(
        outcome_of(
            epochs,
            None if val is None else {"top1": val.top1, "loss": val.loss},
            details[0].confusion if details else None,
            classes=record.spec.num_classes,
            from_weights=record.weights is not None,
        ),
        voice,
    )


def _unlooked(folder: Path, record: RunRecord, opened: list[dict[str, Any]]) -> str:
    """The command that scores the data's test pictures, where nobody has done so; else an empty text."""
    path = record.data["path"]
    own = [line for line in opened if line["fingerprint"] == record.data["fingerprint"]]
    if path is None or any(line["split"] == "test" for line in own):
        return ""
    try:
        declares = "test" in open_data(path, on_bad_file=record.on_bad_file).splits
    except (UserError, OSError):
        return ""
    return f"reslearn evaluate {shlex.quote(str(folder))} {shlex.quote(path)}" if declares else ""


def _facts(record: RunRecord, journal: list[dict[str, Any]], scores: list[Score], unlooked: str) -> Iterable[Fact]:
    if unlooked:
        yield Fact(label="test", value="not looked at yet", note=unlooked)
    by_split = {score.split: score for score in scores if score.remark.startswith(", ".join(PLAIN))}
    for name, label in (("test", "test accuracy"), ("val", "validation accuracy")):
        if score := by_split.get(name):
            right = round(score.top1 * score.images)
            note = f"{right:,} of {score.images:,}; 95 %: {interval(score.interval)}"
            yield Fact(label=label, value=percent(score.top1), note=note)
    size = record.preprocess.size
    total = cost(record.spec, size)
    macs = f"{total.macs / 1e9:.2f} G" if total.macs >= 1e9 else f"{total.macs / 1e6:.1f} M"
    yield Fact(
        label="parameters",
        value=f"{total.parameters:,}",
        note=f"{macs} multiply-adds at {size}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}{size}",
    )
    timed = [line for line in journal if line["kind"] in ("epoch", "end")]
    if timed:
        how = f"{record.settings.precision}, {'compiled' if record.settings.compile else 'eager'}"
        note = f"{timed[-1]['images_per_second']:,.0f} pictures/s, {how}"
        yield Fact(label="training", value=duration(timed[-1]["seconds"]), note=note)
    for score in scores:
        if score.ece is not None:
            calibrated = score.calibrated
            at = "" if calibrated is None else f"; {calibrated[2]:.3f} at temperature {calibrated[0]:.2f}"
            yield Fact(label="calibration error", value=f"{score.ece:.3f}", note=f"ECE, 15 bins, on {score.split}{at}")
