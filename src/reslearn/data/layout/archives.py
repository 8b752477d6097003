"""Which Parquet files or tar shards a path means: a folder of them, or the root of a cloned Hugging Face set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from ...runtime.opening import open_regular
from ...spec.errors import UserError, some
from ...spec.text import counted
from ..pictures.kinds import EXTENSIONS
from .listing import is_clutter, split_of
from .named_files import is_address

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
TARS = (".tar", *COMPRESSED)
PACKED = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\0": "xz"}  # how a compressed file begins -> tarfile's name of it
_KINDS = ((".parquet",), (".tar",), COMPRESSED)
_DEEPEST = 3  # folders between a set's root and its files: data/train, or CONFIG/train
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Archives:
    """The files of one kind that make up a set, the folder they are in, and what is said about the rest."""

    files: list[str]
    folder: str
    notes: tuple[str, ...] = ()


def asked_of(path: str) -> tuple[str, dict[str, str]]:
    """`d.parquet#image=photo` as the path and what is asked for; any other path as it is."""
    base, mark, text = path.rpartition("#")
    if not mark or os.path.exists(path) or not (os.path.exists(base) or is_address(base)):
        return path, {}
    found = parse_qsl(text, keep_blank_values=True)
    asked = dict(found)
    if not asked or not all(asked.values()):
        more = ", or cache=20GB" if is_address(base) else ""
        raise UserError(f"{base}: after the # stand columns to read, such as {base}#label=species{more}")
    if len(asked) < len(found):
        twice = next(name for i, (name, _) in enumerate(found) if name in dict(found[:i]))
        raise UserError(f"{base}: {twice} is said twice after the #; say it once, there or as an option")
    return base, asked


def archives_in(folder: str) -> Archives | None:
    """The archives directly in a folder, or, where there is no picture, below it; None if it is a tree of pictures.

    Raises `UserError` where they make up several sets.
    """
    with os.scandir(folder) as entries:
        here = [entry for entry in entries if not is_clutter(entry.name)]
    files = sorted(entry.path for entry in here if entry.is_file())
    found = _of_one_kind(files)
    if found:
        others = sorted(entry.name for entry in here if entry.is_dir())
        others += [os.path.basename(file) for file in files if file.lower().endswith((".parquet", *TARS))]
        others = [name for name in others if os.path.join(folder, name) not in found]
        what = os.path.basename(found[0]) if len(found) == 1 else f"{len(found)} archives"
        note = f"{folder}: the set is {what} in it; not read: {some(others)}"
        return Archives(found, folder, (note,) if others else ())
    clone = os.path.exists(os.path.join(folder, ".gitattributes"))  # every repository of a hub has one
    below, pictures = _below(folder, clone)
    if pictures and not clone:
        return None
    found = _of_one_kind(sorted(below))
    sets: dict[str, list[str]] = {}
    for file in found:
        sets.setdefault(_set_of(os.path.relpath(file, folder).replace(os.sep, "/")), []).append(file)
    if len(sets) > 1:
        raise UserError(f"{folder}: several sets in it ({some(sorted(sets), 8)}); give the folder of one of them")
    if not found:
        return None
    inside = os.path.commonpath([os.path.dirname(file) for file in found])
    note = f"{folder}: the set is {counted(len(found), 'file')} in {os.path.relpath(inside, folder)}"
    return Archives(found, inside, (note + (f"; not read: {some(sorted(pictures))}" if pictures else ""),))


def archives_among(names: Sequence[str], where: str) -> tuple[list[str], tuple[str, ...]]:
    """`archives_in` for files that a store lists: paths below its root `where`. Returns the archives, and notes."""
    here = _of_one_kind(sorted(name for name in names if "/" not in name))
    if here:
        others = [name for name in names if name not in here and name.lower().endswith((".parquet", *TARS))]
        note = f"{where}: the set is {counted(len(here), 'archive')} in it; not read: {some(others)}"
        return here, (note,) if others else ()
    if any(os.path.splitext(name)[1].lower() in EXTENSIONS for name in names if "/" in name):
        return [], ()
    found = _of_one_kind(sorted(name for name in names if name.count("/") <= _DEEPEST))
    sets = {_set_of(name) for name in found}
    if len(sets) > 1:
        raise UserError(f"{where}: several sets in it ({some(sorted(sets), 8)}); give the folder of one of them")
    return found, ()


def _set_of(file: str) -> str:
    """What the folders above a file call its set, those aside that name a split or are called data."""
    return "/".join(part for part in file.split("/")[:-1] if part != "data" and not split_of(part)) or "data"


def folder_split(file: str, folder: str) -> str | None:
    """The split that a folder between `folder` and an archive below it is called by: `data/train/0000.parquet`."""
    parts = os.path.relpath(os.path.abspath(file), os.path.abspath(folder)).split(os.sep)[:-1]
    return next((split for split in map(split_of, reversed(parts)) if split), None)


def is_plain(file: str) -> bool:
    """Whether a tar is not compressed, whatever its name says."""
    with open_regular(file) as opened:
        return not opened.read(6).startswith(tuple(PACKED))


def refuse_pointer(file: str) -> None:
    """Raise `UserError` for what Git left in a file's place where its large-file storage was not fetched."""
    with open_regular(file) as opened:
        if opened.read(len(_POINTER)) == _POINTER:
            raise UserError(f"{file}: a Git LFS pointer, not the file itself; run `git lfs pull` in its clone")


def _of_one_kind(files: list[str]) -> list[str]:
    kinds = ([file for file in files if file.lower().endswith(kind)] for kind in _KINDS)
    return next((found for found in kinds if found), [])


def _below(folder: str, whole: bool) -> tuple[list[str], list[str]]:
    """The archives and the pictures in the folders below one; the first picture ends the search unless `whole`."""
    archives: list[str] = []
    pictures: list[str] = []
    for place, folders, names in os.walk(folder, followlinks=True):
        depth = len(os.path.relpath(place, folder).split(os.sep)) if place != folder else 0
        folders[:] = sorted(name for name in folders if depth < _DEEPEST and not is_clutter(name))
        for name in names:
            if is_clutter(name):
                continue
            if depth and os.path.splitext(name)[1].lower() in EXTENSIONS:
                pictures.append(os.path.join(place, name))
            elif name.lower().endswith((".parquet", *TARS)):
                archives.append(os.path.join(place, name))
        if pictures and not whole:
            break
    return archives, pictures
