"""Pictures that lie in memory as one uint8 array, and the part of any data set that a list of indices picks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec.errors import UserError, unknown
from ..spec.preprocess import Preprocess
from .dataset import Dataset, Image, Indices
from .table import Pictures, Reader, Table, as_pictures


class ArrayDataset(Pictures):
    """Pictures of one size held as uint8 (N, H, W, 3), RGB; `prepared` says what they have gone through already."""

    def __init__(
        self,
        images: NDArray[np.uint8],
        labels: Indices,
        *,
        classes: Sequence[str],
        ids: Sequence[str],
        splits: Mapping[str, Indices] | None = None,
        path: str | None = None,
        prepared: Preprocess | None = None,
    ) -> None:
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise UserError(f"pictures must be uint8 (N, H, W, 3); found {images.dtype} {images.shape}")
        if not len(images) == len(labels) == len(ids):
            raise UserError(f"{len(images)} pictures, {len(labels)} labels and {len(ids)} identities do not match")
        table = Table(ids, np.asarray(labels, dtype=np.int64), tuple(classes), dict(splits or {}), path)
        super().__init__(table, _Arrays(images, prepared))
        self.images = images


class _Arrays(Reader):
    def __init__(self, images: NDArray[np.uint8], prepared: Preprocess | None) -> None:
        self.images: NDArray[np.uint8] = images
        self.prepared = prepared

    def decode(self, row: int, raw: bytes | None) -> Image:
        image: Image = self.images[row]  # a view
        return image

    def seal(self) -> bytes:
        return hashlib.blake2b(np.ascontiguousarray(self.images).data).digest()


class Subset(Pictures):
    """The samples of `dataset` that `indices` name, in that order. It declares no splits of its own."""

    def __init__(self, dataset: Dataset, indices: Iterable[int] | Indices) -> None:
        self.source = as_pictures(dataset)
        self.indices: Indices = np.asarray(
            indices if isinstance(indices, np.ndarray) else list(indices), dtype=np.int64
        ).reshape(-1)
        if len(self.indices) and not 0 <= self.indices.min() <= self.indices.max() < len(dataset):
            raise UserError(f"subset indices must lie in 0..{len(dataset) - 1}")
        table = self.source.table.picked(self.indices)
        super().__init__(table, self.source.reader, self.source.where[self.indices])

    @property
    def root(self) -> Pictures:
        """The source that these are a part or a view of."""
        return self.source.root

    def read(self, i: int) -> tuple[Image, int]:
        """Picture `indices[i]` of the whole, which may note that it was read."""
        return self.source.read(int(self.indices[i]))

    def fingerprint(self) -> str:
        """Digest of the whole's fingerprint and the chosen indices."""
        return hashlib.sha256(self.source.fingerprint().encode() + self.indices.tobytes()).hexdigest()[:32]


class View(Subset):
    """The same data with some columns told otherwise, maybe without some rows; its fingerprint is its source's."""

    def __init__(self, dataset: Dataset, indices: Indices | None = None, **columns: Any) -> None:
        super().__init__(dataset, np.arange(len(dataset), dtype=np.int64) if indices is None else indices)
        self.table = replace(self.table, **columns)

    def fingerprint(self) -> str:
        """The source's."""
        return self.source.fingerprint()


def part(dataset: Dataset, split: str | None) -> Pictures:
    """The declared split `split` of a data set as a `Subset`, or the whole for None."""
    if split is None:
        return as_pictures(dataset)
    if split not in dataset.splits:
        if not dataset.splits:
            raise UserError(f"{dataset.path}: it declares no splits, so there is no '{split}'; leave --split out")
        raise UserError(f"{dataset.path}: {unknown('split', split, sorted(dataset.splits))}")
    return Subset(dataset, dataset.splits[split])
