"""The pictures of a run, found again when it goes on: a resume is the same run, on the same pictures and labels."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import Dataset, Indices
from ..data.layout.archives import asked_of
from ..data.parts.manifest import data_of, read_manifest
from ..data.sameness import Comparison, Recorded, compare
from ..data.sources import Subset, open_data
from ..runtime.notes import note
from ..spec.choices import OnBadFile
from ..spec.errors import UserError
from .crossval_record import CrossvalRecord
from .pictures import Kept, read_pictures, whole_of
from .record import RunRecord, read_labels


@dataclass(frozen=True)
class Reopened:
    """The parts of a run's data, and its record, in which the data may have moved."""

    train: Dataset
    val: Dataset
    record: RunRecord


def reopen(folder: Path, record: RunRecord, moved_to: str | None = None) -> Reopened:
    """The training and validation parts of a run, found in the data of its record or in the same data elsewhere.

    Raises `UserError` that says what changed where classes, labels or pictures are not those that the run began with.
    """
    if record.data["path"] is None and moved_to is None:
        raise UserError(f"{folder}: this run trained on data given from Python; resume it there, with the same data")
    data = open_again(folder, record.data["path"], moved_to, record.on_bad_file)
    check_classes(folder, record, data)
    sides = recorded_sides(folder, record)
    recorded = joined(sides)
    found = compare(recorded, data)
    refuse_changes(folder, recorded, found, data)
    remark(folder, recorded, found, _added(record, data, found))
    _remark_labels(folder, record, data)
    parts = [Subset(data, part) for part in np.split(found.where, [len(record.split.train)])]
    if moved_to is not None:
        names = [tuple(part.ids) for part in parts]
        record = replace(
            record,
            split=replace(record.split, train=names[0], val=names[1]),
            data=record.data | {"path": data.path, "fingerprint": data.fingerprint()},
            moved=(*record.moved, moved(record.data)),
        )
    return Reopened(parts[0], parts[1], record)


def recheck(folder: Path, record: RunRecord, train: Dataset, val: Dataset | None) -> Reopened:
    """The parts of a run in the data that was given again from Python; as `reopen`."""
    parts = []
    for recorded, given in zip(recorded_sides(folder, record), (train, val), strict=True):
        data = Subset(train, []) if given is None else given
        check_classes(folder, record, data)
        found = compare(recorded, data)
        refuse_changes(folder, recorded, found, data)
        remark(folder, recorded, found, len(data) - len(found.where))
        parts.append(data if np.array_equal(found.where, np.arange(len(data))) else picked(data, found.where))
    _remark_labels(folder, record, whole_of(train))
    return Reopened(parts[0], parts[1], record)


def open_again(folder: Path, path: str | None, moved_to: str | None, on_bad_file: OnBadFile) -> Dataset:
    """The data of `folder`, from where it was or from where it has been moved to."""
    if moved_to is not None:
        return open_data(moved_to, on_bad_file=on_bad_file)
    if path is None or not _is_there(path):
        raise UserError(
            f"{path}: the data of {folder} is no longer there; where it has moved, name its new place: "
            f"reslearn resume {folder} --data NEWPATH"
        )
    return open_data(path, on_bad_file=on_bad_file)


def check_classes(folder: Path, record: RunRecord | CrossvalRecord, data: Dataset) -> None:
    """Raise `UserError` unless `data` has the classes of the run, in their order: its labels would mean others."""
    then, now = list(record.data["classes"]), list(data.classes)
    if then == now:
        return
    more, less = ([name for name in a if name not in b] for a, b in ((now, then), (then, now)))
    how = [f"{names[0]}{_more(names)} {what}" for names, what in ((more, "is new"), (less, "is gone")) if names]
    raise UserError(
        f"{data.path}: other classes than the run {folder} has ({'; '.join(how) or 'another order'}); put them back, "
        "or train anew"
    )


def recorded_sides(folder: Path, record: RunRecord) -> tuple[Recorded, Recorded]:
    """What a run recorded of its training and of its validation pictures."""
    kept, split = read_pictures(folder) or Kept(), record.split
    return (
        _side(folder, kept, (split.train, split.train_labels), kept.train, kept.sizes[0]),
        _side(folder, kept, (split.val, split.val_labels), kept.val, kept.sizes[1]),
    )


