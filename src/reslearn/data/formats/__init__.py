"""Sources of pictures: folders, tables, tars, Parquet, packs, CIFAR's archives, digits."""

from __future__ import annotations

import importlib
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """`decode`, for other programs that look for the decoder here; it lies in `data/pictures`."""
    if name == "decode":
        return importlib.import_module("..pictures.decode", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
