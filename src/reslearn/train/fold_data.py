"""The pictures of a cross-validation, found again when it goes on: the same folds of the same pictures and labels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..data.dataset import Dataset, Indices
from ..data.memory import Subset
from ..data.sameness import Recorded
from ..runtime.files import exclusive_lock
from ..spec.errors import UserError
from .fold_models import fold_folder
from .records.belonging import run_id
from .records.crossval import CrossvalRecord
from .records.run import read_labels, read_record, write_record
from .reopening import find_again, joined, moved, open_again, recorded_sides, remark, remark_labels


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
    same = data.fingerprint() == record.data["fingerprint"]
    recorded = _recorded(folder, record)
    found = find_again(folder, record, recorded, data)
    if not any((fold_folder(folder, k) / "run.json").exists() for k in range(1, record.count + 1)):
        found = replace(found, by_name=0)  # nothing has been trained on, so nothing need be remembered
    remark(folder, recorded, found, 0 if same or not record.pictures else len(data) - record.pictures)
    remark_labels(folder, record, recorded, data)
    if moved_to is not None:
        now = record.data | {"path": data.path} | ({} if found.renamed else {"fingerprint": data.fingerprint()})
        record = replace(record, data=now, moved=(*record.moved, moved(record.data)))
    return Again(record, data, found.where)


def follow(path: Path, record: CrossvalRecord) -> None:
    """Write into the `run.json` of the fold at `path` where its data is now, if it has moved since, as `record` tells.

    The names of its pictures stay those of `record`, which keeps them, too.
    """
    own = read_record(path)
    if own.data["path"] == record.data["path"] or own.data["path"] not in [one.get("from") for one in record.moved]:
        return
    now = own.data | {name: record.data[name] for name in ("path", "fingerprint")}
    entry = moved(own.data) | {"run": run_id(own)}
    with exclusive_lock(path / "lock"):
        write_record(path, replace(own, data=now, moved=(*own.moved, entry)))


def _recorded(folder: Path, record: CrossvalRecord) -> Recorded:
    """What the folds that were begun have noted of the pictures."""
    names = list(record.folds)
    place = {name: i for i, name in enumerate(names)}
    parts = []
    for k in range(1, record.count + 1):
        path = fold_folder(folder, k)
        if not (path / "run.json").exists():
            continue
        try:
            sides = recorded_sides(path, read_record(path))
        except UserError:  # whoever goes on with this fold says what is wrong with it
            continue
        parts += [(np.array([place.get(name, -1) for name in side.names], np.int64), side) for side in sides]
    return joined(names, read_labels(record.labels, len(names), str(folder)), parts)
