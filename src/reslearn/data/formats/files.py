"""Readers of encoded pictures: files of their own, and ranges of bytes in larger files, such as tars."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any, BinaryIO

import numpy as np

from ...runtime.opening import PICTURE, check_size, open_regular
from ...spec.errors import UserError
from ..dataset import Image, Indices
from ..parts.key_table import stamp_of
from ..strings import StringTable
from ..table import Reader
from .decode import decode_bytes, read_bytes

UNIT = 32 << 20  # bytes of a larger file that are fetched, kept and walked through together


class Encoded(Reader):
    """Pictures that are decoded; `name` is what an unreadable one is called."""

    encoded = True

    def name(self, row: int) -> str:
        """The file a picture lies in, and its name there."""
        raise NotImplementedError

    def decode(self, row: int, raw: bytes | None) -> Image:
        return decode_bytes(raw or b"", self.name(row))


class Files(Encoded):
    """Files below `folder`, by their relative paths."""

    def __init__(self, folder: str, names: StringTable) -> None:
        self.folder, self.names = folder, names

    def name(self, row: int) -> str:
        """The path of a picture."""
        return os.path.join(self.folder, self.names[row])

    def raw(self, row: int) -> bytes:
        """The bytes of a file."""
        return read_bytes(self.name(row))

    def locate(self, rows: Indices) -> tuple[list[str], list[str]]:
        return [self.names[int(row)] for row in rows], [self.name(int(row)) for row in rows]

    @cached_property
    def sizes(self) -> Indices:  # type: ignore[override]
        """(all,) int64 bytes, asked of the file system once; -1 for a file that is gone."""
        count = len(self.names)
        return np.fromiter((stamp_of(self.name(row))[0] for row in range(count)), np.int64, count)


class Ranges(Encoded):
    """A picture is `sizes[row]` bytes at `offsets[row]` of `files[which[row]]`, and called `names[row]` there."""

    def __init__(
        self, files: Sequence[str], which: Indices, offsets: Indices, sizes: Indices, names: Sequence[str]
    ) -> None:
        self.files, self.names = list(files), names
        self._which, self._offsets = which, offsets
        self.sizes: Indices = sizes
        self._handles: dict[str, BinaryIO] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_handles": {}}  # another process opens its own

    @cached_property
    def shards(self) -> Indices:  # type: ignore[override]
        """(all,) the piece of which file a picture begins in."""
        place = np.stack([np.asarray(self._which, np.int64), np.asarray(self._offsets, np.int64) // UNIT])
        return np.unique(place, axis=1, return_inverse=True)[1].reshape(-1).astype(np.int64)

    def file(self, row: int) -> str:
        """The file that a picture lies in."""
        return self.files[int(self._which[row])]

    def name(self, row: int) -> str:
        """The archive and the member."""
        return f"{self.file(row)}: {self.names[row]}"

    def stored(self, row: int) -> bytes:
        """The bytes of the range."""
        file, size = self.file(row), int(self.sizes[row])
        opened = self._opened(file)  # held until it is read: a thread beside may have put its own in the place
        data = os.pread(opened.fileno(), size, int(self._offsets[row]))  # safe across forks
        if len(data) != size:
            raise UserError(f"{file}: ends in the middle of {self.names[row]} (truncated archive)")
        return data

    def _opened(self, file: str) -> BinaryIO:
        if file not in self._handles:
            try:
                return self._handles.setdefault(file, open_regular(file))
            except OSError as error:
                raise UserError(f"{file}: cannot be read ({error.strerror})") from None
        return self._handles[file]

    def raw(self, row: int) -> bytes | None:
        if self.sizes[row] > PICTURE:  # its name is made for those alone that need it
            check_size(self.name(row), int(self.sizes[row]), PICTURE)
        return self.stored(row)

    def locate(self, rows: Indices) -> tuple[list[str], list[str]]:
        names = [f"{self.names[int(row)]}:{self._offsets[row]}:{self.sizes[row]}" for row in rows]
        return names, [self.file(int(row)) for row in rows]
