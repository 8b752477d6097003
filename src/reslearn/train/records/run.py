"""`run.json`: everything a run is, written atomically before anything is trained; `resume` decides nothing anew."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...data.dataset import Dataset, Indices
from ...data.memory import Subset
from ...data.table import as_pictures
from ...runtime.files import read_json
from ...runtime.settings import Settings
from ...spec.codec import from_json, to_json
from ...spec.errors import UserError
from ...spec.net import spec_from_json, spec_to_json
from ...spec.preprocess import Preprocess
from ...spec.recipe import Recipe
from ...spec.seen import Seen
from . import columns
from .terms import Record


@dataclass(frozen=True)
class DataFacts:
    """What a record says of its data, at least."""

    path: str | None  # None: given from Python
    fingerprint: str
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """Which samples are trained on and which are validated on, by the names that the data gives them (`ids`)."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    seed: int
    identity: str = "path"  # or "content": what a picture is known by when parts are drawn, name and size or hash
    method: str = "stratified"  # or grouped, declared (by the data), none (all is trained on), given (from Python)
    train_labels: str = (
        ""  # class indices of `train`, as `labels_text` writes them; "": not recorded, by older releases
    )
    val_labels: str = ""
    pictures: int = 0  # so many the data had in all; 0: not recorded


@dataclass(frozen=True, kw_only=True)
class RunRecord(Record):
    """The contents of `run.json`."""

    split: Split
    source: dict[str, Any] | None = None  # what is known of the weights: address, licence, digest
    notes: tuple[str, ...] = ()  # e.g. "not reproducible from its record"

    @property
    def seen_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The pictures that it trains on, and those that it decides something on."""
        return self.split.train, self.split.val if self.recipe.decides_on_validation else ()


def whole_of(data: Dataset) -> Dataset:
    """The data set that a part to train on was taken from."""
    return data.source if type(data) is Subset else data


def describe(data: Dataset) -> dict[str, Any]:
    """What `run.json` says of the data a run trains on; of a part, the whole it was taken from."""
    whole = whole_of(data)
    return {"path": whole.path, "fingerprint": whole.fingerprint(), "classes": list(data.classes)}


def describe_split(train_data: Dataset, val_data: Dataset | None, seed: int, method: str) -> Split:
    """What `run.json` says of the split: `content` where all pictures' hashes are known, so that they decided it."""
    parts = [part for part in (train_data, val_data) if part is not None]
    known = [as_pictures(part).table.hashes for part in parts if len(part)]
    hashed = bool(known) and all(hashes is not None and all(hashes) for hashes in known)
    ids = tuple(train_data.ids), tuple(val_data.ids) if val_data is not None else ()
    return Split(
        *ids,
        seed,
        "content" if hashed else "path",
        method,
        train_labels=labels_text(train_data.labels),
        val_labels=labels_text(val_data.labels) if val_data is not None else "",
        pictures=len(whole_of(train_data)),
    )


def labels_text(labels: Iterable[int]) -> str:
    """Class indices, runs of one shortened: `3x0 1 2x0` for 0 0 0 1 0 0."""
    every = np.fromiter(labels, np.int64)
    starts = np.flatnonzero(np.diff(every, prepend=-1))  # no label is below 0
    runs = zip(every[starts].tolist(), np.diff(starts, append=len(every)).tolist(), strict=True)
    return " ".join(f"{count}x{label}" if count > 1 else str(label) for label, count in runs)


def read_labels(text: str, count: int, where: str) -> Indices | None:
    """(count,) what `labels_text` wrote; None where nothing is recorded. Raises `UserError` for other text."""
    if not text:
        return None
    runs = [run.rpartition("x") for run in text.split()]
    if all(label.isdecimal() and (not x or n.isdecimal()) and len(n + label) < 18 for n, x, label in runs):
        counts = np.array([int(n) if x else 1 for n, x, _ in runs], np.int64)
        if counts.max() <= count and counts.sum() == count:
            return np.repeat(np.array([int(label) for _, _, label in runs], np.int64), counts)
    raise UserError(f"{where}: no labels of {count:,} pictures; it is damaged, put a copy of it back")


def validation_by_names(record: RunRecord) -> Seen:
    """What a run has seen of its own validation pictures, by their names."""
    trained, selected = (len(set(record.split.val) & set(names)) for names in record.seen_names)
    return Seen.counted(trained, selected, "names" if record.weights is None else "nothing")


def write_record(folder: Path, record: RunRecord) -> None:
    """Write `run.json`, and the list of pictures beside it where they are many."""
    split = record.split
    names: tuple[str, ...] | None = None
    told: dict[str, int] = {}
    if len(split.train) + len(split.val) > columns.MANY:
        names, told = (*split.train, *split.val), {"train": len(split.train)}
        record = replace(record, split=replace(split, train=(), val=()))
    value = {**to_json(record), "spec": spec_to_json(record.spec)}
    columns.write_with_list(folder / "run.json", value, names, **told)


def read_record(folder: Path) -> RunRecord:
    """Read `run.json`. Raises `UserError` where `folder` is no run, one of a newer format, or damaged."""
    path = folder / "run.json"
    if folder.is_file() and (folder.parent / "run.json").exists():
        raise UserError(f"{folder}: a file of a run; name its folder, {folder.parent}")
    if not path.exists():
        there = folder.is_dir() and any(folder.iterdir())  # other things, among which no run can begin
        begin = "name the folder of a run; `reslearn train DATA` begins one and says where" if there else (
            f"start one with `reslearn train DATA ... --out {folder}`"
        )  # fmt: skip
        raise UserError(f"{folder}: no run here (no run.json); {begin}")
    data = read_parts(path)
    listed = columns.read_list(path, data)
    data["split"] = split = from_json(Split, data.get("split"), f"{path}: split")
    if listed is not None:
        match listed:
            case names, {"train": int(count)} if 0 <= count <= len(names):
                data["split"] = replace(split, train=names[:count], val=names[count:])
            case _:
                raise columns.damaged(path)
    return from_json(RunRecord, data, str(path))


def read_parts(path: Path) -> dict[str, Any]:
    """The fields of a record at `path`, those that all records have as values. Raises `UserError` for a damaged one."""
    data = read_json(path)
    if not isinstance(data, dict):
        raise UserError(f"{path}: not a record of reslearn, or damaged; put a copy of it back")
    written = data.get("format", 0)
    if type(written) is not int or written > columns.FORMAT:
        raise UserError(
            f"{path}: format {written!r} is newer than this reslearn reads ({columns.FORMAT}); update reslearn"
        )
    about = data.get("data")
    about = about if isinstance(about, dict) else {}
    facts = {name: about[name] for name in ("path", "fingerprint", "classes") if name in about}
    from_json(DataFacts, facts, f"{path}: data")
    spec = spec_from_json(data.get("spec"), f"{path}: spec")
    if spec.num_classes != len(facts["classes"]):
        raise UserError(f"{path}: {spec.num_classes} outputs for {len(facts['classes'])} classes; it is damaged")
    return data | {
        "format": 1,  # of what is read: the list of pictures, if there is one, is read with it
        "spec": spec,
        "recipe": from_json(Recipe, data.get("recipe"), f"{path}: recipe"),
        "preprocess": from_json(Preprocess, data.get("preprocess"), f"{path}: preprocess"),
        "settings": from_json(Settings, data.get("settings"), f"{path}: settings"),
    }
