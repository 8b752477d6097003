"""What a caller gives to be answered, as numbered pictures that are read one by one and never held all at once.

Files, folders, patterns, archives, tables, manifests and addresses by their names; pictures in memory; data sets.
"""

from __future__ import annotations

import bisect
import csv
import glob
import hashlib
import io
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.anything import Range, as_images, is_mapped
from ..data.dataset import Image
from ..data.formats.files import Ranges
from ..data.formats.folders import DiskTree
from ..data.formats.tar_index import read_index
from ..data.layout.archives import TARS, archives_in, asked_of, is_plain
from ..data.layout.charset import text_file
from ..data.layout.columns import COLUMNS
from ..data.layout.listing import is_picture
from ..data.layout.named_files import is_address
from ..data.layout.tree import Branch
from ..data.remote.opening import open_pictures
from ..data.sources import TABLES, open_data
from ..data.strings import StringTable
from ..data.table import Pictures, Table, as_pictures
from ..spec.errors import UserError, some
from ..spec.text import counted
from .sources import Addresses, Files, Items, Memory, Rows, Source, Unreadable

Note = Callable[[str], None]
_SETS = (*TABLES, *TARS, ".json", ".parquet", ".pack", ".mat")  # files that hold or name many pictures


class Given:
    """Several sources, one after another. What is in memory is `held(i)`; else that is None."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = list(sources)
        self._ends = list(itertools.accumulate(map(len, self.sources)))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _at(self, i: int) -> tuple[Source, int]:
        k = bisect.bisect_right(self._ends, i)
        return self.sources[k], i - (self._ends[k - 1] if k else 0)

    def path(self, i: int) -> str | None:
        """As `Source` says; so is the next."""
        source, place = self._at(i)
        return source.path(place)

    def read(self, i: int) -> Image:
        source, place = self._at(i)
        return source.read(place)

    def held(self, i: int) -> Any:
        """What was given, where that was a picture in memory."""
        source, place = self._at(i)
        return source.pictures[place] if isinstance(source, Memory) else None

    def digest(self) -> str:
        """sha256 of all names in their order: what tells one set of pictures from another."""
        found = hashlib.sha256()
        for i in range(len(self)):
            found.update(f"{self.path(i)}\0".encode(errors="surrogatepass"))
        return found.hexdigest()


def given(
    pictures: Any, *, value_range: Range | None = None, allow_urls: bool = False, note: Note | None = None
) -> Given:
    """Whatever holds pictures, one or many, as numbered pictures in the order given.

    A path is a picture's file; a folder, for the pictures anywhere in it, sorted; a pattern with `*`; a tar, table,
    manifest or any other DATA, whose labels are not needed. `http` addresses are read only with `allow_urls`. In memory
    a picture is what `predict` takes, or an opened file or its bytes; a map-style data set gives its items, or the
    first of each. `note` is told what was left out. Raises `UserError` for what is none of these, and where there are
    no pictures; a single file is opened only when its turn comes.
    """
    sources: list[Source] = []
    names: list[str] = []
    memory: list[Any] = []

    def close() -> None:
        if names:
            sources.append(Files(names))
        if memory:
            sources.append(Memory(memory, value_range))
        names.clear()
        memory.clear()

    if isinstance(pictures, Given):
        return pictures
    several: list[Any] = [_bytes_of(one) if _is_file(one) else one for one in _each(pictures)]
    for one in several:
        if isinstance(one, (str, os.PathLike)):
            for found in _tolerant(os.fspath(one), allow_urls, note, len(several)):
                if isinstance(found, str) and not memory:
                    names.append(found)
                else:
                    close()
                    names += [found] if isinstance(found, str) else []
                    sources += [] if isinstance(found, str) else [found]
        elif _is_data(one):
            close()
            sources.append(Rows(as_pictures(one)))
        elif is_mapped(one):
            close()
            sources.append(Items(one, value_range))
        else:
            if names:
                close()
            memory.append(one)
    close()
    return Given(sources)


def _each(pictures: Any) -> Iterable[Any]:
    if (
        isinstance(pictures, (bytes, bytearray, memoryview))
        or _is_file(pictures)
        or _is_data(pictures)
        or is_mapped(pictures)
    ):
        return [pictures]
    return as_images(pictures)


def _is_file(value: Any) -> bool:
    """Whether it is an opened file: it would be iterated by lines."""
    return hasattr(value, "read") and hasattr(value, "readline")


def _bytes_of(file: Any) -> bytes:
    """What is left of an opened file: one picture."""
    found = file.read()
    if not isinstance(found, bytes):
        raise UserError(
            "a file that was opened as text holds no picture; open it as open(path, 'rb'), or give its path"
        )
    return found


def _is_data(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("ids", "labels", "classes", "splits", "read", "fingerprint"))


def _tolerant(path: str, allow_urls: bool, note: Note | None, several: int) -> list[str | Source]:
    """`_named`; of several inputs a file that holds no pictures is one that cannot be read, and stops nobody."""
    try:
        return list(_named(path, allow_urls, note))
    except UserError as error:
        if several == 1 or not os.path.isfile(asked_of(path)[0]):
            raise
        return [Unreadable(path, str(error))]


def _named(path: str, allow_urls: bool, note: Note | None) -> Iterator[str | Source]:
    """Files and sources that a name stands for."""
    whole = path if is_address(path) else path.replace(":/", "://", 1)  # a Path has lost one
    if is_address(whole) and _holds_many(whole):
        yield Rows(_said(_set_at(whole), note))
    elif is_address(whole):
        yield _address(whole, allow_urls)
    elif os.path.isdir(path):
        yield from _folder(path, note)
    elif os.path.exists(asked_of(path)[0]):
        yield _many(path, note) if asked_of(path)[0].lower().endswith(_SETS) else path
    elif path == "digits":
        yield Rows(open_data(path))
    elif re.search(r"[*?\[]", path):
        matches = sorted(glob.glob(path, recursive=True))
        if not matches:
            raise UserError(f"{path}: no file or folder matches this pattern")
        for match in matches:
            yield from _named(match, allow_urls, note)
    else:
        yield path  # that it is not there is told when its turn comes


def _set_at(address: str) -> Pictures:
    """The set at an address; or its pictures alone, where it says no labels."""
    try:
        return open_data(address, strict=False)
    except UserError:
        found = open_pictures(address)
        if found is None:
            raise
        return found


def _holds_many(address: str) -> bool:
    """Whether an address is of a set: a store's; on the web, a file that holds or names many."""
    plain = address.partition("#")[0].lower()
    return plain.endswith(_SETS) or not re.match(r"(https?|file)://", plain)


