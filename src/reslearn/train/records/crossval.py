"""`crossval.json`: everything a cross-validation is, and which picture is held out in which fold; written first."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

from ...runtime.files import is_leftover
from ...spec.codec import from_json, to_json
from ...spec.errors import UserError
from ...spec.net import spec_to_json
from ...spec.recipe import Recipe
from . import columns
from .run import labels_text, read_labels, read_parts
from .terms import Record, check_seed

RECORD = "crossval.json"
FREE = {"environment", "command", "created", "settings", "data", "weights", "moved"}  # may differ between machines


@dataclass(frozen=True, kw_only=True)
class CrossvalRecord(Record):
    """The contents of `crossval.json`."""

    count: int  # K
    folds: dict[str, int]  # identity of each picture -> the fold, 1 ... K, in which it is held out
    method: str  # stratified, grouped or declared
    split_seed: int
    labels: str = ""  # class indices of the pictures of `folds`, as `record.labels_text` writes them; "": not recorded
    pictures: int = 0  # so many the data had in all; 0: not recorded

    def __post_init__(self) -> None:
        super().__post_init__()
        check_seed(self.seed + self.count)


def start(out: str | os.PathLike[str], record: CrossvalRecord) -> bool:
    """Write `crossval.json`, unless the same cross-validation is there already (True: it will be continued)."""
    folder = Path(out)
    if (folder / RECORD).exists():
        there = read_record(folder)
        same_data = there.data["fingerprint"] == record.data["fingerprint"]
        free = FREE if same_data else {*FREE, "folds", "labels", "pictures"}  # then `proceed` tells what changed
        changed = [
            f.name for f in fields(record) if f.name not in free and getattr(there, f.name) != getattr(record, f.name)
        ]
        if same_data and not there.labels:  # begun by an earlier release
            changed = [name for name in changed if name not in ("labels", "pictures")]
        if changed:
            raise UserError(f"{folder}: holds another cross-validation ({', '.join(changed)} differ); name a new --out")
        return True
    if folder.is_dir() and not all(is_leftover(entry.name) for entry in folder.iterdir()):
        raise UserError(f"{folder}: not empty and no cross-validation; name a new folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, record)
    return False


def write_record(folder: Path, record: CrossvalRecord) -> None:
    """Write `crossval.json`, and the list of pictures beside it where they are many."""
    names: tuple[str, ...] | None = None
    told: dict[str, str] = {}
    if len(record.folds) > columns.MANY:
        names, told = tuple(record.folds), {"folds": labels_text(record.folds.values())}
        record = replace(record, folds={})
    value = {**to_json(record), "spec": spec_to_json(record.spec)}
    columns.write_with_list(folder / RECORD, value, names, **told)


def read_record(folder: Path) -> CrossvalRecord:
    """Read `crossval.json`. Raises `UserError` where `folder` holds no cross-validation, or one of a newer format."""
    path = folder / RECORD
    data = read_parts(path)
    listed = columns.read_list(path, data)
    record = from_json(CrossvalRecord, data, str(path))
    if listed is not None:
        match listed:
            case names, {"folds": str(text)} if (folds := read_labels(text, len(names), str(path))) is not None:
                record = replace(record, folds=dict(zip(names, folds.tolist(), strict=True)))
            case _:
                raise columns.damaged(path)
    if not all(1 <= fold <= record.count for fold in record.folds.values()):
        raise UserError(f"{path}: a fold outside 1..{record.count}; the file is damaged, put a copy of it back")
    return record


def check_recipe(recipe: Recipe) -> None:
    """Raise `UserError` for a recipe that K folds of one set cannot be trained with."""
    if recipe.input_mean == "pixel":
        raise UserError("a mean image differs from fold to fold, and one file holds one; add --set input_mean=channel")
    if recipe.decides_on_validation:
        instead = " ".join(f"--set {name}={value}" for name, value in recipe.decides_on_validation.items())
        raise UserError(
            f"recipe {recipe.name} decides on validation by {', '.join(recipe.decides_on_validation)}: "
            f"that would be the very pictures each fold is scored on; add {instead}"
        )
