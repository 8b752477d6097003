"""One memory-mapped file with random access: the encoded pictures as they are, or resized once to a shorter side.

Layout: 64 bytes of head (magic, place and length of the index), the pictures one after another, then the index: a JSON
line and the arrays it names. Written to `NAME.part` with a journal beside it, so that a stopped `pack` goes on where it
was, and renamed when whole.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..runtime.opening import open_regular
from ..spec.errors import UserError
from .dataset import Image, Indices
from .decode import decode_bytes
from .found import Found
from .listing import Stray
from .memory import identity_digest
from .strings import StringTable

MAGIC, HEAD, FORMAT = b"RSLNPACK", 64, 1
SUFFIX = ".pack"
Encoding = Literal["original", "raw", "jpeg"]


@dataclass(frozen=True)
class PackOptions:
    """What is stored: `original` bytes, `raw` RGB pixels, or `jpeg` (quality 95, a tenth of raw's size)."""

    encoding: Encoding = "original"
    shorter_side: int | None = None  # larger pictures are reduced to it, antialiased; smaller ones stay


class PackDataset(Found):
    """A pack, opened. `hashes` are the sha256 of each original's encoded bytes (of its pixels where it had none)."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._file = os.path.abspath(path)  # `path` may be renamed to the source this is the pack of
        self._map = _map(path)
        info, arrays = _read_index(path, self._map)
        self.classes = tuple(info["classes"])
        self.options = PackOptions(**info["options"])
        self.beside: Mapping[str, Any] = info.get("beside", {})  # what its source held beside the pictures
        self.source: str = info["fingerprint"]
        self.ids: Sequence[str] = StringTable.of_blob(arrays["id_ends"], arrays["ids"].tobytes())
        self.labels: Indices = arrays["labels"]
        self.splits: Mapping[str, Indices] = {name: arrays[f"split/{name}"] for name in info["splits"]}
        self.groups = tuple(info["groups"]) if info["groups"] is not None else None
        self.hashes: list[str] = [row.tobytes().hex() for row in arrays["hashes"]]
        self.key_rows = np.zeros((len(self.labels), 48), np.uint8)  # as in `keys`: of the originals, as far as known
        self.key_rows[:, :16] = arrays["hashes"][:, :16]
        if "pixel_keys" in arrays:  # packs of other encodings, since these are stored
            self.key_rows[:, 32:] = arrays["pixel_keys"]
        self._ends, self._shapes = arrays["ends"], arrays["shapes"]

    def __len__(self) -> int:
        return len(self.labels)

    def as_source(self, path: str) -> PackDataset:
        """Itself in the place of the source `path` that it was packed from: what was noted there is noted here."""
        self.path = os.path.abspath(path)  # what `open_data` opens again is the source, not its pack
        self.notes, self.problems = tuple(self.beside.get("notes", ())), tuple(self.beside.get("problems", ()))
        self.strays = tuple(Stray(*stray) for stray in self.beside.get("strays", ()))
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
        import hashlib

        digest = hashlib.sha256(identity_digest(self.ids, self.labels, self.classes))
        digest.update("".join(self.hashes).encode() + repr(self.options).encode())
        return digest.hexdigest()[:32]


def is_pack(path: str) -> bool:
    """Whether a file starts as a pack does."""
    try:
        with open_regular(path) as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def _map(path: str) -> np.memmap[Any, np.dtype[np.uint8]]:
    try:
        with open_regular(path) as file:
            return np.memmap(file, np.uint8, "r")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be mapped ({error})") from None


def _read_index(path: str, data: np.memmap[Any, np.dtype[np.uint8]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The JSON line of a pack's index, and the arrays that it describes (views into the map)."""
    try:
        magic, version, start, length = struct.unpack("<8sQQQ", data[:32].tobytes())
        if magic != MAGIC:
            raise UserError(f"{path}: not a pack")
        if version > FORMAT:
            raise UserError(f"{path}: a pack of format {version}; this version reads up to {FORMAT}, update it")
        if start + length != len(data):
            raise ValueError(f"{len(data)} bytes where {start + length} were written")
        line_end = start + int(np.flatnonzero(data[start:] == ord("\n"))[0])
        info = json.loads(data[start:line_end].tobytes())
        arrays, at = {}, line_end + 1
        for name, dtype, shape in info["arrays"]:
            count = int(np.prod(shape)) * np.dtype(dtype).itemsize
            arrays[name] = np.frombuffer(data[at : at + count].tobytes(), dtype).reshape(shape)
            at += count
        return info, arrays
    except (struct.error, ValueError, KeyError, IndexError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: a damaged pack ({error}); pack the data again") from None


def index_bytes(info: dict[str, Any], arrays: Mapping[str, Any]) -> bytes:
    """The index as it stands at the end of a pack."""
    layout = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    line = json.dumps({**info, "arrays": layout}, ensure_ascii=True).encode() + b"\n"
    return line + b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())


def head_bytes(index_start: int, index_length: int) -> bytes:
    """The first 64 bytes of a pack."""
    return struct.pack("<8sQQQ", MAGIC, FORMAT, index_start, index_length).ljust(HEAD, b"\0")