def _address(path: str, allow_urls: bool) -> Source:
    if not allow_urls:
        raise UserError(
            f"{path}: an address, not a file; download the picture and name the file, or allow addresses (allow_urls)"
        )
    if not re.match(r"https?://[^/]", path, re.IGNORECASE) or not path.isascii():
        raise UserError(f"{path}: only whole http and https addresses are read; download it and name the file")
    return Addresses([path])


def find_pictures(paths: Iterable[str | os.PathLike[str]], *, note: Note | None = None) -> list[Path]:
    """Files as they are given; a folder stands for the pictures anywhere inside it, sorted, as DATA would read it.

    `note` is told of the files in a folder that are no pictures. Raises `UserError` for a folder without any, and for
    an address.
    """
    found: list[Path] = []
    for path in (os.fspath(one) for one in paths):
        if is_address(path) or is_address(path.replace(":/", "://", 1)):
            _address(path, allow_urls=False)
        inside = _below(path, note) if os.path.isdir(path) else [path]
        if not inside:
            raise UserError(f"{path}: no pictures in this folder")
        found += map(Path, inside)
    return found


def _below(path: str, note: Note | None) -> list[str]:
    """The pictures anywhere in a folder, sorted."""
    branch = Branch(DiskTree(path), "")
    if branch.pictures and branch.strays and note is not None:
        files = counted(len(branch.strays), "file")
        note(f"{path}: {files} of another kind than pictures, left out: {some(sorted(branch.strays))}")
    return [str(one) for one in sorted(Path(path) / name for name in branch.pictures)]


def _folder(path: str, note: Note | None) -> Iterator[str | Source]:
    inside = _below(path, note)
    if inside:
        yield from inside
        return
    try:
        archives = archives_in(path)
        files = [] if archives is None else archives.files
        if files and all(file.lower().endswith(".tar") and is_plain(file) for file in files):
            yield from (_many(file, note) for file in files)
        else:
            yield Rows(_said(open_data(path, strict=False), note))
    except UserError:
        raise UserError(f"{path}: no pictures in this folder") from None


def _many(path: str, note: Note | None) -> Source:
    """A file that holds or names pictures; labels are not needed."""
    lower = asked_of(path)[0].lower()
    if lower.endswith(".tar") and is_plain(path):
        index = read_index(path)
        found = [entry for entry in index.files if is_picture(entry[0], lambda: b"")]
        if found:
            if note is not None:
                for line in index.notes:
                    note(line)
            where = np.array([entry[1:] for entry in found], np.int64)
            which, names = np.zeros(len(found), np.int64), StringTable(entry[0] for entry in found)
            reader = Ranges([path], which, where[:, 0], where[:, 1], names)
            return Rows(Pictures(Table(names, which, ("",), path=path), reader))
    try:
        return Rows(_said(open_data(path, strict=False), note))
    except UserError:
        listed = _listed(path) if lower.endswith(TABLES) else []
        if not any(map(os.path.exists, listed[:100])):
            raise
        return Files(listed)


def _said(data: Pictures, note: Note | None) -> Pictures:
    if note is not None:
        for line in data.notes:
            note(line)
    return data


def _listed(path: str) -> list[str]:
    """The paths in a table without labels: a column with a name for it, or else the first; a line each in a list.

    None of a table that cannot be read.
    """
    file, asked = asked_of(path)
    text = text_file(file).text
    if file.lower().endswith((".csv", ".tsv")):
        separator = "\t" if file.lower().endswith(".tsv") else ","
        try:
            rows = list(csv.reader(io.StringIO(text, newline=None), delimiter=separator))
        except csv.Error:
            return []
    else:
        rows = [[line.strip()] for line in text.splitlines()]
    rows = [row for row in rows if row and row[0].strip()]
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    wanted = asked.get("path", "").lower()
    column = next((i for i, name in enumerate(head) if name == wanted or name in COLUMNS["path"]), None)
    rows = rows if column is None else rows[1:]
    folder = os.path.dirname(file)
    return [os.path.join(folder, row[column or 0].strip()) for row in rows if len(row) > (column or 0)]
