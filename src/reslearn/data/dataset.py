"""What every source of pictures, a user's own too, looks like to the house: `len` and `read(i)`, and a few facts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # (height, width, 3), RGB
Indices = NDArray[np.int64]
Progress = Callable[[int, int], None]  # told (done, in all)


class Dataset(Protocol):
    """Labelled pictures with random access. Reading is pure: the same `i` gives the same bytes in any process."""

    @property
    def path(self) -> str | None:
        """What `open_data` would open again (the user's DATA), or None for pictures that live in memory alone."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in label order (lexical for folders)."""
        ...

    @property
    def ids(self) -> Sequence[str]:
        """One stable identity per picture: its relative path, or `archive:index`."""
        ...

    @property
    def labels(self) -> Indices:
        """(len,) int64 class indices."""
        ...

    @property
    def splits(self) -> Mapping[str, Indices]:
        """Indices of the splits the data itself declares (`train`, `val`, `test`); empty when it declares none."""
        ...

    def fingerprint(self) -> str:
        """Hexadecimal digest of identities, labels and sizes; changes when the data does."""
        ...

    def __len__(self) -> int: ...

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `i` as RGB uint8 (height, width, 3), and its label. Raises `UserError` naming an unreadable file."""
        ...
