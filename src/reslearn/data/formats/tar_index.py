"""Tar archives. The members of a plain one: name, offset, size; 512 bytes are read of each (a million in seconds)."""

from __future__ import annotations

import lzma
import os
import posixpath
import tarfile
import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

from ...runtime.opening import open_regular
from ...spec.errors import UserError, some
from ...spec.text import counted
from ..layout.archives import PACKED
from ..layout.listing import in_clutter

BLOCK = 512
DAMAGED = (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError)  # what reading a damaged archive raises
_MOST = 1 << 24  # bytes of an extended header; names have some hundred


class Entry(NamedTuple):
    """One header: `kind` is tar's own letter, `link` where a link leads; sparse files have the kind S."""

    kind: bytes
    name: str
    link: str
    offset: int  # of the data
    size: int


@dataclass
class Index:
    """What an archive holds, clutter aside. Names are as the archive has them; `clean` makes paths of them."""

    files: list[tuple[str, int, int]] = field(default_factory=list)  # name, offset, size; links stand for their target
    folders: set[str] = field(default_factory=set)  # clean paths
    notes: list[str] = field(default_factory=list)  # what is not read


def read_index(path: str) -> Index:
    """Files, links followed to theirs, and folders. Raises `UserError` for a damaged or truncated archive."""
    found, targets, sparse = Index(), {}, []
    for entry in entries(path):
        name = clean(entry.name)
        if entry.kind == b"5":
            found.folders.add(name)
        elif entry.kind in (b"1", b"2"):
            start = posixpath.dirname(name) if entry.kind == b"2" and entry.link[:1] != "/" else ""
            targets[name] = clean(posixpath.join(start, entry.link))
        elif entry.kind == b"S":
            sparse.append(name)
        elif entry.kind == b"0":
            found.files.append((entry.name, entry.offset, entry.size))
    lost = _follow(found, targets) if targets else []
    # Clutter goes last: what versions data, such as git-annex or DVC, links to files in a hidden folder.
    found.files = [file for file in found.files if not in_clutter(clean(file[0]))]
    found.folders = {folder for folder in found.folders if not in_clutter(folder)}
    for what, where, names in (("link", " to nothing in the archive", lost), ("sparse file", "", sparse)):
        names = [name for name in names if not in_clutter(name.split(" -> ")[0])]
        if names:
            found.notes.append(f"{path}: {counted(len(names), what)}{where}, not read: {some(names)}")
    return found


def clean(name: str) -> str:
    """A member's path without `./`, doubled or leading slashes."""
    return posixpath.normpath(name.lstrip("/")) if name.strip("/") else "."


def _follow(found: Index, targets: Mapping[str, str]) -> list[str]:
    """Add the files that links stand for, those of linked folders too; returns the links that lead nowhere.

    A link inside a linked folder is not followed again, so that no ring of links has an end to look for.
    """
    files = {clean(name): (offset, size) for name, offset, size in found.files}
    ends = {name: _end(name, targets) for name in targets}
    linked = {name: files[end] for name, end in ends.items() if end in files}
    found.files += [(name, *place) for name, place in linked.items()]
    whole, lost = files | linked, []
    names, inner = sorted(whole), sorted(set(targets) - linked.keys())
    for name in inner:
        end = ends[name]
        ring = end is None or f"{name}/".startswith(f"{end}/")
        below = [] if ring else list(beneath(names, f"{end}"))
        found.files += [(name + file[len(f"{end}") :], *whole[file]) for file in below]
        if not below:
            lost.append(f"{name} -> {targets[name]}")
        else:
            lost += [name + other[len(f"{end}") :] for other in beneath(inner, f"{end}")]
    return lost


def beneath(names: Sequence[str], folder: str) -> Sequence[str]:
    """Those of the sorted `names` that lie below `folder`; all of them below the root, which is empty."""
    return names[bisect_left(names, f"{folder}/") : bisect_left(names, f"{folder}0")] if folder else names


def _end(name: str, targets: Mapping[str, str]) -> str | None:
    """The path that a link means at the end of all links, those of folders above it included; None for a ring."""
    for _ in range(20):
        parts = name.split("/")
        steps = ("/".join(parts[:i]) for i in range(1, len(parts) + 1))
        link = next((step for step in steps if step in targets), None)
        if link is None:
            return name
        name = clean(targets[link] + name[len(link) :])
    return None


