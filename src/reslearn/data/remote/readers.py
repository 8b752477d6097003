"""Pictures in a store: files of their own, and ranges of bytes in larger files. What they are on a disk they are here.

Files are read in pieces of at most `UNIT` bytes. Where the whole set fits into the cache, each piece is fetched once
and kept. Where it does not, pieces are kept that were fetched ahead; all else is read picture by picture.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

from ...runtime.opening import PICTURE, check_size
from ...spec.errors import UserError
from ..dataset import Indices
from ..formats.files import UNIT, Encoded, Ranges
from ..formats.pack import Packed
from ..strings import StringTable
from .address import check_address
from .cache import Cache
from .store import THREADS, Entry, Stamp, Store, process_token
from .web import parts

HELD = 256  # pieces that a process keeps open


class Pieces:
    """The files of a set in a store, read through a cache."""

    def __init__(self, store: Store, entries: Sequence[Entry], cache: Cache) -> None:
        self.store, self.cache = store, cache
        self.entries = {entry.name: entry for entry in entries}
        self.fits = sum(entry.size for entry in entries) <= cache.limit * 3 // 4
        self._token = process_token()
        self._held: dict[tuple[str, int], BinaryIO] = {}  # open pieces of larger files

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_held": {}}  # another process opens its own

    def read(self, name: str, start: int, size: int) -> bytes:
        """So many bytes of a file from `start` on."""
        first, last = start // UNIT, max(start + size - 1, start) // UNIT
        if first == last:
            return self._part(name, first, start, size)
        parts = []
        for unit in range(first, last + 1):
            low, high = max(start, unit * UNIT), min(start + size, (unit + 1) * UNIT)
            parts.append(self._part(name, unit, low, high - low))
        return b"".join(parts)

    def _part(self, name: str, unit: int, start: int, size: int) -> bytes:
        """Bytes of one piece."""
        within = start - unit * UNIT
        if self.fits and size < self.entries[name].size:
            found = self._part_held(name, unit, within, size)
        else:
            found = self.cache.range(self._key(name, unit), within, size)
        if found is not None:
            return found
        if self.fits:
            piece = self.fetch(name, unit)
            if piece is not None:
                return piece[within : within + size]
        return self.store.read(name, start, size)

    def _part_held(self, name: str, unit: int, within: int, size: int) -> bytes | None:
        """Bytes of a piece of a set that fits, which is kept open: to open it costs as much as decoding 32 pixels."""
        piece = self._held.get((name, unit))
        if piece is None:
            piece = self.cache.open(self._key(name, unit))
            if piece is None:
                return None
            if len(self._held) >= HELD:
                self._held = {}
            self._held[name, unit] = piece
        found = self.cache.part(piece, within, size)
        if found is None:
            self._held.pop((name, unit), None)
        return found

    def fetch(self, name: str, unit: int) -> bytes | None:
        """A piece, kept from now on; None where the cache is too small for it."""
        whole = self.entries[name].size
        start = unit * UNIT
        size = min(UNIT, whole - start)
        return self.cache.fetch(self._key(name, unit), size, lambda: self.store.read(name, start, size))

    def there(self, name: str, unit: int) -> bool:
        """Whether a piece is in the cache."""
        return self.cache.has(self._key(name, unit))

    def stamp(self, name: str) -> Stamp:
        """As `Store.stamp`, of a file by its name."""
        return self.store.stamp(self.entries[name])

    def _key(self, name: str, unit: int) -> str:
        entry = self.entries[name]
        return f"{self.store.place(name)}\n{entry.size}\n{entry.version or self._token}\n{unit}"


class RemoteFiles(Encoded):
    """Files below the root of a store, by their relative paths."""

    threads = THREADS

    def __init__(self, pieces: Pieces, names: StringTable) -> None:
        self.pieces, self.names = pieces, names
        self.sizes: Indices = np.array([pieces.entries[name].size for name in names], np.int64)

    def name(self, row: int) -> str:
        """The address of a picture."""
        return self.pieces.store.place(self.names[row])

    def raw(self, row: int) -> bytes:
        """The bytes of a file."""
        size = int(self.sizes[row])
        check_size(self.name(row), size, PICTURE)
        return self.pieces.read(self.names[row], 0, size)

    def locate(self, rows: Indices) -> tuple[list[str], list[str]]:
        names = [self.names[int(row)] for row in rows]
        return names, names

    def stamp(self, file: str) -> Stamp:
        """When a file was changed, as far as the store tells."""
        return self.pieces.stamp(file)


class _Fetched(Ranges):
    """Ranges whose files lie in a store; `files` are their names there."""

    pieces: Pieces

    @property
    def threads(self) -> int:  # type: ignore[override]
        """Pieces come whole, so many threads would wait for one; pictures on their own are asked for at once."""
        return 0 if self.pieces.fits else THREADS

    def name(self, row: int) -> str:
        """The archive's address and the member."""
        return f"{self._places[int(self._which[row])]}: {self.names[row]}"

    @functools.cached_property
    def _places(self) -> list[str]:
        return [self.pieces.store.place(file) for file in self.files]

    def stored(self, row: int) -> bytes:
        size = int(self.sizes[row])
        return self.pieces.read(self.file(row), int(self._offsets[row]), size)

    def locate(self, rows: Indices) -> tuple[list[str], list[str]]:
        names = [f"{self.names[int(row)]}:{self._offsets[row]}:{self.sizes[row]}" for row in rows]
        return names, [self.file(int(row)) for row in rows]

    def stamp(self, file: str) -> Stamp:
        """When a file was changed, as far as the store tells."""
        return self.pieces.stamp(file)

    def ahead(self, rows: Indices, stop: threading.Event) -> None:
        """Fetch what the pictures at `rows` lie in, unless the cache is too small for it, until `stop` is set."""
        units = self._units(np.asarray(rows))
        if sum(min(UNIT, self.pieces.entries[name].size) for name, _ in units) > self.pieces.cache.limit // 2:
            return
        for name, unit in units:
            if stop.is_set():
                return
            if not self.pieces.there(name, unit):
                try:
                    self.pieces.fetch(name, unit)
                except UserError:  # whoever needs it will say so
                    return

    def _units(self, rows: Indices) -> list[tuple[str, int]]:
        """The pieces that pictures lie in, in the order in which they begin; then those that some reach into."""
        which, start = np.asarray(self._which)[rows], self._offsets[rows]
        first, last = start // UNIT, np.maximum(start + self.sizes[rows] - 1, start) // UNIT
        codes = which * (int(first.max(initial=0)) + 1) + first
        begun = np.sort(np.unique(codes, return_index=True)[1])
        found = [(self.files[int(which[i])], int(first[i])) for i in begun]
        for i in np.flatnonzero(last > first):
            found += [(self.files[int(which[i])], unit) for unit in range(int(first[i]) + 1, int(last[i]) + 1)]
        return list(dict.fromkeys(found))


