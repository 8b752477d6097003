"""Is a sealed file the one that a run's record tells of? Only then does the record say what the file has seen.

Any sealed file can come to lie in a run's folder: copied from another run, converted, an ensemble. Names of pictures in
`run.json` say nothing of such a one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ...runtime.container import FILE_NAME
from ...spec.errors import UserError
from .run import RunRecord


def split_digest(train: Iterable[str], val: Iterable[str]) -> str:
    """What the sealed file of a training keeps, under `split`, of the names of its pictures."""
    sha = hashlib.sha256()
    for names in (train, val):
        sha.update("\0".join(names).encode(errors="surrogateescape") + b"\0\0")
    return sha.hexdigest()[:32]


def run_id(record: RunRecord) -> str:
    """What a run's checkpoints keep of it: two runs of one second that differ in neither seed nor pictures are one.

    Where its data has moved, its pictures may have other names since; `moved` then says what it was.
    """
    if record.moved and record.moved[0].get("run"):
        return str(record.moved[0]["run"])
    names = split_digest(record.split.train, record.split.val)
    return hashlib.sha256(f"{record.created} {record.seed} {names}".encode()).hexdigest()[:16]


def fingerprints(data: Mapping[str, Any], moved: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Of a record's data, where it is and wherever it was before: a model keeps that of the day it was sealed."""
    return frozenset(one["fingerprint"] for one in (data, *moved) if isinstance(one.get("fingerprint"), str))


def belongs(
    file: Path, data: Mapping[str, Any] | None, fingerprints: Collection[str], train: Iterable[str], val: Iterable[str]
) -> bool:
    """Whether the sealed `file`, whose header says `data`, was trained on pictures of these names in that data set.

    A file of before, which keeps no digest of the names, is believed where it has a run's own name and data.
    """
    told = data or {}
    if told.get("fingerprint") not in fingerprints:
        return False
    if "split" in told:
        return bool(told["split"] == split_digest(train, val))
    return file.name == FILE_NAME and "members" not in told


def check_belongs(file: Path, data: Mapping[str, Any] | None, record: RunRecord) -> None:
    """Raise `UserError` unless the sealed `file` of a run's folder is the run's own."""
    if not belongs_to(file, data, record):
        raise UserError(f"{file}: not the model that run.json beside it tells of; put the run's own back")


def belongs_to(file: Path, data: Mapping[str, Any] | None, record: RunRecord) -> bool:
    """Whether the sealed `file`, whose header says `data`, is the model of the run of this record."""
    return belongs(file, data, fingerprints(record.data, record.moved), record.split.train, record.split.val)
