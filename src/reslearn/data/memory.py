"""Pictures that lie in memory as one uint8 array, and the part of any data set that a list of indices picks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..spec.errors import UserError, unknown
from .dataset import Dataset, Image, Indices
from .strings import StringTable


class ArrayDataset:
    """Pictures of one size held as uint8 (N, H, W, 3), RGB."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: Indices,
        *,
        classes: Sequence[str],
        ids: Sequence[str],
        splits: Mapping[str, Indices] | None = None,
        path: str | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise UserError(f"pictures must be uint8 (N, H, W, 3); found {images.dtype} {images.shape}")
        if not len(images) == len(labels) == len(ids):
            raise UserError(f"{len(images)} pictures, {len(labels)} labels and {len(ids)} identities do not match")
        self.images = images
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = tuple(classes)
        self.ids = ids
        self.splits: Mapping[str, Indices] = dict(splits or {})
        self.path = path
        self.notes = tuple(notes)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `i` (a view) and its label."""
        return self.images[i], int(self.labels[i])

    def fingerprint(self) -> str:
        """Digest of identities, labels and every pixel."""
        digest = hashlib.sha256(identity_digest(self.ids, self.labels, self.classes))
        digest.update(hashlib.blake2b(np.ascontiguousarray(self.images).data).digest())
        return digest.hexdigest()[:32]


class Subset:
    """The samples of `dataset` that `indices` name, in that order. It declares no splits of its own."""

    def __init__(self, dataset: Dataset, indices: Iterable[int] | Indices) -> None:
        self.source = dataset
        self.indices: Indices = np.asarray(
            indices if isinstance(indices, np.ndarray) else list(indices), dtype=np.int64
        ).reshape(-1)
        if len(self.indices) and not 0 <= self.indices.min() <= self.indices.max() < len(dataset):
            raise UserError(f"subset indices must lie in 0..{len(dataset) - 1}")
        self.classes = dataset.classes
        self.labels: Indices = dataset.labels[self.indices]
        self.path = dataset.path
        self.splits: Mapping[str, Indices] = {}

    @property
    def ids(self) -> Sequence[str]:
        """Identities of the chosen samples."""
        return _Picked(self.source.ids, self.indices)

    def __len__(self) -> int:
        return len(self.indices)

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `indices[i]` of the whole."""
        return self.source.read(int(self.indices[i]))

    def fingerprint(self) -> str:
        """Digest of the whole's fingerprint and the chosen indices."""
        return hashlib.sha256(self.source.fingerprint().encode() + self.indices.tobytes()).hexdigest()[:32]


class _Picked(Sequence[str]):
    """Strings picked by index when asked for: a subset of a million samples costs no copies."""

    def __init__(self, ids: Sequence[str], indices: Indices) -> None:
        self._ids, self._indices = ids, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i: int) -> str:  # type: ignore[override]
        return self._ids[int(self._indices[i])]


def identity_digest(ids: Iterable[str], labels: Indices, classes: Sequence[str]) -> bytes:
    """sha256 of class names, identities and labels: what every fingerprint starts from."""
    digest = hashlib.sha256("\0".join(classes).encode(errors="surrogateescape"))
    digest.update(np.asarray(labels, dtype="<i8").tobytes())
    ends, blob = (ids if isinstance(ids, StringTable) else StringTable(ids)).blob
    digest.update(ends.astype("<i8").tobytes() + blob)
    return digest.digest()


def root_of(dataset: Dataset) -> tuple[Dataset, Indices]:
    """The data set under any nest of `Subset`s, and the indices into it."""
    indices: Indices = np.arange(len(dataset), dtype=np.int64)
    while isinstance(dataset, Subset):
        indices = dataset.indices[indices]
        dataset = dataset.source
    return dataset, indices


def part(dataset: Dataset, split: str | None) -> Dataset:
    """The declared split `split` of a data set as a `Subset`, or the whole for None."""
    if split is None:
        return dataset
    if split not in dataset.splits:
        if not dataset.splits:
            raise UserError(f"{dataset.path}: it declares no splits, so there is no '{split}'; leave --split out")
        raise UserError(f"{dataset.path}: {unknown('split', split, sorted(dataset.splits))}")
    return Subset(dataset, dataset.splits[split])
