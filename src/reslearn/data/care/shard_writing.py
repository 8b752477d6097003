"""Tar shards in the WebDataset layout, each with its index beside it: `data pack --shards`, and `data export`.

A shard holds `KEY.jpg` beside `KEY.cls` and, first, `classes.txt` with the classes in their order. Pictures stand in
an order that is drawn once, so that every shard is like the whole. Stopped and called again, it goes on.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ...runtime.files import atomic_path, exclusive_lock, remove_leftovers, write_atomic
from ...runtime.opening import parse_json, read_document
from ...runtime.random import key, order
from ...spec.errors import UserError
from ..dataset import Dataset, Indices, Progress
from ..formats.pack_index import PackOptions
from ..formats.packing import encoded, members_digest
from ..remote.tars import SUFFIX, index_bytes
from ..table import Pictures, as_pictures
from ..workers import in_threads
from .names import extension_of

JOB = "job"  # in an index that we wrote: of what it is a shard


@dataclass(frozen=True)
class Shard:
    """One of them: its name, and the pictures in it in their order."""

    name: str
    rows: Indices


def planned(dataset: Dataset, count: int) -> list[Shard]:
    """So many shards, or one a split where these are more; each split has a share of them by its pictures.

    Raises `UserError` for more shards than pictures.
    """
    splits = dict(dataset.splits) or {"shard": np.arange(len(dataset), dtype=np.int64)}
    splits = {name: np.asarray(rows, np.int64) for name, rows in splits.items() if len(rows)}
    total = sum(map(len, splits.values()))
    if not 1 <= count <= total:
        raise UserError(f"--shards is {count}; it must lie in 1..{total:,}, the pictures that there are")
    shares = dict.fromkeys(splits, 1)
    for _ in range(count - len(splits)):  # to whoever has most pictures in a shard
        shares[max(splits, key=lambda name: len(splits[name]) / shares[name])] += 1
    found = []
    for name, rows in splits.items():
        share = shares[name]
        drawn = rows[order(key(0, f"shards of {name}"), 0, len(rows))]
        for number, part in enumerate(np.array_split(drawn, share)):
            found.append(Shard(f"{name}-{number:05d}-of-{share:05d}.tar", part))
    return found


def write_shards(
    dataset: Dataset,
    folder: str | os.PathLike[str],
    count: int,
    options: PackOptions | None = None,
    *,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the shards into `folder`, which is made, or holds some of them already; returns their paths.

    Raises `UserError` where something else is there, for bare pixels without an encoding, and for a picture that cannot
    be read, naming it.
    """
    folder, options, source = Path(folder), options or PackOptions(), as_pictures(dataset)
    if options.encoding == "raw":
        raise UserError("tar shards hold encoded pictures; choose encoding original or jpeg")
    shards = planned(dataset, count)
    job = hashlib.sha256(
        json.dumps([dataset.fingerprint(), members_digest(dataset), asdict(options), len(shards)]).encode()
    ).hexdigest()
    check_folder(folder, {shard.name for shard in shards})
    folder.mkdir(parents=True, exist_ok=True)
    done, total = 0, sum(len(shard.rows) for shard in shards)
    with exclusive_lock(folder / ".lock", f"{folder}: another process is writing these shards"):
        remove_leftovers(folder)
        for shard in shards:
            if not _whole(folder / shard.name, job):
                _write(source, shard, folder / shard.name, options, job, _counted(progress, done, total))
            done += len(shard.rows)
            if progress is not None:
                progress(done, total)
        (folder / ".lock").unlink(missing_ok=True)  # while it is still ours
    return [folder / shard.name for shard in shards]


def check_folder(folder: Path, names: set[str]) -> None:
    """Raise `UserError` unless `folder` is new, empty, or holds nothing but shards of these names and their indexes."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file; name a folder for the shards")
    known = names | {f"{name}{SUFFIX}" for name in names}
    others = (
        sorted(e.name for e in folder.iterdir() if e.name not in known and not e.name.startswith("."))
        if folder.is_dir()
        else []
    )
    if others:
        raise UserError(f"{folder}: {others[0]} is there, and is none of these shards; name a new folder")


def _counted(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    return (lambda count: None) if progress is None else (lambda count: progress(before + count, total))


def _whole(path: Path, job: str) -> bool:
    """Whether a shard of this job is there, with its index, which is written last."""
    try:
        index = parse_json(read_document(path.with_name(path.name + SUFFIX)), "")
        return bool(index[JOB] == job and index["bytes"] == path.stat().st_size)
    except (OSError, UserError, KeyError, TypeError):
        return False


def _write(
    source: Pictures, shard: Shard, path: Path, options: PackOptions, job: str, tell: Callable[[int], None]
) -> None:
    index = path.with_name(path.name + SUFFIX)
    index.unlink(missing_ok=True)
    with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, "classes.txt", "".join(f"{name}\n" for name in source.classes).encode())
        for number, (name, data, label) in enumerate(_samples(source, shard, options), 1):
            _add(tar, name, data)
            _add(tar, f"{os.path.splitext(name)[0]}.cls", source.classes[label].encode())
            tell(number)
    value = parse_json(index_bytes(str(path), path.stat().st_size), str(path))
    write_atomic(index, json.dumps({**value, JOB: job}))


def _samples(source: Pictures, shard: Shard, options: PackOptions) -> Iterator[tuple[str, bytes, int]]:
    """(name, bytes, label) of each picture."""
    make = partial(encoded, source, options)
    for row, data in zip(shard.rows, in_threads(make, map(int, shard.rows), None), strict=True):
        yield f"{row:09d}{extension_of(data, source.ids[int(row)])}", data, int(source.labels[row])


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(data), 0, 0o644
    tar.addfile(member, io.BytesIO(data))