class RemoteRanges(_Fetched):
    """Members of tars in a store."""

    def __init__(
        self, pieces: Pieces, files: Sequence[str], which: Indices, offsets: Indices, sizes: Indices, names: StringTable
    ) -> None:
        super().__init__(files, which, offsets, sizes, names)
        self.pieces = pieces


class RemotePack(_Fetched, Packed):
    """A pack in a store."""

    def name(self, row: int) -> str:
        return Packed.name(self, row)

    def locate(self, rows: Indices) -> tuple[list[str], list[str]]:
        return [str(int(row)) for row in rows], self.files * len(rows)


class Addresses(Encoded):
    """Files at whole addresses that a table names, on whatever servers they lie."""

    threads = THREADS

    def __init__(self, names: Sequence[str]) -> None:
        """Raises `UserError` for one that holds credentials: they are the pictures' names in every record."""
        for name in names:
            check_address(name)
        self.names = StringTable(names)
        self.sizes: Indices = np.full(len(names), -1, np.int64)
        self._stores: dict[str, Store] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_stores": {}}

    def name(self, row: int) -> str:
        """The address."""
        return self.names[row]

    def raw(self, row: int) -> bytes:
        """The bytes at the address."""
        above, last, query = parts(self.names[row])
        if above + query not in self._stores:
            self._stores[above + query] = Store(above, typed=True, query=query)
        store = self._stores[above + query]
        size = store.about(last).size
        if size < 0:
            raise UserError(f"{self.name(row)}: its server does not say how long it is; download it and name the file")
        check_size(self.name(row), size, PICTURE)
        return store.read(last, 0, size)
