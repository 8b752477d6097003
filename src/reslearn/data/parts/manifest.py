"""A manifest: what `data check` and `data split` found out about a data set, and what training then obeys.

It lies in the data folder (or beside a data file) as `reslearn-manifest.json`, where `open_data` finds it; anywhere
else it can itself be given as DATA. It leaves out what cannot be read and says which split each picture belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.files import read_json, write_json
from ...spec.codec import from_json, to_json
from ...spec.errors import UserError
from ...spec.names import spelling
from ...spec.text import counted
from ..dataset import Dataset, Indices
from ..layout.archives import TARS
from ..layout.named_files import is_address
from ..memory import View
from ..table import Pictures, as_pictures

_ORDER = ("train", "val", "test")
FILES = (".csv", ".tsv", ".txt", ".list", ".lst", ".parquet", ".pack", *TARS)  # at an address: what is no folder
NAME, FORMAT, KIND = "reslearn-manifest.json", 1, "reslearn manifest"


@dataclass(frozen=True)
class Manifest:
    """One column per fact, one row per picture; `ids` as the source names them."""

    data: str  # relative to the manifest's folder where the data lies below or beside it
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: tuple[int, ...]
    sizes: tuple[int, ...]  # bytes; -1 where the source has no files
    sha256: tuple[str, ...] = ()  # content hashes, or empty
    split: tuple[str, ...] = ()  # a split's name per picture, or empty
    groups: tuple[str, ...] = ()  # or empty
    excluded: dict[str, str] = field(default_factory=dict)  # id -> why training must not read it
    settings: dict[str, Any] = field(default_factory=dict)  # how the split was made: fractions, seed, identity
    kind: str = KIND
    format: int = FORMAT


def described(dataset: Dataset) -> Manifest:
    """A manifest that says no more of a source than it says itself."""
    pictures = as_pictures(dataset)
    return Manifest(
        data="",
        classes=tuple(pictures.classes),
        ids=tuple(pictures.ids),
        labels=tuple(pictures.labels.tolist()),
        sizes=tuple(pictures.sizes.tolist()),
        groups=tuple(pictures.table.groups or ()),
    )


def under(source: Dataset, manifest: Manifest, path: str) -> Pictures:
    """A source as its manifest at `path` has it: without the excluded pictures, with its splits, groups and hashes."""
    pictures, row = as_pictures(source), {name: i for i, name in enumerate(manifest.ids)}
    kept = np.array([i for i, name in enumerate(source.ids) if name not in manifest.excluded], dtype=np.int64)
    rows = np.array([row.get(source.ids[i], -1) for i in kept], dtype=np.int64)
    then = np.array([*manifest.sizes, -1], dtype=np.int64)[rows]  # row -1, an unknown one, has no size
    same = (rows >= 0) & (then == pictures.sizes[kept])
    told: dict[str, Any] = {"excluded": dict(manifest.excluded), "manifest": path}
    if manifest.sha256:
        told |= {"hashes": _picked(manifest.sha256, np.where(same, rows, -1)), "hashed_at": hashed_at(manifest, path)}
    if manifest.groups:
        told["groups"] = _picked(manifest.groups, rows)
    told["notes"] = (*pictures.table.notes, *_notes(manifest, path, rows, same))
    told["splits"] = dict(_splits(manifest, rows)) if manifest.split else _kept_splits(source, kept)
    return View(source, kept, **told)


def hashed_at(manifest: Manifest, path: str) -> int:
    """When its pictures were last surely as they were hashed: ns of the clock that files' times are taken from.

    A file that changed after it, even to the same size, is not the one that was hashed.
    """
    told = manifest.settings.get("hashed_at")
    if isinstance(told, int):
        return told
    try:
        return os.stat(path).st_mtime_ns  # one of before
    except OSError:
        return -1


def _picked(column: Sequence[str], rows: Indices) -> list[str]:
    return [column[i] if i >= 0 else "" for i in rows]


def _notes(manifest: Manifest, path: str, rows: Indices, same: NDArray[np.bool_]) -> list[str]:
    notes = [f"{path}: {counted(len(manifest.excluded), 'picture')} left out"] if manifest.excluded else []
    new = int((rows < 0).sum())
    if new:
        fate = "in no split" if manifest.split else "unchecked"
        notes.append(f"{path}: {counted(new, 'new picture')} {fate}; run `reslearn data {_command(manifest)}` again")
    changed = int((~same).sum()) - new
    if changed and not manifest.split:  # one with splits is refused until they are split again
        notes.append(f"{path}: {counted(changed, 'changed picture')} unchecked; run `reslearn data check` again")
    return notes


def _command(manifest: Manifest) -> str:
    return "split" if manifest.split else "check"


def _splits(manifest: Manifest, rows: Indices) -> Mapping[str, Indices]:
    column = np.array([*manifest.split, ""])[rows]  # row -1 is the empty name
    names = sorted(set(manifest.split) - {""}, key=lambda n: (_ORDER.index(n) if n in _ORDER else len(_ORDER), n))
    return {name: np.flatnonzero(column == name).astype(np.int64) for name in names}


def _kept_splits(source: Dataset, kept: Indices) -> dict[str, Indices]:
    place = np.full(len(source), -1, np.int64)
    place[kept] = np.arange(len(kept))
    return {name: place[members][place[members] >= 0] for name, members in source.splits.items()}


def obey(source: Pictures, manifest: Manifest, path: str, *, stale: bool = False) -> Pictures:
    """`source` under `manifest`. Raises `UserError` if the manifest is another data set's, or splits what is gone
    (unless `stale`: what is gone is then in no split)."""
    if [spelling(name) for name in source.classes] != [spelling(name) for name in manifest.classes]:
        raise UserError(
            f"{path}: made for classes {_short(manifest.classes)}, but {source.path} has {_short(source.classes)}; "
            f"run `reslearn data {_command(manifest)}` again"
        )
    if manifest.split and not stale:
        there = dict(zip(source.ids, source.sizes.tolist(), strict=True))
        for name, size in zip(manifest.ids, manifest.sizes, strict=True):
            if name not in manifest.excluded and there.get(name) != size:
                what = "changed since" if name in there else "gone, but is in"
                raise UserError(
                    f"{path}: {name} {what} this manifest; run `reslearn data split` again (known ones stay)"
                )
    data = under(source, manifest, path)
    if is_address(path):
        return data  # whoever opened it knows what opens it again
    if source.path is not None and os.path.abspath(path) == os.path.abspath(manifest_path(source.path)):
        return data
    return data.told(path=os.path.abspath(path))  # by the source's alone `open_data` would not find this manifest again


def _short(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f", ... ({len(names)})" if len(names) > 4 else "")


def manifest_path(data: str) -> str:
    """Where the manifest of a DATA path lies: inside a folder, beside a file."""
    if is_address(data):
        url = data.partition("#")[0].rstrip("/")
        return f"{url}.{NAME}" if url.lower().endswith(FILES) else f"{url}/{NAME}"
    return os.path.join(data, NAME) if os.path.isdir(data) else f"{data}.{NAME}"


def read_manifest(path: str) -> Manifest:
    """Read and check a manifest file."""
    value = read_json(path)
    if not isinstance(value, dict) or value.get("kind") != KIND:
        raise UserError(f"{path}: not a manifest of `reslearn data check` or `reslearn data split`")
    if value.get("format", 0) > FORMAT:
        raise UserError(f"{path}: a manifest of format {value['format']}; this version reads up to {FORMAT}, update it")
    manifest = from_json(Manifest, value, path)
    for name in ("labels", "sizes", "sha256", "split", "groups"):
        have, want = len(getattr(manifest, name)), len(manifest.ids)
        if have != want and (have or name in {"labels", "sizes"}):
            raise UserError(f"{path}: {name} has {have} entries for {want} pictures")
    odd = next((one for one in set(manifest.split) if one in (".", "..") or "/" in one or "\0" in one), None)
    if odd is not None:  # an export names folders and files after splits
        raise UserError(f"{path}: a split is called {odd!r}, as no folder can be; call it train, val or test")
    return manifest


def write_manifest(path: str, manifest: Manifest) -> None:
    """Write a manifest atomically."""
    write_json(path, to_json(manifest))


def data_of(path: str, manifest: Manifest) -> str:
    """The DATA path that a manifest file at `path` is about."""
    if is_address(manifest.data):
        return manifest.data
    found = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(path)), manifest.data))
    return "digits" if manifest.data == "digits" and not os.path.exists(found) else found


def places(path: str, manifest: str | None) -> tuple[str, str, Manifest | None]:
    """(DATA itself, where its manifest goes, the manifest that is there), for DATA or a manifest given as DATA."""
    if path.endswith(".json") and os.path.exists(path):
        manifest, path = manifest or path, data_of(path, read_manifest(path))
    if is_address(path) and manifest is None:
        raise UserError(f"{path}: nothing is written there; name a place for its manifest with -o FILE.json")
    if path == "digits" and manifest is None:
        raise UserError("digits has no folder to put a manifest in; name one with -o FILE.json")
    target = manifest or manifest_path(path)
    if not target.endswith(".json"):
        raise UserError(f"{target}: a manifest's name ends in .json")
    before = read_manifest(target) if os.path.exists(target) else None
    return path, target, before


def own_manifest(path: str, target: str) -> Manifest | None:
    """The manifest that lies with DATA itself, where there is one and it is not `target`."""
    if is_address(path):
        return None
    own = manifest_path(path)
    if os.path.abspath(own) == os.path.abspath(target) or not os.path.exists(own):
        return None
    return read_manifest(own)


def relative(path: str, target: str) -> str:
    """How the manifest names its data: relative where it lies in, above or beside the manifest's folder."""
    if path == "digits" or is_address(path):
        return path
    here, data = os.path.dirname(os.path.abspath(target)), os.path.abspath(path)
    inside = os.path.commonpath([here, data]) in {here, data}
    return os.path.relpath(data, here) if inside else data


def carried(before: Manifest, now: Manifest) -> tuple[str, ...]:
    """The earlier manifest's split of each sample, empty for new ones."""
    if not before.split:
        return ()
    by_path = dict(zip(zip(before.ids, before.sizes, strict=True), before.split, strict=True))
    known = zip(before.ids, before.sha256, before.split, strict=True) if before.sha256 else ()
    by_hash = {digest: split for name, digest, split in known if split and name not in before.excluded}
    hashes = now.sha256 or [""] * len(now.ids)
    return tuple(
        by_path.get((name, size)) or (by_hash.get(digest, "") if digest else "")
        for name, size, digest in zip(now.ids, now.sizes, hashes, strict=True)
    )
