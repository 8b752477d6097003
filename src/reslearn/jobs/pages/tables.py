"""What pages share: the record of a run as tables of names and values, its curves, rows of scores and their remarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...report.pages import percent
from ...report.values import Curves, Score, Table
from ...spec.codec import field_paths
from ...spec.seen import Seen, seen_from_json
from ...train.records.run import RunRecord

Rows = list[tuple[str, str]]
FILE_NAME = "report.html"
SELECTED_ON_TEST = (
    "Something of this model was chosen by looking at test pictures: its test score promises too much for new ones."
)


def record_tables(record: RunRecord, opened: list[dict[str, Any]]) -> tuple[Table, ...]:
    """Network, recipe, data, preprocessing, settings, environment, and the ledger of looks at kept pictures."""
    recipe = {name: value for name, value in field_paths(record.recipe).items() if name not in ("name", "source")}
    weights = [("weights", record.weights)] if record.weights else []
    preprocess = [("hash", record.preprocess.hash()), *rows(field_paths(record.preprocess))]
    tables = [
        Table(title="Network", rows=(*weights, *rows(field_paths(record.spec)))),
        Table(title=f"Recipe {record.recipe.name}", rows=tuple(rows(recipe)), note=record.recipe.source),
        Table(title="Data", rows=tuple(_data(record))),
        Table(title="Preprocessing", rows=tuple(preprocess)),
        Table(title="Settings", rows=(("seed", str(record.seed)), *rows(field_paths(record.settings)))),
        Table(title="Environment", rows=tuple(environment_rows(record.environment))),
    ]
    if opened:
        looks = [
            (line["time"][:16].replace("T", " "), f"{line['split']} of {line['data']}: {percent(line['top1'], 2)}")
            for line in opened
        ]
        note = "every time this model was scored on pictures kept from training"
        tables.append(Table(title="Ledger", rows=tuple(looks), note=note))
    return tuple(tables)


def environment_rows(environment: dict[str, Any]) -> Rows:
    """An environment record, one line a fact."""
    facts = {name: str(environment[name]) for name in environment if environment[name] is not None}
    flags = _listed(environment.get("cpu_flags")) or "no flags"
    return [
        *_named(environment.get("packages")),
        ("python", facts.get("python", "")),
        ("system", facts.get("system", "")),
        ("processor", f"{facts.get('cpu', '')}, {facts.get('cores', '?')} cores ({flags})"),
        ("memory", f"{facts.get('memory_gib')} GiB"),
        ("gpus", _listed(environment.get("gpus")) or "none"),
        ("compiler", facts.get("cxx", "none")),
        ("allocator", facts.get("allocator", "")),
        *([("commit", facts["git"])] if "git" in facts else []),
        *_named(environment.get("variables")),
    ]


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else ""


def _named(value: Any) -> Rows:
    return [(str(name), str(item)) for name, item in value.items()] if isinstance(value, dict) else []


def _data(record: RunRecord) -> Rows:
    classes = record.data["classes"]
    shown = ", ".join(classes[:12]) + (", ..." if len(classes) > 12 else "")
    return [
        ("path", record.data["path"] or "given from Python"),
        ("fingerprint", record.data["fingerprint"]),
        ("train", f"{len(record.split.train):,} pictures"),
        ("validation", f"{len(record.split.val):,} pictures"),
        ("split", f"{record.split.method}, seed {record.split.seed}"),
        ("classes", f"{len(classes)}: {shown}"),
    ]


def rows(fields: dict[str, Any]) -> Rows:
    """A value's fields as texts; those that are None are left out."""
    return [(name.replace("_", " "), _text(value)) for name, value in fields.items() if value is not None]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ("; " if any(isinstance(item, str) for item in value) else ", ").join(map(str, value)) or "none"
    return str(value)


def curves(record: RunRecord, journal: list[dict[str, Any]]) -> Curves:
    """The journal's lines as arrays, x in epochs."""
    steps = [line for line in journal if line["kind"] == "step"]
    epochs = [line for line in journal if line["kind"] == "epoch"]
    per_step = record.recipe.batch_size / max(len(record.split.train), 1)
    if epochs:
        per_step = epochs[-1]["epoch"] / epochs[-1]["step"]

    def column(lines: list[dict[str, Any]], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([np.nan if line[name] is None else line[name] for line in lines], dtype=np.float64)

    return Curves(
        step_epoch=(column(steps, "step") + 1) * per_step,
        step_loss=column(steps, "loss"),
        step_lr=column(steps, "lr"),
        epoch=column(epochs, "epoch"),
        train_error=column(epochs, "train_error"),
        val_error=column(epochs, "val_error"),
        train_loss=column(epochs, "train_loss"),
        val_loss=column(epochs, "val_loss"),
    )


def score_row(split: str, line: Mapping[str, Any], ece: float | None) -> Score:
    """One row of the table of scores, from an `evaluate` object."""
    remarks = [line["protocol"], line["precision"], line.get("remark")]
    if line.get("selected_on_test"):
        remarks.append("selected on test pictures")
    seen = seen_from_json(line.get("seen"))
    if seen.worth_saying:
        remarks.append(f"seen: {seen}")
    return Score(
        split=split,
        images=line["images"],
        top1=line["top1"],
        interval=tuple(line["top1_interval"]),
        loss=line["loss"],
        top5=line["top5"],
        ece=ece,
        remark=", ".join(filter(None, remarks)),
    )


def remarks(selected_on_test: bool, seen: Seen) -> tuple[str, ...]:
    """What a reader of scores must know first: that test pictures, or these, had a part in the model."""
    told = [SELECTED_ON_TEST] if selected_on_test else []
    if seen.worth_saying:
        told.append(f"Of these pictures, what was seen before by what is scored here: {seen}.")
    return tuple(told)
