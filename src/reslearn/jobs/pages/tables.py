"""What pages share: the record of a run as tables of names and values, rows of scores and their remarks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...report.values import Score, Table
from ...spec.codec import field_paths
from ...spec.rates import rate_of
from ...spec.recipe import Recipe
from ...spec.seen import Seen, seen_from_json
from ...train.records.crossval import CrossvalRecord
from ...train.records.run import RunRecord

Rows = list[tuple[str, str]]
FILE_NAME = "report.html"
SELECTED_ON_TEST = (
    "Something of this model was chosen by looking at test pictures: its test score promises too much for new ones."
)


def record_tables(record: RunRecord | CrossvalRecord, data: Rows) -> tuple[Table, ...]:
    """What was trained, how and where; `data` says of which pictures."""
    recipe, weights = record.recipe, [("weights", record.weights)] if record.weights else []
    return (
        fields_table("Network", record.spec, *weights),
        recipe_table(recipe),
        Table(title="Data", rows=tuple(data)),
        fields_table("Preprocessing", record.preprocess, ("hash", record.preprocess.hash())),
        fields_table("Settings", record.settings, ("seed", str(record.seed))),
        environment_table(record.environment),
    )


def fields_table(
    title: str, value: object, *before: tuple[str, str], but: Collection[str] = (), note: str = ""
) -> Table:
    """The rows `before`, and a value's fields `but` some as texts; those that are None are left out."""
    fields = {name: item for name, item in field_paths(value).items() if item is not None and name not in but}
    rows = [(name.replace("_", " "), _text(item)) for name, item in fields.items()]
    return Table(title=title, rows=(*before, *rows), note=note)


def recipe_table(recipe: Recipe) -> Table:
    """A recipe's fields; those that every recipe has unless it says otherwise are folded away."""
    usual, told = field_paths(Recipe(name="", source="", epochs=1)), ("name", "source")
    folded = {name for name, item in field_paths(recipe).items() if name != "epochs" and item == usual[name]}
    shown = fields_table(f"Recipe {recipe.name}", recipe, but=(*told, *folded), note=recipe.source)
    rest = fields_table("", recipe, but=field_paths(recipe).keys() - folded)
    rows = [(name, rate_of(vars(recipe)) if name == "lr" else text) for name, text in shown.rows]
    return replace(shown, rows=tuple(rows), folded=rest.rows)


def heading(network: str, data: str | None) -> str:
    """What a page is about: which network, on which pictures. Where these lie, its record says."""
    return f"{network} on {(Path(data).name or data) if data else 'pictures given from Python'}"


def environment_table(environment: Mapping[str, Any]) -> Table:
    """An environment record, one line a fact."""
    facts = {name: str(value) for name, value in environment.items() if value is not None}
    flags = _listed(environment.get("cpu_flags")) or "no flags"
    rows = (
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
    )
    return Table(title="Environment", rows=rows)


def _listed(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else ""


def _named(value: Any) -> Rows:
    return [(str(name), str(item)) for name, item in value.items()] if isinstance(value, dict) else []


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ("; " if any(isinstance(item, str) for item in value) else ", ").join(map(str, value)) or "none"
    return str(value)


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
        calibrated=_calibrated(line.get("calibrated")),
        remark=", ".join(filter(None, remarks)),
    )


def _calibrated(found: Any) -> tuple[float, float, float] | None:
    """Temperature, and loss and calibration error at it; scores of before have none."""
    if not isinstance(found, Mapping):
        return None
    temperature, loss, ece = (found.get(name) for name in ("temperature", "loss", "ece"))
    if isinstance(temperature, (int, float)) and isinstance(loss, (int, float)) and isinstance(ece, (int, float)):
        return float(temperature), float(loss), float(ece)
    return None


def remarks(selected_on_test: bool, seen: Seen) -> tuple[str, ...]:
    """What a reader of scores must know first: that test pictures, or these, had a part in the model."""
    told = [SELECTED_ON_TEST] if selected_on_test else []
    if seen.worth_saying:
        told.append(f"Of these pictures, what was seen before by what is scored here: {seen}.")
    return tuple(told)
