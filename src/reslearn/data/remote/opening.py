"""`open_remote`: DATA at an address, as on a disk: folders, tables, tars and packs in place, all else fetched."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...runtime.files import passing_folder, user_cache, write_atomic
from ...spec.errors import UserError
from ..dataset import Indices
from ..formats.pack import of_pack
from ..formats.pack_index import read_index as read_pack_index
from ..formats.shards import shards_table
from ..formats.tables import table_of
from ..layout.archives import TARS, archives_among
from ..layout.class_folders import read_tree
from ..layout.columns import read_columns
from ..layout.listing import HEAD, in_clutter
from ..layout.named_files import is_address
from ..layout.other_sources import other_start
from ..layout.tree import NoPictures, join
from ..pictures.kinds import EXTENSIONS
from ..strings import StringTable
from ..table import Found, Pictures, Table
from .address import Opening, check_address
from .cache import Cache
from .failures import Absent
from .named import StoredFiles
from .readers import Addresses, Pieces, RemoteFiles, RemotePack, RemoteRanges
from .store import Entry, Store
from .tars import RemoteTars
from .web import is_web, without_query

TABLES = (".csv", ".tsv", ".txt", ".list", ".lst")
Local = Callable[[str, Mapping[str, str]], Pictures]


def open_remote(url: str, opening: Opening, local: Local) -> Pictures:
    """The pictures at `url`; `local` opens what has to be fetched whole. Raises `UserError` naming the address."""
    check_address(url)
    cache, lower = Cache(opening.cache), without_query(url).lower()
    if lower.endswith((*TABLES, ".parquet", ".pack", *TARS)):
        store, name = Store.of_file(url)
        entry = replace(store.about(name), name=name)
        if lower.endswith(TABLES):
            return _table(url, store, entry, opening, cache)
        if lower.endswith(".pack"):
            return _pack(url, Pieces(store, [entry], cache), entry)
        if lower.endswith(".tar"):
            return _tars(url, Pieces(store, [entry], cache), [name])
        return _fetched(
            url, store, [entry], cache, lambda folder: local(os.path.join(folder, name), opening.columns or {})
        )
    store = Store(url)
    if is_web(url):  # which would send it whole, for its links
        _refuse_file(store)
    entries = [entry for entry in store.walk() if not in_clutter(entry.name)]
    if not entries:
        _refuse_file(store)
        raise Absent(f"{url}: nothing is there; check the address")
    archives, notes = archives_among([entry.name for entry in entries], url)
    by_name = {entry.name: entry for entry in entries}
    chosen = [by_name[name] for name in archives]
    if archives and archives[0].lower().endswith(".tar"):
        return _with_notes(_tars(url, Pieces(store, chosen, cache), archives, by_name), notes)
    if archives:
        return _with_notes(
            _fetched(url, store, chosen, cache, lambda folder: local(folder, opening.columns or {})), notes
        )
    return _folder(url, Pieces(store, entries, cache))


def open_pictures(url: str) -> Pictures | None:
    """The pictures below an address, or the one there, without labels; None where there are none."""
    plain = url.partition("#")[0]
    check_address(plain)
    one = os.path.splitext(without_query(plain))[1].lower() in EXTENSIONS
    store, name = Store.of_file(plain) if one else (Store(plain), "")
    entries = [replace(store.about(name), name=name)] if one else store.walk()
    found = [e for e in entries if os.path.splitext(e.name)[1].lower() in EXTENSIONS and not in_clutter(e.name)]
    if not found:
        return None
    names = StringTable(entry.name for entry in found)
    table = Table(names, np.zeros(len(found), np.int64), ("",), path=url)
    return Pictures(table, RemoteFiles(Pieces(store, found, Cache()), names))


def _refuse_file(store: Store) -> None:
    """Raise `UserError` for a store that is one file, in words for what it is."""
    entry = store.one_file()
    if entry is None:
        return
    name = without_query(store.url).rpartition("/")[2]
    known = other_start(name, store.read("", 0, min(HEAD, entry.size)))
    what = (
        known
        or "not a set of labelled pictures; an address is of a folder, a table, Parquet, tars, a pack or a manifest"
    )
    raise UserError(f"{store.url}: {what}")


def _with_notes(data: Pictures, notes: Sequence[str]) -> Pictures:
    return data.told(notes=(*notes, *data.table.notes)) if notes else data


class StoreTree:
    """The files below the root of a store, as a tree."""

    sealed = False

    def __init__(self, path: str, pieces: Pieces) -> None:
        self.path, self._pieces = path, pieces
        self._names = sorted(pieces.entries)
        self._inside: dict[str, set[str]] = {}
        for name in self._names:
            folder = name.rpartition("/")[0]
            while folder:
                above, _, last = folder.rpartition("/")
                self._inside.setdefault(above, set()).add(last)
                folder = above

    def folders(self, at: str) -> list[str]:
        """Names of the folders directly in `at`, in lexical order."""
        return sorted(self._inside.get(at, ()))

    def loose(self, at: str) -> list[str]:
        """Paths of the files directly in `at`."""
        start = len(join(at, "x")) - 1
        return [name for name in self.files(at) if "/" not in name[start:]]

    def files(self, at: str) -> list[str]:
        """Paths of all files anywhere below `at`, in the order in which a disk is walked."""
        start = f"{at}/" if at else ""
        return sorted((name for name in self._names if name.startswith(start)), key=lambda name: name.split("/"))

    def head(self, file: str) -> bytes:
        """The first bytes of a file; none of one that cannot be read."""
        try:
            return self._pieces.store.read(file, 0, min(HEAD, self._pieces.entries[file].size))
        except UserError:
            return b""


def _folder(url: str, pieces: Pieces) -> Pictures:
    try:
        found = read_tree(StoreTree(url, pieces))
    except NoPictures as error:
        raise UserError(str(error)) from None
    names = StringTable(found.names)
    splits = {name: np.arange(part.start, part.stop, dtype=np.int64) for name, part in found.splits.items()}
    beside = Found(sealed=False, strays=tuple(found.strays), problems=tuple(found.problems))
    labels: Indices = np.array(found.labels, dtype=np.int64)
    table = Table(names, labels, tuple(found.classes), splits, url, notes=tuple(found.notes), found=beside)
    return Pictures(table, RemoteFiles(pieces, names))


def _tars(url: str, pieces: Pieces, names: Sequence[str], beside: Collection[str] = ()) -> Pictures:
    table, places = shards_table(names, url, RemoteTars(pieces, names, beside))
    return Pictures(table, RemoteRanges(pieces, names, *places, StringTable(table.ids)))


class _Content:
    """A file of a store of which parts are taken."""

    def __init__(self, pieces: Pieces, entry: Entry) -> None:
        self._pieces, self._entry = pieces, entry

    def __len__(self) -> int:
        return self._entry.size

    def __getitem__(self, part: slice, /) -> np.ndarray:
        start, stop, _ = part.indices(self._entry.size)
        return np.frombuffer(self._pieces.store.read(self._entry.name, start, max(stop - start, 0)), np.uint8)


def _pack(url: str, pieces: Pieces, entry: Entry) -> Pictures:
    index = read_pack_index(url, _Content(pieces, entry))
    reader = RemotePack(entry.name, url, index)
    reader.pieces = pieces
    return of_pack(index, reader)


def _table(url: str, store: Store, entry: Entry, opening: Opening, cache: Cache) -> Pictures:
    with _here(url, store, [entry]) as folder:
        columns = read_columns(os.path.join(folder, entry.name), opening.columns or {})
    store = Store(store.url)
    files = StoredFiles(store, [] if is_address(columns.path[0]) else columns.path)
    table = table_of(url, columns, files, urls=opening.urls)
    if is_address(table.ids[0]):
        return Pictures(table, Addresses(table.ids))
    there = StringTable(table.ids)
    missing = {name: Entry(name, -1) for name in table.ids if name not in files.entries}
    return Pictures(table, RemoteFiles(Pieces(store, [*files.entries.values(), *missing.values()], cache), there))


def _fetched(
    url: str, store: Store, entries: Sequence[Entry], cache: Cache, open_: Callable[[str], Pictures]
) -> Pictures:
    """What has no random access: fetched whole into the cache's own corner, and packed there."""
    size = sum(entry.size for entry in entries)
    if cache.limit and size > cache.limit:
        raise UserError(
            f"{url}: {size / 1e6:,.0f} MB without random access, and the cache holds {cache.limit / 1e6:,.0f} MB; "
            "give a larger --cache-size, or write it as tar shards: reslearn data pack --shards N"
        )
    with _here(url, store, entries) as folder:
        data, above = open_(folder), _above(url, store)
        return data.told(path=url, notes=tuple(note.replace(folder, above) for note in data.table.notes))


