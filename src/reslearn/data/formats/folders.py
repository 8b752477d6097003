"""Pictures in files of their own: a folder of class folders, and whatever else names files below a folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from ...runtime.opening import open_regular
from ...spec.errors import UserError
from ..dataset import Indices
from ..layout.class_folders import read_tree
from ..layout.listing import HEAD, is_clutter, is_picture, is_written, split_of
from ..layout.other_sources import other_sources
from ..layout.tree import Branch, NoPictures, join
from ..strings import StringTable
from ..table import Found, Pictures, Table
from .files import Files

MANY, LOOKED_AT = 12, 100  # pictures that make a class's folder beside another, and entries that are looked at


def of_files(folder: str, names: Sequence[str], labels: Indices, **columns: Any) -> Pictures:
    """Pictures in files below `folder`, whose `names` are their relative paths; `columns` are more of `Table`'s."""
    ids = StringTable(names)
    return Pictures(Table(ids, np.asarray(labels, dtype=np.int64), **columns), Files(folder, ids))


class DiskTree:
    """The files and folders below one on a disk; links are followed."""

    sealed = False

    def __init__(self, path: str) -> None:
        self.path = path

    def folders(self, at: str) -> list[str]:
        """Lexical names of the folders directly in `at`, without clutter."""
        return sorted(entry.name for entry in _entries(self._place(at)) if entry.is_dir())

    def loose(self, at: str) -> list[str]:
        """Lexical paths of the files directly in `at`, without clutter."""
        return sorted(join(at, entry.name) for entry in _entries(self._place(at)) if not entry.is_dir())

    def files(self, at: str, depth: int = 0) -> Iterator[str]:
        """Paths of the files anywhere below `at`, without clutter."""
        for entry in _entries(self._place(at)):
            if not entry.is_dir():
                yield join(at, entry.name)
            elif depth > 20:
                raise UserError(f"{self._place(at)}: nested more than 20 deep (a link to itself?)")
            else:
                yield from self.files(join(at, entry.name), depth + 1)

    def head(self, file: str) -> bytes:
        """The first bytes of a file; none of one that cannot be read, or that is a pipe or device."""
        try:
            with open_regular(self._place(file)) as opened:
                return opened.read(HEAD)
        except (OSError, UserError):
            return b""

    def _place(self, at: str) -> str:
        return os.path.join(self.path, at) if at else self.path


def open_folder(path: str) -> Pictures:
    """List a folder of class folders. What training refuses it for, and files that are no pictures, are in `found`.

    Raises `UserError` for a folder without pictures and for one that cannot be listed.
    """
    try:
        found = read_tree(DiskTree(path))
    except NoPictures as error:
        others = other_sources(path)
        raise UserError(f"{error}; {others}" if others else str(error)) from None
    return of_files(
        path,
        found.names,
        np.array(found.labels, dtype=np.int64),
        classes=tuple(found.classes),
        splits={name: np.arange(part.start, part.stop, dtype=np.int64) for name, part in found.splits.items()},
        path=os.path.abspath(path),
        notes=tuple(found.notes),
        found=Found(sealed=False, strays=tuple(found.strays), problems=tuple(found.problems)),
    )


def refuse_among_pictures(folder: str | os.PathLike[str], data: str, where: str) -> None:
    """Raise `UserError` if a picture of ours in `folder` would be one of a class of DATA, the path `data`.

    `where`, such as `--out`, opens the message. Anything but a folder of class folders is no matter.
    """
    if not os.path.isdir(data):
        return
    top = os.path.relpath(os.path.realpath(folder), os.path.realpath(data)).split(os.sep)[0]
    inside = top not in {os.curdir, os.pardir} and os.path.isdir(os.path.join(data, top))
    if inside and Branch(DiskTree(data), top).pictures:
        raise UserError(
            f"{where}: what is written to {os.fspath(folder)} would be taken for a picture of {data}; "
            "name another folder"
        )


def refuse_in_a_class(folder: str | os.PathLike[str], where: str) -> None:
    """Raise `UserError` if `folder` looks like a class's of anybody's data, to which a figure of ours would be added.

    So it looks where it and a folder beside it hold a dozen pictures each and nothing else, none of them a figure of
    ours, or where the folder above has a split's name. Folders of figures are smaller, or ours.
    """
    here = os.path.realpath(folder)
    above = os.path.dirname(here)
    in_split = split_of(os.path.basename(above)) is not None
    least = 1 if in_split else MANY
    if not _holds_pictures(here, least):
        return
    beside = (os.path.join(above, name) for name in DiskTree(above).folders(""))
    if in_split or any(place != here and _holds_pictures(place, least) for place in beside):
        raise UserError(
            f"{where}: {os.fspath(folder)} looks like a class's folder of {above}, and what is written there would be "
            "taken for one of its pictures; name another folder"
        )


def _holds_pictures(folder: str, least: int) -> bool:
    """Whether the first files of a folder are pictures, so many at least, and none was written by us."""
    tree = DiskTree(folder)
    try:
        entries = [entry.name for entry in islice(os.scandir(folder), LOOKED_AT) if not is_clutter(entry.name)]
    except OSError:
        return False
    found = [is_picture(name, lambda: b"") and not is_written(name, partial(tree.head, name)) for name in entries]
    return len(found) >= least and all(found)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What lies directly in a folder, without clutter."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not is_clutter(entry.name)]
    except OSError as error:
        raise UserError(f"{folder}: cannot be listed ({error.strerror})") from None
