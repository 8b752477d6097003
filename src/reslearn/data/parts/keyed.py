"""A data set that notes the keys of its pictures when they are read, so that nothing is read or decoded for them."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from ...spec.choices import OnBadFile
from ...spec.errors import UserError
from ..dataset import Dataset, Image, Indices
from ..memory import View
from ..table import Pictures
from .key_table import KeyTable, Places, Stamps, places_of, stamp_of
from .keys import FILE, ORIGINAL, PIXELS, ROW, SIZE, Keys, key_of, known, read_all


class Keyed(View):
    """`dataset` itself; reading picture `i` fills row `i` of `rows` (zeros: not read yet).

    Threads and forked worker processes write into the same memory. A spawned one has its own, and what it read is read
    again by `complete`. With `fixed`, a row that is filled stays, and a picture that became another one is a
    `UserError`: whoever trains on it would otherwise not know what it has trained on. Somebody else's class may draw
    anew whenever it reads: then `drawn` says so.
    """

    def __init__(self, dataset: Dataset, *, fixed: bool = False) -> None:
        super().__init__(dataset, splits=dataset.splits)
        self._fixed = fixed and self.reader.ours
        keys, path = self.reader.keys, self.root.path
        self._stored = None if keys is None else keys[self.where]
        self._places, self.stamps = located(self)  # as the files are before anything is read
        self._table = None if path is None or (self.stamps[:, 0] < 0).all() else KeyTable(path)
        shared = np.frombuffer(mmap.mmap(-1, len(dataset) * ROW + 1), np.uint8)
        self.rows: Keys = shared[:-1].reshape(len(dataset), ROW)
        self._drawn = shared[-1:]
        self._adopted = np.zeros(len(dataset), bool)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"rows": np.array(self.rows), "_drawn": np.array(self._drawn)}

    @property
    def drawn(self) -> bool:
        """Whether a picture was read as two contents."""
        return bool(self._drawn[0])

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `i` and its label."""
        raw = self.raw(i)
        image = self.decode(i, raw)
        self._note(i, self._row(i, raw, image))
        return image, int(self.labels[i])

    def _row(self, i: int, raw: bytes | None, image: Image | None) -> Keys:
        """(48,) the keys of picture `i`, of whose file and pixels either may be unknown."""
        pixels = bytes(SIZE) if image is None else key_of(image)
        if self._stored is not None:
            row = self._stored[i, FILE].tobytes() + pixels + self._stored[i, ORIGINAL].tobytes()
        else:
            row = (pixels if raw is None else key_of(raw)) + pixels + bytes(SIZE)
        return np.frombuffer(row, np.uint8)

    def _note(self, i: int, row: Keys) -> None:
        """Fill row `i`."""
        if not self._fixed:
            if self.rows[i, PIXELS].any() and (self.rows[i, PIXELS] != row[PIXELS]).any():
                self._drawn[0] = 1
            self.rows[i] = row
            return
        before = self.rows[i].copy()
        column = PIXELS if before[PIXELS].any() else FILE
        if before[column].any() and (before[column] != row[column]).any():
            where = "" if self.path is None else f"{self.path}: "
            raise UserError(
                f"{where}{self.ids[i]} became another picture while the run was trained; put it back and resume"
            )
        for part in (FILE, PIXELS, ORIGINAL):
            if not before[part].any():
                self.rows[i, part] = row[part]

    def recall(self) -> None:
        """Fill in what needs no reading: of a pack, a manifest whose files are as they were, the table."""
        if self._stored is not None:
            self._fill_in(self._stored)
        elif self._table is not None:
            self._fill_in(np.pad(self._told_keys(), ((0, 0), (0, ROW - SIZE))))
        if self._table is not None:
            self._fill_in(np.pad(self._table.look_up(self._places, self.stamps), ((0, 0), (0, ROW - 2 * SIZE))))

    def _fill_in(self, rows: Keys) -> None:
        for part in (FILE, PIXELS, ORIGINAL):
            lacking = ~known(self.rows[:, part])
            self.rows[lacking, part] = rows[lacking, part]

    def _told_keys(self) -> Keys:
        """(N, 16) of a manifest over files that are as they were when it was made; zeros for others."""
        keys, hashes, at = np.zeros((len(self), SIZE), np.uint8), self.table.hashes, self.table.hashed_at
        if hashes is not None and at is not None:
            for i in np.flatnonzero((self.stamps[:, 0] >= 0) & (self.stamps[:, 1:3].max(axis=1, initial=0) <= at)):
                text = hashes[int(i)]
                if len(text) >= 2 * SIZE:
                    keys[i] = np.frombuffer(bytes.fromhex(text[: 2 * SIZE]), np.uint8)
        return keys

    def adopt(self, rows: Keys) -> None:
        """Fill in rows (zeros: not known) of the same pixels in whatever file: not remembered as this one's."""
        self.rows[:] = rows
        self._adopted = known(rows)

    def ask_files(self, which: Indices | None = None) -> None:
        """Read the files of pictures whose file key is not known, of all or of those at `which`; decode none.

        Pixels in memory are read at once; pictures of another's making, which are in no file, are left for later.
        """
        if self.reader.encoded or self.reader.images is not None:
            self.fill(FILE, which, "stop")

    def ask_memory(self) -> None:
        """Make the keys of pictures that lie in memory, which nobody need read one by one."""
        if self.reader.images is not None:
            self.complete()

    def complete(self, which: Indices | None = None, on_bad_file: OnBadFile = "stop") -> None:
        """Decode the pictures whose pixel key is not known; with `skip` an unreadable one stays without."""
        self.fill(PIXELS, which, on_bad_file)

    def fill(self, part: slice, which: Indices | None, on_bad_file: OnBadFile) -> None:
        """Make the keys that are not known of `part`, `FILE` or `PIXELS`, of all pictures or of those at `which`."""
        todo = np.flatnonzero(~known(self.rows[:, part]))
        if which is not None:
            todo = np.intersect1d(todo, which)

        def one(i: int) -> None:
            try:
                raw = self.raw(i)
                image = self.decode(i, raw) if part == PIXELS or raw is None else None
            except UserError:
                if on_bad_file == "stop":
                    raise
                return
            row = self._row(i, raw, image)
            if image is None:
                self.rows[i, FILE] = row[FILE]
            else:
                self._note(i, row)

        read_all(one, todo, self.reader.threads or None)

    def remember(self, which: Indices | None = None) -> None:
        """Keep the keys, of all or of those at `which`, for the next time these files are read."""
        if which is None:
            which = np.flatnonzero(known(self.rows[:, FILE]) & ~self._adopted)
        if self._table is not None and len(which):
            self._table.add(self._places[which], self.stamps[which], self.rows[which, : 2 * SIZE])


def file_keys(dataset: Dataset, *, on_bad_file: OnBadFile = "stop") -> Keys:
    """(N, 16) file keys. Packs, manifests and the table of files read before are asked first, the rest is read.

    A file that cannot be read raises its `UserError`, or has a row of zeros with `skip`.
    """
    keyed = Keyed(dataset)
    keyed.recall()
    todo = np.flatnonzero(~known(keyed.rows[:, FILE]))
    keyed.fill(FILE, todo, on_bad_file)
    keyed.remember(todo)
    return np.ascontiguousarray(keyed.rows[:, FILE])


def located(pictures: Pictures) -> tuple[Places, Stamps]:
    """(len,) and (len, 4): where each picture lies, and its file as it is now; of those in no file, nothing."""
    names, files = pictures.reader.locate(pictures.where) or ([], [])
    found = {file: pictures.reader.stamp(file) or stamp_of(file) for file in dict.fromkeys(files)}
    stamps = [found[file] for file in files] or [(-1,) * 4] * len(pictures)
    return places_of(names), np.array(stamps, np.int64).reshape(-1, 4)
