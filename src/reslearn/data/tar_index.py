"""The members of a plain tar: name, offset, size. Reads 512 bytes per member, nothing else (a million in seconds)."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..spec.errors import UserError

BLOCK = 512


def members(path: str) -> Iterator[tuple[str, int, int]]:
    """(name, offset of the data, size) of every regular file; ustar, GNU long names and PAX paths and sizes.

    Raises `UserError` for a damaged or truncated archive, naming the offset.
    """
    total = os.path.getsize(path)
    with open(path, "rb") as tar:
        at, long_name, long_size = 0, None, None
        while at + BLOCK <= total:
            tar.seek(at)
            head = tar.read(BLOCK)
            if head == bytes(BLOCK):
                return
            size = _number(head[124:136])
            if size is None or not _checksum_holds(head):
                raise UserError(f"{path}: damaged at byte {at} (no tar header there)")
            kind, data = head[156:157], at + BLOCK
            if kind in b"xL":
                tar.seek(data)
                extra = tar.read(size)
                if kind == b"L":
                    long_name = extra.rstrip(b"\0").decode(errors="surrogateescape")
                else:
                    fields = _pax(extra)
                    long_name = fields.get("path", long_name)
                    long_size = int(fields["size"]) if "size" in fields else long_size
            else:
                size = long_size if long_size is not None else size
                if kind in (b"0", b"\0", b"7"):
                    if data + size > total:
                        raise UserError(f"{path}: ends in the middle of {long_name or _name(head)} (truncated)")
                    yield long_name or _name(head), data, size
                long_name = long_size = None
            at = data + -(-size // BLOCK) * BLOCK
    raise UserError(f"{path}: it has no end mark (truncated); fetch or write it again")


def _name(head: bytes) -> str:
    name, prefix = head[:100].split(b"\0")[0], head[345:500].split(b"\0")[0]
    whole = prefix + b"/" + name if prefix and head[257:262] == b"ustar" else name
    return whole.decode(errors="surrogateescape")


def _number(field: bytes) -> int | None:
    if field[0] & 0x80:  # base 256, for files over 8 GiB
        return int.from_bytes(field, "big") & (1 << 88) - 1
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError:
        return None


def _checksum_holds(head: bytes) -> bool:
    return _number(head[148:156]) == sum(head[:148]) + 8 * 32 + sum(head[156:])


def _pax(data: bytes) -> dict[str, str]:
    fields, at = {}, 0
    while at < len(data):
        length = int(data[at : data.index(b" ", at)])
        key, _, value = data[data.index(b" ", at) + 1 : at + length - 1].partition(b"=")
        fields[key.decode()] = value.decode(errors="surrogateescape")
        at += length
    return fields
