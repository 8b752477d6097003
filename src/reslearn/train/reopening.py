"""The pictures of a run, found again when it goes on: a resume is the same run, on the same classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..data.dataset import Dataset
from ..data.sources import Subset, open_data
from ..spec.errors import UserError
from .record import RunRecord


def check_classes(folder: Path, record: RunRecord, data: Dataset) -> None:
    """Raise `UserError` unless `data` has the classes of the run, in their order: its labels would mean others."""
    then, now = list(record.data["classes"]), list(data.classes)
    changed = sorted(set(then) ^ set(now)) or ["their order"]
    if then != now:
        raise UserError(f"{data.path}: other classes than the run {folder} has ({changed[0]}); put them back")


def reopen(folder: Path, record: RunRecord) -> tuple[Dataset, Dataset]:
    """The training and validation parts of a run, found again by the identities in `run.json`."""
    path = record.data["path"]
    if path is None:
        raise UserError(f"{folder}: this run trained on data given from Python; resume it there, with the same data")
    data = open_data(path, on_bad_file=record.on_bad_file)
    check_classes(folder, record, data)
    place = {identity: index for index, identity in enumerate(data.ids)}
    parts = []
    for ids in (record.split.train, record.split.val):
        missing = [identity for identity in ids if identity not in place]
        excluded = [identity for identity in missing if identity in getattr(data, "excluded", {})]
        if excluded:
            more = f" and {len(excluded) - 1} more" if len(excluded) > 1 else ""
            raise UserError(
                f"{getattr(data, 'manifest', path)}: it excludes {excluded[0]}{more} of the run {folder}; "
                f"train anew with --overwrite, or mend the pictures and run `reslearn data check` again"
            )
        if missing:
            raise UserError(
                f"{path}: {missing[0]} (and {len(missing) - 1} more) of the run {folder} is gone; "
                f"put it back, or train anew with --overwrite"
            )
        parts.append(Subset(data, np.array([place[identity] for identity in ids], dtype=np.int64)))
    return parts[0], parts[1]
