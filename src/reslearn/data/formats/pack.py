"""One file with random access: the encoded pictures as they are, or resized once to a shorter side.

Layout: 64 bytes of head (magic, place, length and checksum of the index), the pictures one after another, then the
index (`pack_index`). Written to `NAME.part` with a journal beside it, so that a stopped `pack` goes on where it was,
and renamed when whole.
"""

from __future__ import annotations

import hashlib
import os

import numpy as np
from numpy.typing import NDArray

from ...runtime.opening import open_regular
from ...spec.errors import UserError
from ..dataset import Image, Indices
from ..strings import StringTable
from ..table import Pictures, Table
from .files import Ranges
from .pack_index import HEAD, MAGIC, Beside, Index, read_index

SUFFIX = ".pack"


def open_pack(path: str, source: str | None = None) -> Pictures:
    """The pictures of a pack; in the place of the `source` it was packed from, where what was noted there is noted."""
    try:
        with open_regular(path) as file:
            whole = np.memmap(file, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be mapped ({error})") from None
    index = read_index(path, whole)
    reader = Packed(os.path.abspath(path), os.path.abspath(path if source is None else source), index)
    reader.hold()
    if source is not None:
        return of_pack(index, reader).told(notes=index.info.beside.notes, found=index.info.beside)
    return of_pack(index, reader)


def of_pack(index: Index, reader: Packed) -> Pictures:
    """The pictures that an index tells of."""
    info, arrays, shown = index.info, index.arrays, reader.shown
    return Pictures(
        Table(
            reader.names,
            arrays["labels"],
            info.classes,
            {name: arrays[f"split/{name}"] for name in info.splits},
            shown,  # what opens it again
            groups=info.groups,
            hashes=reader.hashes,
            notes=() if index.sealed else (f"{shown}: packed by an earlier version, its index has no checksum",),
            found=Beside(),
        ),
        reader,
    )


class Packed(Ranges):
    """A pack. `hashes` are the sha256 of each original's encoded bytes (of its pixels where it had none)."""

    def __init__(self, path: str, shown: str, index: Index) -> None:
        info, arrays = index.info, index.arrays
        ends, names = arrays["ends"], StringTable.of_blob(arrays["id_ends"], arrays["ids"].tobytes())
        sizes = np.diff(ends, prepend=HEAD)
        super().__init__([path], np.zeros(len(ends), np.uint8), ends - sizes, sizes, names)
        self.shown, self.options, self.encoded = shown, info.options, info.options.encoding != "raw"
        self.hashes: list[str] = [row.tobytes().hex() for row in arrays["hashes"]]
        keys = np.zeros((len(ends), 48), np.uint8)
        keys[:, :16] = arrays["hashes"][:, :16]
        if "pixel_keys" in arrays:  # packs of other encodings, since these are stored
            keys[:, 32:] = arrays["pixel_keys"]
        self.keys: NDArray[np.uint8] = keys
        self._shapes = arrays["shapes"]
        self._stored_keys = arrays.get("stored_keys")  # of other encodings than `original`, since these are stored

    def hold(self) -> None:
        """Keep the file open: another that takes its place is another pack."""
        self._opened(self.files[0])

    def name(self, row: int) -> str:
        """What it is the pack of, and the picture."""
        return f"{self.shown}: {self.names[row]}"

    def raw(self, row: int) -> bytes | None:
        return self.stored(row) if self.encoded else None

    def decode(self, row: int, raw: bytes | None) -> Image:
        if raw is not None:
            return super().decode(row, raw)
        height, width = self._shapes[row]
        return np.frombuffer(self.stored(row), np.uint8).reshape(int(height), int(width), 3)

    def whole(self, row: int) -> bytes:
        """All that the pixels of a picture are made of: how it is stored, its shape, its bytes."""
        return f"{self.options.encoding} {self._shapes[row].tolist()}\n".encode() + self.stored(row)

    def altered(self, row: int) -> bool:
        found = hashlib.sha256(self.stored(row)).digest()
        if self.options.encoding == "original":
            return found.hex() != self.hashes[row]
        stated = bytes(16) if self._stored_keys is None else self._stored_keys[row].tobytes()
        return any(stated) and found[:16] != stated

    def locate(self, rows: Indices) -> tuple[list[str], list[str]]:
        return [str(int(row)) for row in rows], self.files * len(rows)

    def seal(self) -> bytes:
        """Content hashes, and how the pictures are stored."""
        return "".join(self.hashes).encode() + repr(self.options).encode()


def is_pack(path: str) -> bool:
    """Whether a file starts as a pack does."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, UserError):
        return False
