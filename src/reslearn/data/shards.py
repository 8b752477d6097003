"""Tar shards: the WebDataset layout (`key.jpg` beside `key.cls` or `key.json`), or a tar of class folders.

Plain tars are indexed and read in place. Compressed ones have no random access: they are packed on first use.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence

import numpy as np

from ..spec.errors import UserError
from . import tar_index
from .dataset import Indices
from .decode import EXTENSIONS
from .encoded import SliceDataset
from .folders import SPLIT_NAMES
from .tables import class_order

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_LABELS = (".cls", ".json")
Member = tuple[int, int, int]  # shard, offset, size


def open_shards(files: Sequence[str], path: str) -> SliceDataset:
    """Index plain tar shards. A shard's split is read off its name (`train-000.tar`), or the folders inside.

    Raises `UserError` for shards without labels, pictures without one, fewer than two classes.
    """
    pictures: dict[str, Member] = {}
    labels: dict[str, Member] = {}
    names: dict[str, str] = {}
    class_list: list[str] | None = None
    for shard, file in enumerate(files):
        found: dict[str, Member] = {}
        beside: dict[str, Member] = {}
        for name, offset, size in tar_index.members(file):
            base = name.rsplit("/", 1)[-1]
            if base.startswith("."):
                continue
            extension = os.path.splitext(base)[1].lower()
            if base == "classes.txt":
                class_list = _read(file, offset, size).decode().split("\n")
            elif extension in EXTENSIONS:
                if name in found:
                    raise UserError(f"{file}: {name}: it is in the shard twice; keep one of them")
                found[name] = (shard, offset, size)
            elif extension in _LABELS:
                beside[_key(name)] = (shard, offset, size)
        labels |= {f"{shard}:{key}": member for key, member in beside.items()}
        for name, member in found.items():
            key = f"{shard}:{_key(name) if beside else name}"  # without labels a dot is a part of a file's name
            if key in pictures:
                raise UserError(f"{file}: {name}: a second picture under the same key")
            pictures[key], names[key] = member, name
    if not pictures:
        raise UserError(f"{path}: no pictures in it; shards hold key.jpg beside key.cls, or class folders")
    keys = list(pictures)
    label_names, splits = (
        _webdataset(files, path, keys, names, labels) if labels else _class_folders(path, [names[k] for k in keys])
    )
    classes, y = _classes(path, label_names, class_list)
    table = np.array([pictures[k] for k in keys], dtype=np.int64)
    several = len(files) > 1
    ids = [f"{os.path.basename(files[pictures[k][0]])}/{names[k]}" if several else names[k] for k in keys]
    return SliceDataset(
        files, table[:, 0], table[:, 1], table[:, 2], labels=y, classes=classes, ids=ids, splits=splits, path=path
    )


def _key(name: str) -> str:
    """WebDataset's key: the name up to the first dot of its last part."""
    base = name.rsplit("/", 1)[-1]
    dot = base.find(".")
    return name[: len(name) - len(base) + dot] if dot > 0 else name


def shard_split(file: str) -> str | None:
    """The split that a shard's file name starts with: `train-00000-of-00010.tar` is `train`."""
    word = re.match(r"[A-Za-z]+", os.path.basename(file))
    return SPLIT_NAMES.get(word.group().lower()) if word else None


def splits_of(per_sample: Sequence[str | None], path: str) -> dict[str, Indices]:
    """Split name -> indices; either every sample has one or none has."""
    named = {s for s in per_sample if s is not None}
    if not named:
        return {}
    if None in per_sample:
        raise UserError(f"{path}: some shards name a split ({', '.join(sorted(named))}) and some do not; rename them")
    where = np.array(per_sample)
    return {name: np.flatnonzero(where == name).astype(np.int64) for name in sorted(named)}


def _webdataset(
    files: Sequence[str], path: str, keys: Sequence[str], names: Mapping[str, str], labels: Mapping[str, Member]
) -> tuple[list[str], dict[str, Indices]]:
    found = []
    for key in keys:
        if key not in labels:
            raise UserError(f"{path}: {names[key]} has no label beside it (.cls or .json with the same key)")
        shard, offset, size = labels[key]
        found.append(_label(_read(files[shard], offset, size), f"{path}: label of {names[key]}"))
    per_sample = [shard_split(files[int(key.split(":", 1)[0])]) for key in keys]
    return found, splits_of(per_sample, path)


def _label(raw: bytes, where: str) -> str:
    text = raw.decode(errors="replace").strip()
    if not text.startswith("{"):
        return text
    try:
        fields = json.loads(text)
    except json.JSONDecodeError:
        raise UserError(f"{where}: not valid JSON") from None
    for name in ("label", "cls", "class", "target"):
        if name in fields:
            return str(fields[name])
    raise UserError(f"{where}: no field 'label' or 'cls' in it")


def _class_folders(path: str, names: Sequence[str]) -> tuple[list[str], dict[str, Indices]]:
    """Labels and splits of a tar of class folders: `[top/][split/]class/.../picture`."""
    parts = [name.removeprefix("./").split("/") for name in names]
    while all(len(p) > 2 and p[0] == parts[0][0] for p in parts) and parts[0][0].lower() not in SPLIT_NAMES:
        parts = [p[1:] for p in parts]
    declared = [SPLIT_NAMES.get(p[0].lower()) if len(p) > 2 else None for p in parts]
    if None in declared:
        declared = [None] * len(parts)
    else:
        parts = [p[1:] for p in parts]
    if any(len(p) < 2 for p in parts):
        raise UserError(f"{path}: pictures without labels; shards hold key.jpg beside key.cls, or class folders")
    return [p[0] for p in parts], splits_of(declared, path)


def _classes(path: str, labels: Sequence[str], names: Sequence[str] | None) -> tuple[tuple[str, ...], Indices]:
    if names is not None:
        names = [name.strip() for name in names if name.strip()]
        index = {name: i for i, name in enumerate(names)} | {str(i): i for i in range(len(names))}
        for label in labels:
            if label not in index:
                raise UserError(f"{path}: label '{label}' is not in classes.txt ({len(names)} names)")
        return tuple(names), np.array([index[label] for label in labels], dtype=np.int64)
    classes, y = class_order(labels)
    if len(classes) < 2:
        raise UserError(f"{path}: only one class ('{classes[0]}'); a classifier needs at least two")
    return classes, y


def _read(file: str, offset: int, size: int) -> bytes:
    with open(file, "rb") as tar:
        tar.seek(offset)
        return tar.read(size)