@contextlib.contextmanager
def _here(url: str, store: Store, entries: Sequence[Entry]) -> Iterator[str]:
    """A folder of this machine with these files; what is said of it is said of the address."""
    folder = _corner(url, entries)
    try:
        _copied(store, entries, folder)
    except OSError:  # the cache is full, or may not be written
        folder = passing_folder() / folder.name
        _copied(store, entries, folder)
    try:
        yield str(folder)
    except UserError as error:
        raise UserError(str(error).replace(str(folder), _above(url, store))) from None


def _copied(store: Store, entries: Sequence[Entry], folder: Path) -> None:
    for entry in entries:
        target = folder / entry.name
        if entry.version and target.exists() and target.stat().st_size == entry.size:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(target.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
        write_atomic(target, _whole(store, entry))


def _above(url: str, store: Store) -> str:
    return store.url if store.typed else url


def _whole(store: Store, entry: Entry) -> bytes:
    step = 8 << 20
    starts = range(0, entry.size, step)
    return b"".join(store.each(lambda start: store.read(entry.name, start, min(step, entry.size - start)), starts))


def _corner(url: str, entries: Sequence[Entry]) -> Path:
    """The folder for these files; where the store does not tell a file from a later one, one of this process alone."""
    told = json.dumps([url, [[entry.name, entry.size, entry.version] for entry in entries]])
    lasting = all(entry.version for entry in entries)
    return (user_cache() / "fetched" if lasting else passing_folder()) / hashlib.sha256(told.encode()).hexdigest()[:24]
