"""The index at the end of a pack: a JSON line and the arrays it names, under a checksum that the head holds.

Packs of before have zeros in the checksum's place. Nothing is believed of either until it has been looked at: where
pictures end, which labels and splits there are, that every array has its kind and length.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ...runtime.opening import DOCUMENT, check_size, parse_json
from ...spec.choices import Encoding
from ...spec.codec import from_json
from ...spec.errors import UserError, check_choice
from ..table import Found

MAGIC, HEAD, FORMAT = b"RSLNPACK", 64, 1
_FIXED = 32  # bytes of the head before the checksum
_LINE = 1 << 30  # bytes of the index's JSON
# Of N pictures: what each array is made of, and its shape; -1 is any length.
_ARRAYS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "ends": ("<i8", ("N",)),
    "shapes": ("<i4", ("N", 2)),
    "labels": ("<i8", ("N",)),
    "hashes": ("|u1", ("N", 32)),
    "id_ends": ("<i8", ("N",)),
    "ids": ("|u1", (-1,)),
    "pixel_keys": ("|u1", ("N", 16)),
    "stored_keys": ("|u1", ("N", 16)),
}
_NEEDED = ("ends", "shapes", "labels", "hashes", "id_ends", "ids")


@dataclass(frozen=True)
class PackOptions:
    """What is stored: `original` bytes, `raw` RGB pixels, or `jpeg` (quality 95, a tenth of raw's size)."""

    encoding: Encoding = "original"
    shorter_side: int | None = None  # larger pictures are reduced to it, antialiased; smaller ones stay

    def __post_init__(self) -> None:
        check_choice("encoding", self.encoding, get_args(Encoding))


@dataclass(frozen=True)
class Beside(Found):
    """What the source held beside its pictures, and what was said of it."""

    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Info:
    """The JSON line."""

    classes: tuple[str, ...]
    options: PackOptions
    fingerprint: str  # of the source
    splits: tuple[str, ...]
    groups: tuple[str, ...] | None
    arrays: tuple[tuple[str, str, tuple[int, ...]], ...]  # name, dtype, shape
    beside: Beside = field(default_factory=Beside)


@dataclass(frozen=True)
class Index:
    """A pack's index after it was checked."""

    info: Info
    arrays: Mapping[str, NDArray[Any]]
    sealed: bool  # whether it has a checksum


class Content(Protocol):
    """The bytes of a file, of which parts are taken: mapped from a disk, or asked of a store."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Any: ...


def read_index(path: str, data: Content) -> Index:
    """The index of the pack whose bytes are `data`. Raises `UserError` for a damaged one and one of a newer format."""
    if len(data) < HEAD or data[: len(MAGIC)].tobytes() != MAGIC:
        raise _damaged(path, "it ends inside its head")
    head = data[:HEAD].tobytes()
    _, version, start, length = struct.unpack("<8sQQQ", head[:_FIXED])
    if version > FORMAT:
        raise UserError(f"{path}: a pack of format {version}; this version reads up to {FORMAT}, update it")
    if start + length != len(data) or start < HEAD:
        raise _damaged(path, f"{len(data):,} bytes where {start + length:,} were written")
    check_size(f"{path}: its index", length, DOCUMENT)
    index = data[start:].tobytes()
    stated = head[_FIXED:]
    if any(stated) and stated != _checksum(head[:_FIXED], index):
        raise _damaged(path, "its index has not the checksum that its head states")
    line = index[:_LINE].partition(b"\n")[0]
    info = from_json(Info, parse_json(line, f"{path}: index"), f"{path}: index")
    arrays = _arrays(path, info, memoryview(index)[len(line) + 1 :])
    _check(path, info, arrays, start)
    return Index(info, arrays, any(stated))


def index_bytes(info: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The index as it stands at the end of a pack."""
    layout = [[name, array.dtype.str, list(array.shape)] for name, array in arrays.items()]
    line = json.dumps({**info, "arrays": layout}, ensure_ascii=True).encode() + b"\n"
    return line + b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())


def head_bytes(start: int, index: bytes) -> bytes:
    """The first 64 bytes of a pack whose `index` stands at `start`."""
    fixed = struct.pack("<8sQQQ", MAGIC, FORMAT, start, len(index))
    return fixed + _checksum(fixed, index)


def _checksum(fixed: bytes, index: bytes) -> bytes:
    sha = hashlib.sha256(fixed)
    sha.update(index)
    return sha.digest()


def _arrays(path: str, info: Info, body: memoryview) -> dict[str, NDArray[Any]]:
    known = _ARRAYS | {f"split/{name}": ("<i8", (-1,)) for name in info.splits}
    counts = [shape[0] for name, _, shape in info.arrays if name == "labels" and len(shape) == 1]
    arrays, at = {}, 0
    for name, dtype, shape in info.arrays:
        if any(side < 0 for side in shape) or dtype not in ("<i8", "<i4", "|u1"):
            raise _damaged(path, f"its index names an array of {dtype} {list(shape)}")
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if name not in known:  # of a later version
            at += size
            continue
        kind, wanted = known[name]
        want = [counts[0] if side == "N" and counts else side for side in wanted]
        right = len(shape) == len(want) and all(w in (-1, side) for side, w in zip(shape, want, strict=True))
        if dtype != kind or not right:
            raise _damaged(path, f"its array {name} is {dtype} {list(shape)}")
        if at + size > len(body):
            raise _damaged(path, f"its array {name} is cut off")
        arrays[name] = np.frombuffer(body[at : at + size], dtype).reshape(shape)
        at += size
    missing = [name for name in (*_NEEDED, *(f"split/{name}" for name in info.splits)) if name not in arrays]
    if missing or at != len(body):
        raise _damaged(path, f"its index lacks {missing[0]}" if missing else "its index has another length")
    return arrays


def _check(path: str, info: Info, arrays: Mapping[str, NDArray[Any]], start: int) -> None:
    """Raise `UserError` unless the arrays can be what a pack says of its pictures."""
    ends, labels, id_ends, count = arrays["ends"], arrays["labels"], arrays["id_ends"], len(arrays["labels"])
    sizes = np.diff(ends, prepend=HEAD)
    if count == 0 or (sizes < 0).any() or ends[-1] != start:
        raise _damaged(path, "its pictures do not end where its index begins")
    if (np.diff(id_ends, prepend=0) < 0).any() or id_ends[-1] != len(arrays["ids"]):
        raise _damaged(path, "its names do not fit their lengths")
    if not 0 <= labels.min() <= labels.max() < len(info.classes):
        raise _damaged(path, f"a label outside its {len(info.classes)} classes")
    for name in info.splits:
        members = arrays[f"split/{name}"]
        if len(members) and not 0 <= members.min() <= members.max() < count:
            raise _damaged(path, f"its split {name} names pictures that are not there")
    if info.groups is not None and len(info.groups) != count:
        raise _damaged(path, f"{len(info.groups)} groups for {count} pictures")
    if info.options.encoding == "raw":
        shapes = arrays["shapes"].astype(np.int64)
        if (shapes < 1).any() or (shapes.prod(axis=1) * 3 != sizes).any():
            raise _damaged(path, "a picture's shape does not fit its bytes")


def _damaged(path: str, how: str) -> UserError:
    return UserError(f"{path}: a damaged pack ({how}); pack the data again")
