"""A data set that notes the keys of its pictures when they are read, so that nothing is read or decoded for them."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...spec.choices import OnBadFile
from ...spec.errors import UserError
from ..dataset import Dataset, Image
from ..memory import ArrayDataset, Subset
from .keys import FILE, ORIGINAL, PIXELS, ROW, Keys, Source, is_ours, known, read_all


class Keyed(Subset):
    """`dataset` itself; reading picture `i` fills row `i` of `rows` (zeros: not read yet).

    Threads and forked worker processes write into the same memory. A spawned one has its own, and what it read is read
    again by `complete`. With `fixed`, a row that is filled stays, and a picture that became another one is a
    `UserError`: whoever trains on it would otherwise not know what it has trained on.
    """

    def __init__(self, dataset: Dataset, *, fixed: bool = False) -> None:
        super().__init__(dataset, np.arange(len(dataset), dtype=np.int64))
        self.splits = dataset.splits
        self._fixed = fixed and is_ours(dataset)  # somebody else's class may draw anew whenever it reads
        self._reader = Source(dataset)
        self._stamps = self._reader.stamps  # before anything is read
        shared = mmap.mmap(-1, max(len(dataset) * ROW, 1))
        self.rows: Keys = np.frombuffer(shared, np.uint8, len(dataset) * ROW).reshape(len(dataset), ROW)
        self._adopted = np.zeros(len(dataset), bool)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"rows": np.array(self.rows)}

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `i` and its label."""
        image, row = self._reader.read(i)
        self._note(i, np.frombuffer(row, np.uint8))
        return image, int(self.labels[i])

    def _note(self, i: int, row: Keys) -> None:
        """Fill row `i`."""
        if not self._fixed:
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

    def fingerprint(self) -> str:
        """The data set's own."""
        return self.source.fingerprint()

    def recall(self) -> None:
        """Fill in what needs no reading."""
        rows = self._reader.known_rows()
        for part in (FILE, PIXELS, slice(32, ROW)):
            lacking = ~known(self.rows[:, part])
            self.rows[lacking, part] = rows[lacking, part]

    def adopt(self, rows: Keys) -> None:
        """Fill in rows (zeros: not known) of the same pixels in whatever file: not remembered as this one's."""
        self.rows[:] = rows
        self._adopted = known(rows)

    def ask_files(self, which: NDArray[np.int64] | None = None) -> None:
        """Read the files of pictures whose file key is not known, of all or of those at `which`; decode none.

        Pixels in memory are read at once; pictures of another's making, which are in no file, are left for later.
        """
        if self._reader.encoded or isinstance(self._reader.root, ArrayDataset):
            self._fill(FILE, which, "stop")

    def ask_memory(self) -> None:
        """Make the keys of pictures that lie in memory, which nobody need read one by one."""
        if isinstance(self._reader.root, ArrayDataset):
            self.complete()

    def complete(self, which: NDArray[np.int64] | None = None, on_bad_file: OnBadFile = "stop") -> None:
        """Decode the pictures whose pixel key is not known; with `skip` an unreadable one stays without."""
        self._fill(PIXELS, which, on_bad_file)

    def _fill(self, part: slice, which: NDArray[np.int64] | None, on_bad_file: OnBadFile) -> None:
        todo = np.flatnonzero(~known(self.rows[:, part]))
        if which is not None:
            todo = np.intersect1d(todo, which)

        def one(i: int) -> None:
            try:
                raw = self._reader.raw(i)
                image = self._reader.look(i, raw) if part == PIXELS or raw is None else None
            except UserError:
                if on_bad_file == "stop":
                    raise
                return
            row = np.frombuffer(self._reader.row(i, raw, image), np.uint8)
            if image is None:
                self.rows[i, FILE] = row[FILE]
            else:
                self._note(i, row)

        read_all(one, todo)

    def remember(self) -> None:
        """Keep the keys for the next time these files are read."""
        self._reader.remember(self.rows, np.flatnonzero(known(self.rows[:, FILE]) & ~self._adopted))
