"""What a picture is known by, whatever it is called and wherever it lies: a key of its file and one of its pixels.

    file key    the bytes of the file; of the original, where a pack holds another encoding
    pixel key   the decoded RGB pixels, as `decode.DECODER` reads them; the file key too, where there is no file

Each is the first 16 bytes of the sha256 that `identity.content_hash` makes. Two pictures with one key are the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ..dataset import Image, Indices

SIZE = 16
FILE, PIXELS, ORIGINAL = slice(0, 16), slice(16, 32), slice(32, 48)  # columns of a row
ROW = 48
Keys = NDArray[np.uint8]  # (N, 16), or (N, 48) as rows; zeros: not known
_CHUNK = 64


def bytes_key(raw: bytes) -> bytes:
    """The key of an encoded picture's bytes."""
    return hashlib.sha256(raw).digest()[:SIZE]


def pixel_key(image: Image) -> bytes:
    """The key of decoded RGB pixels, uint8 (H, W, 3)."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.digest()[:SIZE]


def known(keys: Keys) -> NDArray[np.bool_]:
    """(N,) which rows hold a key."""
    return np.asarray(keys.any(axis=1))


def read_all(read: Callable[[int], None], todo: Indices) -> None:
    """`read(i)` for all of `todo`, by threads where there are many; the first error is raised."""
    chunks = [todo[i : i + _CHUNK] for i in range(0, len(todo), _CHUNK)]

    def some(chunk: Indices) -> None:
        for i in chunk:
            read(int(i))

    if len(chunks) < 4:
        for chunk in chunks:
            some(chunk)
        return
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        try:
            for _ in pool.map(some, chunks):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def heads(keys: Keys) -> NDArray[np.int64]:
    """(N,) the first 8 bytes of each key as a number: what a filter of known pictures holds."""
    return np.ascontiguousarray(keys[:, :8]).view("<i8").reshape(-1)


def parts(rows: Keys) -> Iterator[Keys]:
    """The (N, 16) columns of rows: file, pixels, pixels of the original."""
    yield from (rows[:, part] for part in (FILE, PIXELS, ORIGINAL))
