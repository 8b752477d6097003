"""Scores kept for later: one file per model, pictures, preprocessing and precision, with every view scored so far.

So another protocol, an ensemble or a comparison of what was once scored costs nothing but arithmetic.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..runtime.files import write_atomic

Logits = NDArray[np.float32]
KEY = "reslearn.predictions"


@dataclass(frozen=True)
class CacheKey:
    """What scores depend on, apart from the view."""

    model: str  # sha256 of the sealed tensors
    pictures: str  # fingerprint of exactly these pictures, in this order
    preprocess: str  # hash
    precision: str

    @property
    def file_name(self) -> str:
        """Readable, and different for every key."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()
        return f"{self.model[:8]}-{self.pictures[:8]}-{self.preprocess}-{self.precision}-{digest[:8]}.safetensors"


def read_cache(folder: str | os.PathLike[str], key: CacheKey) -> dict[str, Logits]:
    """View name -> (N, C) scores; empty when there is no such file, or it is damaged or of another key."""
    path = Path(folder) / key.file_name
    if not path.exists():
        return {}
    try:
        with safe_open(path, "numpy") as file:
            if json.loads((file.metadata() or {}).get(KEY, "null")) != asdict(key):
                return {}
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, json.JSONDecodeError):
        return {}


def add_to_cache(folder: str | os.PathLike[str], key: CacheKey, scores: Mapping[str, Logits]) -> None:
    """Add views to the file of this key, atomically. Raises `OSError` where the folder cannot be written."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    together = {name: np.ascontiguousarray(x) for name, x in {**read_cache(folder, key), **scores}.items()}
    write_atomic(Path(folder) / key.file_name, save(together, metadata={KEY: json.dumps(asdict(key))}))
