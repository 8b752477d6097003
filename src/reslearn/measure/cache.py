"""Scores kept for later: one file per model, pictures, preprocessing and precision, with every view scored so far.

So another protocol, an ensemble or a comparison of what was once scored costs nothing but arithmetic. A kept score is
believed only where everything that it depends on is the same and the file is as it was written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..engine.scorer import Logits
from ..runtime.container import digest_tensors, read_safetensors
from ..runtime.files import write_atomic
from ..runtime.notes import note
from ..spec.errors import UserError

KEY = "reslearn.scores"
FORMAT = 2


@dataclass(frozen=True)
class CacheKey:
    """What scores depend on, apart from the view."""

    model: str  # digest of header and weights
    pictures: str  # digest of the content of exactly these pictures, in this order
    preprocess: str  # hash
    precision: str
    images: int
    classes: int
    engine: str = "torch"
    format: int = FORMAT

    @property
    def file_name(self) -> str:
        """Readable, and different for every key."""
        digest = hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()
        return f"{self.model[:8]}-{self.pictures[:8]}-{self.preprocess}-{self.precision}-{digest[:16]}.safetensors"


def read_cache(folder: str | os.PathLike[str], key: CacheKey) -> dict[str, Logits]:
    """View name -> (images, classes) scores; empty where nothing is kept. Of a file that does not verify a line says
    that it is scored anew."""
    path = Path(folder) / key.file_name
    try:
        content = read_safetensors(path)[0]
    except FileNotFoundError:
        return {}
    except OSError as error:
        note(f"{path}: kept scores cannot be read ({error.strerror}); scored anew")
        return {}
    except UserError:
        content = b""
    try:
        scores = _verified(content, key)
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        scores = None
    if scores is None:
        note(f"{path}: kept scores were altered or are damaged; scored anew")
        return {}
    return scores


def add_to_cache(folder: str | os.PathLike[str], key: CacheKey, scores: Mapping[str, Logits]) -> None:
    """Add views to the file of this key, atomically. Raises `OSError` where the folder cannot be written."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    together = {name: np.ascontiguousarray(x) for name, x in {**read_cache(folder, key), **scores}.items()}
    text = json.dumps({"key": asdict(key), "sha256": digest_tensors(save(together))})
    write_atomic(Path(folder) / key.file_name, save(together, metadata={KEY: text}))


def _verified(content: bytes, key: CacheKey) -> dict[str, Logits] | None:
    """The scores of a file that has this key and its own checksum; None or any parser's error for another."""
    scores = load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    text = json.loads(header["__metadata__"][KEY])
    if text["key"] != asdict(key) or text["sha256"] != digest_tensors(content):
        return None
    shape = (key.images, key.classes)
    if any(rows.dtype != np.float32 or rows.shape != shape for rows in scores.values()):
        return None
    return scores
