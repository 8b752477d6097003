"""What a data set is like: pictures per class and split, channel mean and std, the paper's per-pixel mean image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..spec.codec import fields_to_json
from ..spec.preprocess import Preprocess
from .dataset import Dataset, Indices, Progress
from .preprocess import apply
from .workers import map_chunks


@dataclass(frozen=True)
class Statistics:
    """Of the training part where one is declared, else of all pictures. Pixels in 0..1, RGB."""

    pictures: int
    measured: int  # pictures that mean and std are taken over
    mean: tuple[float, ...]
    std: tuple[float, ...]  # of pixels, not the mean of each picture's own std
    width: tuple[int, int, int]  # least, median, most
    height: tuple[int, int, int]
    classes: dict[str, dict[str, int]]
    imbalance: float

    def __repr__(self) -> str:
        return (
            f"Statistics({self.pictures:,} pictures in {len(self.classes):,} classes, mean {self.mean}, std {self.std})"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return fields_to_json(self)


def statistics(
    dataset: Dataset, *, preprocess: Preprocess | None = None, workers: int = 0, progress: Progress | None = None
) -> Statistics:
    """Read every training picture once; with `preprocess` the pixels after resizing and cropping are measured."""
    indices = dataset.splits["train"] if "train" in dataset.splits else np.arange(len(dataset), dtype=np.int64)
    total, squares, pixels, shapes = np.zeros(3), np.zeros(3), 0, []
    for sums, square_sums, count, sizes in map_chunks(
        partial(_sums, dataset, preprocess), indices, workers, progress=progress
    ):
        total += sums
        squares += square_sums
        pixels += count
        shapes += sizes
    mean = total / pixels / 255
    std = np.sqrt(squares / pixels / 255**2 - mean**2)
    height, width = np.array(shapes).T
    return Statistics(
        pictures=len(dataset),
        measured=len(indices),
        mean=tuple(float(m) for m in mean.round(6)),
        std=tuple(float(s) for s in std.round(6)),
        width=_spread(width),
        height=_spread(height),
        classes=class_counts(dataset),
        imbalance=imbalance(dataset),
    )


def mean_image(dataset: Dataset, preprocess: Preprocess) -> tuple[Tensor, str]:
    """The per-pixel mean of a (training) set, float32 (3, S, S) in 0..1, and its sha256 for `Preprocess.mean_image`.

    1512.03385 section 3.4 subtracts it. It belongs to the sealed file. Sums are whole numbers, so any order of
    reading gives the same bits.
    """
    total = np.zeros((preprocess.size, preprocess.size, 3), np.int64)
    for i in range(len(dataset)):
        total += apply(dataset.read(i)[0], preprocess)
    mean = (total / len(dataset) / 255).astype(np.float32).transpose(2, 0, 1)
    tensor = torch.from_numpy(np.ascontiguousarray(mean))
    return tensor, hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def _sums(
    dataset: Dataset, preprocess: Preprocess | None, chunk: Indices
) -> tuple[NDArray[np.float64], NDArray[np.float64], int, list[tuple[int, int]]]:
    """(sum, sum of squares, pixels, sizes) of a chunk, exact: by the counts of each level."""
    total, squares, pixels, sizes, levels = np.zeros(3), np.zeros(3), 0, [], np.arange(256)
    for i in chunk:
        image = dataset.read(int(i))[0]
        sizes.append((image.shape[0], image.shape[1]))
        if preprocess is not None:
            image = apply(image, preprocess)
        counts = np.stack([np.bincount(image[..., c].reshape(-1), minlength=256) for c in range(3)])
        total += counts @ levels
        squares += counts @ levels**2
        pixels += image.shape[0] * image.shape[1]
    return total, squares, pixels, sizes


def _spread(values: NDArray[np.int64]) -> tuple[int, int, int]:
    return int(values.min()), int(np.median(values)), int(values.max())


def split_names(dataset: Dataset) -> list[str]:
    """The declared split of each sample, or an empty string."""
    names = [""] * len(dataset)
    for name, indices in dataset.splits.items():
        for i in indices:
            names[int(i)] = name
    return names


def class_counts(dataset: Dataset) -> dict[str, dict[str, int]]:
    """class -> split -> pictures; `all` where there are no splits, `no split` for what is in none of them."""
    parts: dict[str, Indices] = dict(dataset.splits)
    everything = np.arange(len(dataset), dtype=np.int64)
    rest = np.setdiff1d(everything, np.concatenate([everything[:0], *parts.values()]))
    if len(rest) or not parts:
        parts["no split" if parts else "all"] = rest
    counts = {
        name: np.bincount(dataset.labels[indices], minlength=len(dataset.classes)) for name, indices in parts.items()
    }
    return {c: {name: int(counts[name][k]) for name in parts} for k, c in enumerate(dataset.classes)}


def imbalance(dataset: Dataset) -> float:
    """Pictures of the largest class over those of the smallest, in the training part; classes without any aside."""
    labels = dataset.labels[dataset.splits["train"]] if "train" in dataset.splits else dataset.labels
    counts = np.bincount(labels, minlength=len(dataset.classes))
    present = counts[counts > 0]
    return float(present.max() / present.min()) if len(present) else 1.0
