"""`digits`: 1,797 real handwritten digits, 8x8, that ship with scikit-learn. No download."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..memory import ArrayDataset
from ..parts.splits import stratified

TEST_COUNT = 360  # 20 %


def open_digits(split_seed: int = 0) -> ArrayDataset:
    """The digits as RGB uint8 (1797, 8, 8, 3): round(v * 255 / 16), grey replicated; `test` is a fixed 20 %."""
    table = read_table()
    grey = np.round(table[:, :-1].reshape(-1, 8, 8) * 255 / 16).astype(np.uint8)
    images = np.repeat(grey[..., None], 3, axis=3)
    labels = table[:, -1].astype(np.int64)
    ids = [f"digits:{i}" for i in range(len(labels))]
    test = stratified(labels, ids, TEST_COUNT, split_seed)
    rest = np.setdiff1d(np.arange(len(labels)), test)
    classes = [str(d) for d in range(10)]
    return ArrayDataset(images, labels, classes=classes, ids=ids, splits={"train": rest, "test": test}, path="digits")


def read_table() -> NDArray[np.float64]:
    """(1797, 65): 64 values 0 ... 16 of a picture, row by row, and its digit.

    Read from scikit-learn's file where that lies as it does in its releases: to import the package takes a second.
    """
    found = importlib.util.find_spec("sklearn")
    file = Path(found.origin).parent / "datasets" / "data" / "digits.csv.gz" if found and found.origin else Path()
    if file.is_file():
        return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    raw = load_digits()
    return np.column_stack([raw.data, raw.target])
