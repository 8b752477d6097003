"""What a picture is known by, whatever it is called and wherever it lies: a key of its file and one of its pixels.

    file key    the bytes of the file; of the original, where a pack holds another encoding
    pixel key   the decoded RGB pixels, as `kinds.DECODER` says them; the file key too, where there is no file

Each is the first 16 bytes of the sha256 that `content_hash` makes. Two pictures with one key are the same. Parts are
drawn by the whole hash where somebody computed it, else by a picture's path and size.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..dataset import Dataset, Image, Indices, Progress
from ..table import as_pictures
from ..workers import in_threads

SIZE = 16
FILE, PIXELS, ORIGINAL = slice(0, 16), slice(16, 32), slice(32, 48)  # columns of a row
ROW = 48
Keys = NDArray[np.uint8]  # (N, 16), or (N, 48) as rows; zeros: not known
_CHUNK = 64


def content_hash(content: bytes | Image) -> str:
    """sha256 of an encoded picture's bytes, or of shape and pixels of a decoded one, uint8 (H, W, 3)."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256(repr(content.shape).encode())
    digest.update(np.ascontiguousarray(content).data)
    return digest.hexdigest()


def key_of(content: bytes | Image) -> bytes:
    """The key of an encoded picture's bytes, or of decoded pixels."""
    return bytes.fromhex(content_hash(content)[: 2 * SIZE])


def identities(dataset: Dataset) -> tuple[Literal["content", "path"], list[str]]:
    """("content", hashes) where they are known for all samples, else ("path", relative path and size); a hash that is
    known stands in for path and size there too, so that one unchecked picture renames no other."""
    pictures = as_pictures(dataset)
    hashes = pictures.table.hashes
    if hashes is not None and all(hashes):
        return "content", list(hashes)
    names = list(pictures.ids)
    if pictures.reader.sizes is not None:
        names = [f"{name}:{size}" for name, size in zip(names, pictures.sizes.tolist(), strict=True)]
    return "path", names if hashes is None else [h or name for h, name in zip(hashes, names, strict=True)]


def known(keys: Keys) -> NDArray[np.bool_]:
    """(N,) which rows hold a key."""
    return np.asarray(keys.any(axis=1))


def read_all(
    read: Callable[[int], None], todo: Indices, threads: int | None = None, progress: Progress | None = None
) -> None:
    """`read(i)` for all of `todo`, by so many threads (None: by one a core where there are many); the first error is
    raised."""
    chunks, done = [todo[i : i + _CHUNK] for i in range(0, len(todo), _CHUNK)], 0
    if threads is None and len(chunks) < 4:
        threads = 0

    def some(chunk: Indices) -> int:
        for i in chunk:
            read(int(i))
        return len(chunk)

    with closing(in_threads(some, chunks, threads)) as counts:
        for count in counts:
            done += count
            if progress is not None:
                progress(done, len(todo))


def heads(keys: Keys) -> NDArray[np.int64]:
    """(N,) the first 8 bytes of each key as a number: what a filter of known pictures holds."""
    return np.ascontiguousarray(keys[:, :8]).view("<i8").reshape(-1)


def parts(rows: Keys) -> Iterator[Keys]:
    """The (N, 16) columns of rows: file, pixels, pixels of the original."""
    yield from (rows[:, part] for part in (FILE, PIXELS, ORIGINAL))
