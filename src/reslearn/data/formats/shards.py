"""Tar shards: the WebDataset layout (`key.jpg` beside `key.cls` or `key.json`), or a tar of class folders.

Plain tars are indexed and read in place. Compressed ones have no random access: they are packed on first use.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import BinaryIO, Protocol

import numpy as np

from ...runtime.opening import check_size, open_regular
from ...spec.errors import UserError
from ..dataset import Indices
from ..formats import tar_index
from ..layout.charset import decode_text
from ..layout.class_folders import read_tree
from ..layout.labels import class_order, listed_classes
from ..layout.listing import HEAD, is_picture, split_of
from ..layout.tree import Listing, join
from ..layout.webdataset import Member, read_samples
from ..pictures.kinds import EXTENSIONS
from ..strings import StringTable
from ..table import Found, Pictures, Stray, Table
from .files import Ranges

LABEL = 1 << 26  # bytes of a label, or of the list of classes
Places = tuple[Indices, Indices, Indices]
_HOLD = "shards hold key.jpg beside key.cls, or class folders"


class Tars(Protocol):
    """Tars, wherever they lie, by the names that `open_shards` is given."""

    def index(self, file: str) -> tar_index.Index:
        """What a tar holds."""
        ...

    def read(self, file: str, offset: int, size: int) -> bytes:
        """Bytes of a tar."""
        ...


class DiskTars:
    """Tars on a disk, open while the block lasts."""

    def __init__(self) -> None:
        self._stack, self._opened = ExitStack(), dict[str, BinaryIO]()

    def index(self, file: str) -> tar_index.Index:
        """What a tar holds."""
        self._opened[file] = self._stack.enter_context(open_regular(file))
        return tar_index.read_index(file)

    def read(self, file: str, offset: int, size: int) -> bytes:
        """Bytes of a tar."""
        return os.pread(self._opened[file].fileno(), size, offset)

    def __enter__(self) -> DiskTars:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


class Shards:
    """Tar shards and what they hold, clutter aside. As a `Tree` they lie over one another."""

    sealed = True

    def __init__(self, files: Sequence[str], path: str, tars: Tars) -> None:
        self.path, self.files_, self._tars = path, list(files), tars
        self.members: list[Member] = []
        self.notes: list[str] = []
        folders: set[str] = set()
        for shard, file in enumerate(files):
            index = tars.index(file)
            found = [Member(tar_index.clean(name), name, shard, at, size) for name, at, size in index.files]
            _refuse_twice(file, found)
            self.members += found
            folders |= index.folders
            self.notes += index.notes
        self.at = {member.place: member for member in reversed(self.members)}
        self._names = sorted(self.at)
        self._inside: dict[str, set[str]] = {}  # folder -> names of the folders directly in it
        for folder in {*folders, *(name.rpartition("/")[0] for name in self._names)}:
            while folder and folder != ".":
                above, _, name = folder.rpartition("/")
                self._inside.setdefault(above, set()).add(name)
                folder = above

    def folders(self, at: str) -> list[str]:
        """Lexical names of the folders directly in `at`."""
        return sorted(self._inside.get(at, ()))

    def loose(self, at: str) -> Iterable[str]:
        """Paths of the files directly in `at`."""
        start = len(join(at, "x")) - 1
        return (name for name in self.files(at) if "/" not in name[start:])

    def files(self, at: str) -> Sequence[str]:
        """Paths of all files anywhere below `at`."""
        return tar_index.beneath(self._names, at)

    def head(self, file: str) -> bytes:
        """The first bytes of a file."""
        return self.read(self.at[file], HEAD)

    def read(self, member: Member, most: int | None = None) -> bytes:
        """A member's bytes, or the first of them; for labels and lists, of which none is large."""
        if most is None:
            check_size(f"{self.files_[member.shard]}: {member.name}", member.size, LABEL)
        size = min(member.size, most or member.size)
        return self._tars.read(self.files_[member.shard], member.offset, size)


def open_shards(files: Sequence[str], path: str) -> Pictures:
    """Index plain tar shards. A shard's split is read off the folders inside, or its name (`train-000.tar`).

    Raises `UserError` for shards without labels, pictures without one, fewer than two classes.
    """
    with DiskTars() as tars:
        table, (which, offsets, sizes) = shards_table(files, path, tars)
    return Pictures(replace(table, path=os.path.abspath(path)), Ranges(files, which, offsets, sizes, table.ids))


