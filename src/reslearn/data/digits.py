"""`digits`: 1,797 real handwritten digits, 8x8, that ship with scikit-learn. No download."""

from __future__ import annotations

import numpy as np

from .memory import ArrayDataset
from .splits import stratified

TEST_COUNT = 360  # 20 %


def open_digits(split_seed: int = 0) -> ArrayDataset:
    """The digits as RGB uint8 (1797, 8, 8, 3): round(v * 255 / 16), grey replicated; `test` is a fixed 20 %."""
    from sklearn.datasets import load_digits  # 0.9 s

    raw = load_digits()
    grey = np.round(raw.images * 255 / 16).astype(np.uint8)
    images = np.repeat(grey[..., None], 3, axis=3)
    labels = raw.target.astype(np.int64)
    ids = [f"digits:{i}" for i in range(len(labels))]
    test = stratified(labels, ids, TEST_COUNT, split_seed)
    rest = np.setdiff1d(np.arange(len(labels)), test)
    classes = [str(d) for d in range(10)]
    return ArrayDataset(images, labels, classes=classes, ids=ids, splits={"train": rest, "test": test}, path="digits")