def _side(folder: Path, kept: Kept, told: tuple[tuple[str, ...], str], rows: Any, sizes: Indices | None) -> Recorded:
    names, labels = told
    return Recorded(
        names,
        read_labels(labels, len(names), str(folder / "run.json")),
        rows if len(rows) == len(names) else None,
        sizes if sizes is not None and len(sizes) == len(names) else None,
        kept.plain,
        kept.decoder,
    )


def joined(sides: Sequence[Recorded]) -> Recorded:
    """Several recorded parts as one; what one of them lacks, pictures by pictures, is lacking."""
    many = [side for side in sides if len(side.names)] or list(sides[:1])
    count = [len(side.names) for side in many]
    rows = [
        np.zeros((n, 48), np.uint8) if side.rows is None else side.rows for n, side in zip(count, many, strict=True)
    ]
    sizes = [np.full(n, -1) if side.sizes is None else side.sizes for n, side in zip(count, many, strict=True)]
    labels = [side.labels for side in many if side.labels is not None]
    return Recorded(
        [name for side in many for name in side.names],
        np.concatenate(labels) if len(labels) == len(many) else None,
        np.concatenate(rows),
        np.concatenate(sizes),
        all(side.plain for side in many),
        many[0].decoder,
    )


def refuse_changes(folder: Path, recorded: Recorded, found: Comparison, data: Dataset) -> None:
    """Raise `UserError` that says what changed, if anything did."""
    excluded = [recorded.names[i] for i in found.gone if recorded.names[i] in getattr(data, "excluded", {})]
    if excluded:
        raise UserError(
            f"{getattr(data, 'manifest', data.path)}: it excludes {excluded[0]}{_more(excluded)} of the run {folder}; "
            f"train anew with --overwrite, or mend the pictures and run `reslearn data check` again"
        )
    changes = found.changes(recorded, data)
    if changes:
        raise UserError(
            f"{data.path}: not what the run {folder} began with: {'; '.join(changes)}; put it back, or train anew"
        )


def remark(folder: Path, recorded: Recorded, found: Comparison, added: int) -> None:
    """Say, a line each, what is no change but good to know."""
    if added > 0:
        note(f"{folder}: {added:,} picture(s) came to the data since it began; they are in none of its parts")
    if found.renamed:
        note(f"{folder}: {found.renamed:,} of its pictures have other names now; they are the same")
    if found.by_name:
        note(
            f"{folder}: it has no keys of {found.by_name:,} of its {len(recorded.names):,} pictures, so these were "
            "compared by name alone"
        )


def picked(data: Dataset, where: Indices) -> Dataset:
    """The pictures at `where`; of a part of data, as a part of the same data."""
    return Subset(data.source, data.indices[where]) if type(data) is Subset else Subset(data, where)


def moved(data: dict[str, Any]) -> dict[str, Any]:
    """An entry of a record's `moved`: where its data was until now."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "from": data["path"],
        "fingerprint": data["fingerprint"],
    }


def _added(record: RunRecord, data: Dataset, found: Comparison) -> int:
    if record.split.pictures:
        return len(data) - record.split.pictures
    test = np.setdiff1d(data.splits.get("test", []), found.where)  # a run of before: of those beside its parts
    return len(data) - len(found.where) - len(test) if data.fingerprint() != record.data["fingerprint"] else 0


def _remark_labels(folder: Path, record: RunRecord, data: Dataset) -> None:
    """A run of before has no labels; they are in the fingerprint of its data, if nothing at all has changed there."""
    if not record.split.train_labels and data.fingerprint() != record.data["fingerprint"]:
        note(f"{folder}: begun by an earlier reslearn, it recorded no labels: these could not be compared")


def _is_there(path: str) -> bool:
    if path == "digits" or (path.endswith(".json") and os.path.exists(path)):
        return path == "digits" or os.path.exists(asked_of(data_of(path, read_manifest(path)))[0])
    return os.path.exists(asked_of(path)[0])


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