def shards_table(files: Sequence[str], path: str, tars: Tars) -> tuple[Table, Places]:
    """What is said of the pictures in these tars, and where each lies: which tar, offset, size."""
    shards = Shards(files, path, tars)
    listed, notes = _class_list(shards)
    samples = read_samples(shards.members, shards.read, path)
    strays: list[Stray] = []
    if samples.pictures:
        pictures, names = samples.pictures, samples.labels
        splits = splits_of([shard_split(files[member.shard]) for member in pictures], path)
        notes += samples.notes
        problems: list[str] = []
    else:
        if not any("/" in member.place for member in shards.members):
            pictured = any(is_picture(member.place, lambda: b"") for member in shards.members)
            bare = samples.why or f"{path}: pictures without labels; {_HOLD}"
            raise UserError(bare if pictured else f"{path}: no pictures in it; {_HOLD}")
        listing = read_tree(shards)
        pictures, names, splits, strays = _placed(shards, listing)
        notes += listing.notes
        problems = listing.problems
    if listed is None:
        classes, labels = class_order(names)
        if len(classes) < 2 and not problems:
            problems.append(f"{path}: only one class ('{classes[0]}'); a classifier needs at least two")
    else:
        classes, labels = listed_classes(listed, names, path, "classes.txt")
        if not samples.pictures:
            notes.append(f"{path}: the order of the classes is that of classes.txt in it")
    table = np.array([member[2:] for member in pictures], dtype=np.int64)
    several = len(files) > 1

    def named(member: Member) -> str:
        return f"{os.path.basename(files[member.shard])}/{member.name}" if several else member.name

    said = Table(
        StringTable(named(member) for member in pictures),
        np.asarray(labels, dtype=np.int64),
        tuple(classes),
        splits,
        path,
        notes=(*shards.notes, *notes),
        found=Found(
            strays=tuple(Stray(named(shards.at[s.name]), s.cls, s.split) for s in strays),
            problems=tuple("; ".join([line, *shards.notes]) for line in problems),  # links out of it may be why
        ),
    )
    return said, (table[:, 0], table[:, 1], table[:, 2])


def shard_split(file: str) -> str | None:
    """The split that a shard's file name starts with: `train-00000-of-00010.tar` is `train`."""
    word = re.match(r"[A-Za-z]+", os.path.basename(file))
    return split_of(word.group()) if word else None


def splits_of(per_sample: Sequence[str | None], path: str) -> dict[str, Indices]:
    """Split name -> indices; either every sample has one or none has."""
    named = {s for s in per_sample if s is not None}
    if not named:
        return {}
    if None in per_sample:
        raise UserError(f"{path}: some shards name a split ({', '.join(sorted(named))}) and some do not; rename them")
    where = np.array(per_sample)
    return {name: np.flatnonzero(where == name).astype(np.int64) for name in sorted(named)}


def _class_list(shards: Shards) -> tuple[list[str] | None, list[str]]:
    """The names in `classes.txt`, if a shard has one, and notes about how it was read."""
    found: dict[tuple[str, ...], str] = {}
    notes = []
    for member in shards.members:
        if member.place.rsplit("/", 1)[-1] == "classes.txt":
            where = f"{shards.files_[member.shard]}: {member.name}"
            text = decode_text(shards.read(member), where)
            found.setdefault(tuple(line.strip() for line in text.text.splitlines() if line.strip()), where)
            notes += [text.note] if text.note else []
    if len(found) > 1:
        raise UserError(f"{shards.path}: {' and '.join(found.values())} list different classes; make them one")
    return (list(next(iter(found))) if found else None), notes


def _placed(shards: Shards, listing: Listing) -> tuple[list[Member], list[str], dict[str, Indices], list[Stray]]:
    """Pictures of class folders in the order of the archive, their classes and splits."""
    cls = {place: listing.classes[label] for place, label in zip(listing.names, listing.labels, strict=True)}
    split = {listing.names[i]: name for name, members in listing.splits.items() for i in members}
    pictures = [member for member in shards.members if member.place in cls]
    names = [cls[member.place] for member in pictures]
    if listing.splits:
        where = np.array([split[member.place] for member in pictures])
        parts = {name: np.flatnonzero(where == name).astype(np.int64) for name in listing.splits}
    else:
        named = [shard_split(shards.files_[member.shard]) for member in pictures]
        parts = splits_of(named, shards.path) if len(shards.files_) > 1 else {}
    return pictures, names, parts, listing.strays


def _refuse_twice(file: str, members: Sequence[Member]) -> None:
    seen: set[str] = set()
    for member in members:
        if member.place in seen and os.path.splitext(member.place)[1].lower() in {*EXTENSIONS, ".cls", ".json"}:
            raise UserError(f"{file}: {member.name}: it is in the shard twice; keep one of them")
        seen.add(member.place)
