"""What a picture is known by, whatever it is called and wherever it lies: a key of its file and one of its pixels.

    file key    the bytes of the file; of the original, where a pack holds another encoding
    pixel key   the decoded RGB pixels, as `decode.DECODER` reads them; the file key too, where there is no file

Each is the first 16 bytes of the sha256 that `identity.content_hash` makes. Two pictures with one key are the same.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...spec.choices import OnBadFile
from ...spec.errors import UserError
from ..dataset import Dataset, Image, Indices
from ..memory import ArrayDataset, Subset, root_of
from .key_table import KeyTable, Places, Stamps, places_of, stamp_of

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


def file_keys(dataset: Dataset, *, on_bad_file: OnBadFile = "stop") -> Keys:
    """(N, 16) file keys. Packs, manifests and the table of files read before are asked first, the rest is read.

    A file that cannot be read raises its `UserError`, or has a row of zeros with `skip`.
    """
    noted: Keys | None = getattr(dataset, "rows", None)  # of a `Keyed`, which has asked already
    if noted is not None and known(noted[:, FILE]).all():
        return np.ascontiguousarray(noted[:, FILE])
    source = Source(dataset)
    rows = source.known_rows()
    todo = np.flatnonzero(~known(rows[:, FILE]))
    if len(todo):

        def read(i: int) -> None:
            try:
                raw = source.raw(i)
                image = source.look(i, None) if raw is None else None
                rows[i] = np.frombuffer(source.row(i, raw, image), np.uint8)
            except UserError:
                if on_bad_file == "stop":
                    raise

        read_all(read, todo)
        source.remember(rows, todo)
    return np.ascontiguousarray(rows[:, FILE])


def is_ours(dataset: Dataset) -> bool:
    """Whether the bytes of a source say what it reads: not if somebody else's class changes them on the way."""
    package = __name__.partition(".")[0]
    while True:
        if type(dataset).__module__.partition(".")[0] != package or "read" in vars(dataset):
            return False
        if not isinstance(dataset, Subset):
            return True
        dataset = dataset.source


class Source:
    """The pictures of `dataset` with what is known of their keys; pictures are read once for keys and pixels."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        ours = is_ours(dataset)  # of somebody else's class, what it reads is the picture
        self.root, self.where = root_of(dataset) if ours else (dataset, np.arange(len(dataset), dtype=np.int64))
        root: Any = self.root
        raw_pixels = getattr(getattr(root, "options", None), "encoding", None) == "raw"
        self.encoded = ours and hasattr(root, "raw") and not raw_pixels
        self._stored: NDArray[np.uint8] | None = getattr(root, "key_rows", None)  # (all, 48) of a pack
        self._stamps: Stamps | None = None
        self._places: Places | None = None

    def __len__(self) -> int:
        return len(self.where)

    def known_rows(self) -> Keys:
        """(N, 48) what needs no reading: of a pack, a manifest whose files are as they were, the table."""
        rows = np.zeros((len(self), ROW), np.uint8)
        if self._stored is not None:
            rows[:] = self._stored[self.where]
        elif self._table is not None:
            hashed = _manifest_keys(self.dataset, self.stamps)
            if hashed is not None:
                rows[:, FILE] = hashed
        if self._table is not None and self._places is not None:
            kept = self._table.look_up(self._places, self.stamps)
            for part in (FILE, PIXELS):
                lacking = ~known(rows[:, part])
                rows[lacking, part] = kept[lacking, part]
        return rows

    def raw(self, i: int) -> bytes | None:
        """The encoded bytes of picture `i` as they lie in the source; None for sources of bare pixels."""
        raw: bytes | None = cast(Any, self.root).raw(int(self.where[i])) if self.encoded else None
        return raw

    def decode(self, i: int, raw: bytes | None) -> Image:
        """The pixels of picture `i`, of which `raw` gave the bytes. An unreadable one is a `UserError`."""
        at = int(self.where[i])
        decode = getattr(self.root, "decode", None)
        image: Image = self.root.read(at)[0] if raw is None or decode is None else decode(at, raw)
        return image

    def look(self, i: int, raw: bytes | None) -> Image:
        """`decode`, for the key alone: pixels that lie in memory are taken from there."""
        if isinstance(self.root, ArrayDataset):
            image: Image = self.root.images[int(self.where[i])]
            return image
        return self.decode(i, raw)

    def row(self, i: int, raw: bytes | None, image: Image | None) -> bytes:
        """The 48 bytes of picture `i`'s keys, of which `raw` and `decode` gave what is known (zeros: not known)."""
        pixels = bytes(SIZE) if image is None else pixel_key(image)
        if self._stored is not None:
            stored: bytes = self._stored[int(self.where[i])].tobytes()
            return stored[FILE] + pixels + stored[ORIGINAL]
        return (pixels if raw is None else bytes_key(raw)) + pixels + bytes(SIZE)

    def read(self, i: int) -> tuple[Image, bytes]:
        """Picture `i` decoded, and its row of keys."""
        raw = self.raw(i)
        image = self.decode(i, raw)
        return image, self.row(i, raw, image)

    @property
    def stamps(self) -> Stamps:
        """(N, 4) of the files that hold the pictures, as they were when first asked for: ask before reading them."""
        self._locate()
        return self._stamps if self._stamps is not None else np.full((len(self), 4), -1, np.int64)

    @property
    def _table(self) -> KeyTable | None:
        """The table of this source; None where its pictures lie in no file, so that reading them is no work."""
        self._locate()
        return None if self._places is None or self.root.path is None else KeyTable(self.root.path)

    def _locate(self) -> None:
        root: Any = self.root
        if self._stamps is not None or not hasattr(root, "locate"):
            return
        names, files = root.locate(self.where)
        found = {file: stamp_of(file) for file in dict.fromkeys(files)}
        self._stamps = np.array([found[file] for file in files], np.int64).reshape(len(self), 4)
        self._places = places_of(names)

    def remember(self, rows: Keys, which: Indices) -> None:
        """Put the rows of pictures `which`, read since the stamps were first asked for, into the table."""
        if self._stamps is not None and self._table is not None and self._places is not None and len(which):
            self._table.add(self._places[which], self.stamps[which], rows[which, :32])


def _manifest_keys(dataset: Dataset, stamps: Stamps) -> Keys | None:
    """(N, 16) of a manifest over files that are as they were when it was made; zeros for others."""
    indices = np.arange(len(dataset), dtype=np.int64)
    while isinstance(dataset, Subset):
        hashed_at = getattr(dataset, "hashed_at", None)
        hashes: Sequence[str] | None = getattr(dataset, "hashes", None)
        if hashed_at is not None and hashes is not None:
            since = (stamps[:, 0] >= 0) & (stamps[:, 1:3].max(axis=1, initial=0) <= hashed_at)
            keys = np.zeros((len(indices), SIZE), np.uint8)
            for row in np.flatnonzero(since):
                text = hashes[int(indices[row])]
                if len(text) >= 2 * SIZE:
                    keys[row] = np.frombuffer(bytes.fromhex(text[: 2 * SIZE]), np.uint8)
            return keys
        indices = dataset.indices[indices]
        dataset = dataset.source
    return None


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
