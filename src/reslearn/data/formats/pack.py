"""One memory-mapped file with random access: the encoded pictures as they are, or resized once to a shorter side.

Layout: 64 bytes of head (magic, place, length and checksum of the index), the pictures one after another, then the
index (`pack_index`). Written to `NAME.part` with a journal beside it, so that a stopped `pack` goes on where it was,
and renamed when whole.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...runtime.opening import open_regular
from ...spec.errors import UserError
from ..dataset import Image, Indices
from ..layout.found import Found
from ..layout.listing import Stray
from ..memory import identity_digest
from ..pictures.decode import decode_bytes
from ..strings import StringTable
from .pack_index import HEAD, MAGIC, read_index

SUFFIX = ".pack"


class PackDataset(Found):
    """A pack, opened. `hashes` are the sha256 of each original's encoded bytes (of its pixels where it had none)."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._file = os.path.abspath(path)  # `path` may be renamed to the source this is the pack of
        self._map = _map(path)
        index = read_index(path, self._map)
        info, arrays = index.info, index.arrays
        self.classes, self.options, self.source = info.classes, info.options, info.fingerprint
        self.beside = info.beside
        self.notes = () if index.sealed else (f"{path}: packed by an earlier version, its index has no checksum",)
        self.ids: Sequence[str] = StringTable.of_blob(arrays["id_ends"], arrays["ids"].tobytes())
        self.labels: Indices = arrays["labels"]
        self.splits: Mapping[str, Indices] = {name: arrays[f"split/{name}"] for name in info.splits}
        self.groups = info.groups
        self.hashes: list[str] = [row.tobytes().hex() for row in arrays["hashes"]]
        self.key_rows = np.zeros((len(self.labels), 48), np.uint8)  # as in `keys`: of the originals, as far as known
        self.key_rows[:, :16] = arrays["hashes"][:, :16]
        if "pixel_keys" in arrays:  # packs of other encodings, since these are stored
            self.key_rows[:, 32:] = arrays["pixel_keys"]
        self._ends, self._shapes = arrays["ends"], arrays["shapes"]
        self._stored_keys = arrays.get("stored_keys")  # of other encodings than `original`, since these are stored

    def __len__(self) -> int:
        return len(self.labels)

    def as_source(self, path: str) -> PackDataset:
        """Itself in the place of the source `path` that it was packed from: what was noted there is noted here."""
        self.path = os.path.abspath(path)  # what `open_data` opens again is the source, not its pack
        self.notes, self.problems = self.beside.notes, self.beside.problems
        self.strays = tuple(Stray(*stray) for stray in self.beside.strays)
        return self

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_map": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state
        self._map = _map(self._file)

    @property
    def sizes(self) -> Indices:
        """(len,) int64 stored bytes of each picture."""
        return np.asarray(np.diff(self._ends, prepend=HEAD))

    def _slice(self, i: int) -> NDArray[np.uint8]:
        start = int(self._ends[i - 1]) if i else HEAD
        return self._map[start : int(self._ends[i])]

    def raw(self, i: int) -> bytes:
        """The stored bytes of picture `i` (encoded, unless the pack is `raw`)."""
        return self._slice(i).tobytes()

    def stored(self, i: int) -> bytes:
        """All that the pixels of picture `i` are made of: how it is stored, its shape, its bytes."""
        return f"{self.options.encoding} {self._shapes[i].tolist()}\n".encode() + self.raw(i)

    def altered(self, i: int) -> bool:
        """Whether the stored bytes of picture `i` are other ones than were packed, as far as the index can tell."""
        found = hashlib.sha256(self.raw(i)).digest()
        if self.options.encoding == "original":
            return found.hex() != self.hashes[i]
        stated = bytes(16) if self._stored_keys is None else self._stored_keys[i].tobytes()
        return any(stated) and found[:16] != stated

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `i`: a view into the map for a raw pack, decoded otherwise."""
        if self.options.encoding == "raw":
            height, width = self._shapes[i]
            return np.asarray(self._slice(i)).reshape(int(height), int(width), 3), int(self.labels[i])
        return self.decode(i, self.raw(i)), int(self.labels[i])

    def decode(self, i: int, raw: bytes) -> Image:
        """The pixels of picture `i`, given its stored bytes; not of a `raw` pack."""
        return decode_bytes(raw, f"{self.path}: {self.ids[i]}")

    def locate(self, indices: Indices) -> tuple[list[str], list[str]]:
        """For each picture of `indices` a name of its place in this source, and the file it lies in."""
        return [str(int(i)) for i in indices], [self._file] * len(indices)

    def fingerprint(self) -> str:
        """Digest of content hashes, identities, labels and how the pictures are stored."""
        digest = hashlib.sha256(identity_digest(self.ids, self.labels, self.classes))
        digest.update("".join(self.hashes).encode() + repr(self.options).encode())
        return digest.hexdigest()[:32]


def is_pack(path: str) -> bool:
    """Whether a file starts as a pack does."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, UserError):
        return False


def _map(path: str) -> np.memmap[Any, np.dtype[np.uint8]]:
    try:
        with open_regular(path) as file:
            return np.memmap(file, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be mapped ({error})") from None
