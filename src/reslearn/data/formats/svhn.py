"""SVHN's cropped digits as their authors distribute them: `train_32x32.mat`, `test_32x32.mat` and, where it is there,
`extra_32x32.mat`, which is training too (arXiv 1605.07146 and others train on both)."""

from __future__ import annotations

import io
import os

import numpy as np
from numpy.typing import NDArray

from ...runtime.opening import read_regular
from ...spec.errors import UserError
from ..memory import ArrayDataset

CLASSES = tuple(map(str, range(10)))
LARGEST = 1 << 31  # bytes; the extra pictures have 1.3 GB
NAMES = {"train": ("train_32x32.mat", "extra_32x32.mat"), "test": ("test_32x32.mat",)}


def is_svhn_folder(path: str) -> bool:
    """Whether a folder holds SVHN's training or test pictures."""
    names = {entry.name for entry in os.scandir(path) if entry.is_file()}
    return bool(names & {"train_32x32.mat", "test_32x32.mat"})


def open_svhn_folder(path: str) -> ArrayDataset:
    """The folder's pictures with the splits train and test. Raises `UserError` for a damaged or foreign MATLAB file."""
    images, labels, ids, splits, at = [], [], [], {}, 0
    for split, names in NAMES.items():
        start = at
        for name in names:
            if os.path.isfile(file := os.path.join(path, name)):
                x, y = _parse(read_regular(file, LARGEST), file)
                images.append(x)
                labels.append(y)
                ids += [f"{name}:{i}" for i in range(len(y))]
                at += len(y)
        if at > start:
            splits[split] = np.arange(start, at, dtype=np.int64)
    pictures = images[0] if len(images) == 1 else np.concatenate(images)
    return ArrayDataset(
        pictures, np.concatenate(labels), classes=CLASSES, ids=ids, splits=splits, path=os.path.abspath(path)
    )


def _parse(raw: bytes, file: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """X (32, 32, 3, N) uint8 and y (N, 1) with 10 for the digit 0, as (N, 32, 32, 3) and (N,)."""
    from scipy.io import loadmat

    try:
        found = loadmat(io.BytesIO(raw), variable_names=("X", "y"))
        x, y = np.asarray(found["X"]), np.asarray(found["y"]).reshape(-1)
    except Exception as error:  # whatever damage makes the reader raise
        raise UserError(f"{file}: no MATLAB file of SVHN's cropped digits ({error})") from None
    if x.ndim != 4 or x.shape[:3] != (32, 32, 3) or x.dtype != np.uint8 or x.shape[3] != len(y):
        raise UserError(
            f"{file}: X is {x.dtype} {x.shape} and y has {len(y)}; expected uint8 (32, 32, 3, N) and N labels"
        )
    if len(y) and not (y.dtype.kind in "iuf" and 1 <= y.min() <= y.max() <= 10):
        raise UserError(f"{file}: labels must lie in 1..10 (10 is the digit 0)")
    return np.ascontiguousarray(x.transpose(3, 0, 1, 2)), y.astype(np.int64) % 10