def entries(path: str) -> Iterator[Entry]:
    """Every header of a tar: ustar, GNU long names and links, PAX paths, links and sizes.

    Raises `UserError` for a damaged or truncated archive, naming the offset.
    """
    with open_regular(path) as tar:
        total = os.fstat(tar.fileno()).st_size
        at = 0
        said: dict[str, str] = {}  # by headers before the one they are about
        while at + BLOCK <= total:
            tar.seek(at)
            head = tar.read(BLOCK)
            if head == bytes(BLOCK):
                return
            kind, size, data = head[156:157], _number(head[124:136]), at + BLOCK
            if size is None or _number(head[148:156]) != sum(head[:148]) + 8 * 32 + sum(head[156:]):
                raise UserError(f"{path}: damaged at byte {at} (no tar header there)")
            if kind in b"xXLK":
                said |= _said(tar, kind, size, f"{path}: damaged at byte {at} (no extended header there)")
            elif kind != b"g":
                entry = _entry(tar, head, data, said)
                kind, name, _, data, size = entry
                if data + size > total:
                    raise UserError(f"{path}: ends in the middle of {name} (truncated)")
                yield entry
                said = {}
            at = data + -(-size // BLOCK) * BLOCK
    raise UserError(f"{path}: it has no end mark (truncated); fetch or write it again")


def open_tar(file: BinaryIO) -> tarfile.TarFile:
    """The archive in an opened file, plain or compressed, as its first bytes say. Raises `tarfile.TarError` for none.

    Left to itself, `tarfile` tries every compression, and of a large file of zeros one of them reads all.
    """
    start = file.read(6)
    file.seek(0)
    kind = next((kind for magic, kind in PACKED.items() if start.startswith(magic)), "")
    mode: Any = f"r:{kind}"
    return tarfile.open(fileobj=_LittlePadding(file) if kind == "gz" else file, mode=mode)


class _LittlePadding:
    """A gzip file that ends after a megabyte of zeros behind its data: Python reads these one by one, if need be a
    terabyte of them."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._zeros = file, 0

    def read(self, size: int = -1) -> bytes:
        """As the file's own."""
        if self._zeros > 1 << 20:
            return b""
        found = self._file.read(size)
        self._zeros = self._zeros + 1 if size == 1 and found == b"\0" else 0
        return found

    def seek(self, place: int, start: int = 0) -> int:
        """As the file's own."""
        self._zeros = 0
        return self._file.seek(place, start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _said(tar: BinaryIO, kind: bytes, size: int, damaged: str) -> dict[str, str]:
    """What a header that extends the next one says: PAX fields, or GNU's long name or link."""
    if size > _MOST:
        raise UserError(damaged)
    extra = tar.read(size)
    if kind in b"LK":
        return {"path" if kind == b"L" else "linkpath": _text(extra)}
    try:
        fields = _pax(extra)
        if int(fields.get("size", "0")) >= 0:
            return fields
    except ValueError:
        pass
    raise UserError(damaged)


def _entry(tar: BinaryIO, head: bytes, data: int, said: Mapping[str, str]) -> Entry:
    """The entry of a header, under what was said before it."""
    kind, size = head[156:157], int(said.get("size", _number(head[124:136]) or 0))
    kind, name = b"0" if kind in b"\0" + b"7" else kind, said.get("path") or _name(head)
    if kind in b"123456":
        size = 0  # links, folders and devices have no data, whatever their size says
    elif kind == b"S":
        data = _after_map(tar, head, data)
    elif "GNU.sparse.major" in said or "GNU.sparse.size" in said:
        kind, name = b"S", said.get("GNU.sparse.name", name)
    return Entry(kind, name, said.get("linkpath") or _text(head[157:257]), data, size)


def _after_map(tar: BinaryIO, head: bytes, data: int) -> int:
    """Where the data begins: an old GNU sparse file may have more blocks of its map before it."""
    more = head[482]
    while more:
        tar.seek(data)
        block = tar.read(BLOCK)
        more, data = len(block) == BLOCK and block[504], data + BLOCK
    return data


def _text(field: bytes) -> str:
    return field.split(b"\0")[0].decode(errors="surrogateescape")


def _name(head: bytes) -> str:
    name, prefix = head[:100].split(b"\0")[0], head[345:500].split(b"\0")[0]
    whole = prefix + b"/" + name if prefix and head[257:262] == b"ustar" else name
    return whole.decode(errors="surrogateescape")


def _number(field: bytes) -> int | None:
    if field[0] & 0x80:  # base 256, for files over 8 GiB
        return int.from_bytes(field, "big") & (1 << 88) - 1
    digits = field.strip(b" \0")
    return None if digits.strip(b"01234567") else int(digits or b"0", 8)


def _pax(data: bytes) -> dict[str, str]:
    fields, at = {}, 0
    while at < len(data):
        length = int(data[at : data.index(b" ", at)])
        if length <= 0:
            raise ValueError(length)
        key, _, value = data[data.index(b" ", at) + 1 : at + length - 1].partition(b"=")
        fields[key.decode()] = value.decode(errors="surrogateescape")
        at += length
    return fields
