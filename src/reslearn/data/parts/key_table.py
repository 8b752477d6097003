"""Keys of files that were read before, in the user's cache: a file that did not change need not be read for them again.

An entry holds for one path with one size, time of change, time of status change and inode. Where any of them differs,
or the table is damaged, the file is read anew; nothing is ever believed of it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ...runtime.files import user_cache, write_atomic
from ...runtime.opening import DOCUMENT, read_regular
from ...spec.errors import UserError
from ..pictures.kinds import DECODER

Places = NDArray[np.int64]  # (n,) one number per place in a source: a path, an offset in a shard
Stamps = NDArray[np.int64]  # (n, 4): size, mtime_ns, ctime_ns, inode; a negative size: no such file
_MAGIC = b"RSLNKEYS"
_FRESH = 2_000_000_000  # ns: a file changed this lately might change again within one tick of the file system's clock
_ENTRY = np.dtype([("place", "<i8"), ("stamp", "<i8"), ("keys", "u1", 32)])


def places_of(names: Iterable[str]) -> Places:
    """One 64-bit number per name."""
    digests = (hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=8).digest() for name in names)
    return np.frombuffer(b"".join(digests), "<i8")


def stamp_of(path: str) -> tuple[int, int, int, int]:
    """(size, mtime_ns, ctime_ns, inode) of a file; a size of -1 for one that is gone."""
    try:
        found = os.stat(path)
    except OSError:
        return -1, 0, 0, 0
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


class KeyTable:
    """The table of the source at `path`: rows of 32 bytes, the file's key and its pixels' (zeros: not known)."""

    def __init__(self, path: str) -> None:
        name = hashlib.sha256(os.path.abspath(path).encode(errors="surrogateescape")).hexdigest()[:24]
        self._file = user_cache() / "keys" / name

    def look_up(self, places: Places, stamps: Stamps) -> NDArray[np.uint8]:
        """(n, 32) uint8; a row of zeros where nothing is known of this place with this stamp."""
        rows = np.zeros((len(places), 32), np.uint8)
        entries = self._read()
        if len(entries):
            at = np.minimum(np.searchsorted(entries["place"], places), len(entries) - 1)
            same = (entries["place"][at] == places) & (entries["stamp"][at] == _mixed(stamps)) & (stamps[:, 0] >= 0)
            rows[same] = entries["keys"][at[same]]
        return rows

    def add(self, places: Places, stamps: Stamps, rows: NDArray[np.uint8]) -> None:
        """Keep rows for their places, in place of what was there. A cache that cannot be written is no error.

        `stamps` must have been taken before the files were read. Files changed in the last two seconds are left out.
        """
        settled = (stamps[:, 0] >= 0) & (stamps[:, 1:3].max(axis=1, initial=0) < time.time_ns() - _FRESH)
        if not settled.any():
            return
        new = np.empty(int(settled.sum()), _ENTRY)
        new["place"], new["stamp"], new["keys"] = places[settled], _mixed(stamps[settled]), rows[settled]
        old = self._read()
        together = np.concatenate([new, old])  # of each place the first stays
        together = together[np.unique(together["place"], return_index=True)[1]]
        body = f"{DECODER}\n".encode() + together.tobytes()
        with contextlib.suppress(OSError, ValueError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self._file, _MAGIC + hashlib.sha256(body).digest() + body)

    def _read(self) -> NDArray[np.void]:
        """The entries, sorted by place; none where the table is absent, damaged, or of another decoder."""
        nothing = np.empty(0, _ENTRY)
        try:
            content = read_regular(self._file, DOCUMENT)
        except (OSError, UserError):
            return nothing
        start = len(_MAGIC)
        body = memoryview(content)[start + 32 :]
        if content[:start] != _MAGIC or hashlib.sha256(body).digest() != content[start : start + 32]:
            return nothing
        line = bytes(body[:12]).partition(b"\n")[0]
        if line != str(DECODER).encode() or (len(body) - len(line) - 1) % _ENTRY.itemsize:
            return nothing
        return np.frombuffer(body[len(line) + 1 :], _ENTRY)


def _mixed(stamps: Stamps) -> NDArray[np.int64]:
    """(n,) the four numbers of a stamp as one of 64 bits."""
    mixed = np.zeros(len(stamps), np.uint64)
    for column in stamps.T.astype(np.uint64):
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed.view(np.int64)
