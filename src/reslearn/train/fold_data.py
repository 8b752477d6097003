"""The pictures of a cross-validation, found again when it goes on: the same folds of the same pictures and labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..data.dataset import Dataset, Indices
from ..data.memory import Subset
from ..data.parts.keys import ROW, known
from ..data.sameness import Recorded, compare
from ..runtime.notes import note
from ..spec.errors import UserError
from .crossval_record import CrossvalRecord
from .fold_models import fold_folder
from .record import read_labels, read_record
from .reopening import check_classes, moved, open_again, recorded_sides, refuse_changes, remark


@dataclass(frozen=True, eq=False)
class Again:
    """The data of a cross-validation, and its record, in which it may have moved."""

    record: CrossvalRecord
    data: Dataset
    where: Indices  # places in the data, in the order of `record.folds`

    def parts(self, k: int) -> tuple[Dataset, Dataset, tuple[str, ...]]:
        """What fold `k` trains on, what it holds out, and the recorded names of these."""
        folds = self.record.folds
        numbers = np.fromiter(folds.values(), np.int64, len(folds))
        names = tuple(name for name, fold in folds.items() if fold == k)
        return Subset(self.data, self.where[numbers != k]), Subset(self.data, self.where[numbers == k]), names


def reopen_folds(
    folder: Path, record: CrossvalRecord, data: Dataset | None = None, moved_to: str | None = None
) -> Again:
    """The data of a cross-validation: `data`, or that of its record, or the same elsewhere.

    Raises `UserError` that says what changed where classes, labels or pictures are not those that it began with.
    """
    if data is None:
        data = open_again(folder, record.data["path"], moved_to, record.on_bad_file)
    check_classes(folder, record, data)
    same = data.fingerprint() == record.data["fingerprint"]
    recorded = _recorded(folder, record)
    found = compare(recorded, data)
    refuse_changes(folder, recorded, found, data)
    if not any((fold_folder(folder, k) / "run.json").exists() for k in range(1, record.count + 1)):
        found = replace(found, by_name=0)  # nothing has been trained on, so nothing need be remembered
    remark(folder, recorded, found, 0 if same or not record.pictures else len(data) - record.pictures)
    if not same and recorded.labels is None:
        note(f"{folder}: begun by an earlier reslearn, it recorded no labels: these could not be compared")
    if moved_to is not None:
        now = record.data | {"path": data.path} | ({} if found.renamed else {"fingerprint": data.fingerprint()})
        record = replace(record, data=now, moved=(*record.moved, moved(record.data)))
    return Again(record, data, found.where)


def _recorded(folder: Path, record: CrossvalRecord) -> Recorded:
    """What the folds that were begun have noted of the pictures."""
    names = list(record.folds)
    place = {name: i for i, name in enumerate(names)}
    labels = read_labels(record.labels, len(names), str(folder))
    rows, sizes = np.zeros((len(names), ROW), np.uint8), np.full(len(names), -1, np.int64)
    told = np.full(len(names), -1, np.int64)
    first: Recorded | None = None
    for k in range(1, record.count + 1):
        if not (fold_folder(folder, k) / "run.json").exists():
            continue
        try:
            sides = recorded_sides(fold_folder(folder, k), read_record(fold_folder(folder, k)))
        except UserError:  # whoever goes on with this fold says what is wrong with it
            continue
        first = first or sides[0]
        for side in sides:
            at = np.array([place.get(name, -1) for name in side.names], np.int64)
            there = np.flatnonzero(at >= 0)
            if side.labels is not None:
                told[at[there]] = side.labels[there]
            if side.sizes is not None:
                sizes[at[there]] = side.sizes[there]
            if side.rows is not None and (side.plain, side.decoder) == (first.plain, first.decoder):
                new = there[~known(rows[at[there]])]
                rows[at[new]] = side.rows[new]
    if labels is None and len(told) and (told >= 0).all():
        labels = told
    about = {} if first is None else {"plain": first.plain, "decoder": first.decoder}
    return Recorded(names, labels, rows, sizes, **about)  # type: ignore[arg-type]
