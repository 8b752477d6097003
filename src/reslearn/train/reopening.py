"""The pictures of a run, found again when it goes on: a resume is the same run, on the same pictures and labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import Dataset, Indices
from ..data.layout.archives import asked_of
from ..data.layout.named_files import is_address
from ..data.memory import Subset
from ..data.parts.keys import ROW, Keys, known
from ..data.parts.manifest import data_of, read_manifest
from ..data.sameness import FoundAgain, Recorded, compare
from ..data.sources import open_data
from ..data.table import as_pictures
from ..runtime.environment import now
from ..runtime.notes import note
from ..spec.choices import OnBadFile
from ..spec.errors import UserError
from ..spec.text import counted
from .pictures import Kept, read_pictures
from .records.belonging import run_id
from .records.crossval import CrossvalRecord
from .records.run import RunRecord, read_labels, whole_of


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
    names, split = (*record.split.train, *record.split.val), len(record.split.train)
    places = np.split(np.arange(len(names)), [split])
    recorded = joined(names, None, zip(places, recorded_sides(folder, record), strict=True))
    found = find_again(folder, record, recorded, data)
    remark(folder, recorded, found, _added(record, data, found))
    remark_labels(folder, record, recorded, data)
    parts = [Subset(data, part) for part in np.split(found.where, [split])]
    if moved_to is not None:
        record = replace(
            record,
            split=replace(record.split, train=tuple(parts[0].ids), val=tuple(parts[1].ids)),
            data=record.data | {"path": data.path, "fingerprint": data.fingerprint()},
            moved=(*record.moved, moved(record.data) | {"run": run_id(record)}),
        )
    return Reopened(parts[0], parts[1], record)


def recheck(folder: Path, record: RunRecord, train: Dataset, val: Dataset | None) -> Reopened:
    """The parts of a run in the data that was given again from Python; as `reopen`.

    Without `val`, both parts are looked for in `train`, of which the run itself held one out.
    """
    parts, sides = [], recorded_sides(folder, record)
    whole = val is None and bool(sides[1].names)
    for recorded, given in zip(sides, (train, train if whole else val), strict=True):
        data = Subset(train, []) if given is None else given
        found = find_again(folder, record, recorded, data)
        others = sum(len(side.names) for side in sides) if whole else len(found.where)
        remark(folder, recorded, found, len(data) - others if recorded is sides[0] or not whole else 0)
        parts.append(data if np.array_equal(found.where, np.arange(len(data))) else picked(data, found.where))
    remark_labels(folder, record, sides[0], whole_of(train))
    return Reopened(parts[0], parts[1], record)


def open_again(folder: Path, path: str | None, moved_to: str | None, on_bad_file: OnBadFile) -> Dataset:
    """The data of `folder`, from where it was or from where it has been moved to."""
    if moved_to is not None:
        return open_data(moved_to, on_bad_file=on_bad_file, stale=True)  # what changed, the run itself can tell
    if path is None or not _is_there(path):
        raise UserError(
            f"{path}: the data of {folder} is no longer there; where it has moved, name its new place: "
            f"reslearn resume {folder} --data NEWPATH"
        )
    return open_data(path, on_bad_file=on_bad_file, stale=True)


def recorded_sides(folder: Path, record: RunRecord) -> tuple[Recorded, Recorded]:
    """What a run recorded of its training and of its validation pictures."""
    kept, split = read_pictures(folder) or Kept(), record.split
    return (
        _side(folder, kept, (split.train, split.train_labels), kept.train, kept.sizes[0]),
        _side(folder, kept, (split.val, split.val_labels), kept.val, kept.sizes[1]),
    )


def _side(folder: Path, kept: Kept, told: tuple[tuple[str, ...], str], rows: Keys, sizes: Indices | None) -> Recorded:
    names, labels = told
    count = len(names)
    return Recorded(
        names,
        read_labels(labels, count, str(folder / "run.json")),
        rows if len(rows) == count else np.zeros((count, ROW), np.uint8),
        sizes if sizes is not None and len(sizes) == count else np.full(count, -1),
        kept.plain,
        kept.decoder,
    )


def joined(names: Sequence[str], labels: Indices | None, parts: Iterable[tuple[Indices, Recorded]]) -> Recorded:
    """What is recorded of pictures of these `names` in several parts, each with the places of its pictures among them.

    What no part knows of a picture is lacking; -1 is no place. Without `labels`, those of the parts, if they have all.
    """
    count = len(names)
    rows, sizes, told = np.zeros((count, ROW), np.uint8), np.full(count, -1), np.full(count, -1)
    first: Recorded | None = None
    for at, part in parts:
        first = first or part
        there = np.flatnonzero(at >= 0)
        sizes[at[there]] = part.sizes[there]
        if part.labels is not None:
            told[at[there]] = part.labels[there]
        if (part.plain, part.decoder) == (first.plain, first.decoder):
            new = there[~known(rows[at[there]])]
            rows[at[new]] = part.rows[new]
    if labels is None and count and (told >= 0).all():
        labels = told
    return Recorded(names, labels, rows, sizes, *((first.plain, first.decoder) if first else ()))


def check_classes(folder: Path, record: RunRecord | CrossvalRecord, data: Dataset) -> None:
    """Raise `UserError` unless `data` has the classes of the run, in their order: its labels would mean others."""
    then, now = list(record.data["classes"]), list(data.classes)
    if then == now:
        return
    more, less = ([name for name in a if name not in b] for a, b in ((now, then), (then, now)))
    how = [
        f"{names[0]}{_more(names)} {'is' if len(names) == 1 else 'are'} {what}"
        for names, what in ((more, "new"), (less, "gone"))
        if names
    ]
    raise UserError(
        f"{data.path}: other classes than the run {folder} has ({'; '.join(how) or 'another order'}); put them "
        "back, or train anew"
    )


def find_again(folder: Path, record: RunRecord | CrossvalRecord, recorded: Recorded, data: Dataset) -> FoundAgain:
    """Where the recorded pictures are in `data`.

    Raises `UserError` that says what changed where its classes, its labels or pictures are others.
    """
    check_classes(folder, record, data)
    found = compare(recorded, data)
    table = as_pictures(data).table
    excluded = [recorded.names[i] for i in found.gone if recorded.names[i] in table.excluded]
    if excluded:
        raise UserError(
            f"{table.manifest}: it excludes {excluded[0]}{_more(excluded)} of the run {folder}; "
            f"train anew with --overwrite, or mend the pictures and run `reslearn data check` again"
        )
    changes = found.changes(recorded, data)
    if changes:
        raise UserError(
            f"{data.path}: not what the run {folder} began with: {'; '.join(changes)}; put it back, or train anew"
        )
    return found


def remark(folder: Path, recorded: Recorded, found: FoundAgain, added: int) -> None:
    """Say, a line each, what is no change but good to know."""
    if added > 0:
        note(f"{folder}: {counted(added, 'picture')} came to the data since it began, and in none of its parts")
    if found.renamed:
        note(f"{folder}: {found.renamed:,} of its pictures have other names now; they are the same")
    if found.by_name:
        note(
            f"{folder}: it has no keys of {found.by_name:,} of its {len(recorded.names):,} pictures, so these were "
            "compared by name alone"
        )


def remark_labels(folder: Path, record: RunRecord | CrossvalRecord, recorded: Recorded, data: Dataset) -> None:
    """Runs of before have no labels; they are in the fingerprint of the data, if nothing at all has changed there."""
    if recorded.labels is None and data.fingerprint() != record.data["fingerprint"]:
        note(f"{folder}: begun by an earlier reslearn, it recorded no labels: these could not be compared")


def picked(data: Dataset, where: Indices) -> Dataset:
    """The pictures at `where`; of a part of data, as a part of the same data."""
    return Subset(data.source, data.indices[where]) if type(data) is Subset else Subset(data, where)


def moved(data: dict[str, Any]) -> dict[str, Any]:
    """An entry of a record's `moved`: where its data was until now."""
    return {"time": now(), "from": data["path"], "fingerprint": data["fingerprint"]}


def _added(record: RunRecord, data: Dataset, found: FoundAgain) -> int:
    if record.split.pictures:
        return len(data) - record.split.pictures
    test = np.setdiff1d(data.splits.get("test", []), found.where)  # a run of before: of those beside its parts
    return len(data) - len(found.where) - len(test) if data.fingerprint() != record.data["fingerprint"] else 0


def _is_there(path: str) -> bool:
    if path == "digits" or (path.endswith(".json") and os.path.exists(path)):
        return path == "digits" or _is_there(data_of(path, read_manifest(path)))
    return is_address(path) or os.path.exists(asked_of(path)[0])


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""
