"""Scores kept for later: one file per model, pictures, preprocessing and precision, with every view scored so far.

So another protocol, an ensemble or a comparison of what was once scored costs nothing but arithmetic. A kept score is
believed only where everything that it depends on is the same and the file is as it was written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..data.contents import Contents
from ..data.dataset import Dataset
from ..engine.models import Model
from ..engine.scorer import Logits
from ..runtime.container import digest_tensors, read_safetensors
from ..runtime.files import write_atomic
from ..runtime.notes import note
from ..spec.choices import Engine, Width
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from .protocols import View

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
        return _verified(*read_safetensors(path), key)
    except FileNotFoundError:
        return {}
    except OSError as error:
        note(f"{path}: kept scores cannot be read ({error.strerror}); scored anew")
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        note(f"{path}: kept scores were altered or are damaged; scored anew")
    return {}


def add_to_cache(folder: str | os.PathLike[str], key: CacheKey, scores: Mapping[str, Logits]) -> None:
    """Add views to the file of this key, atomically. Raises `OSError` where the folder cannot be written."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    together = {name: np.ascontiguousarray(x) for name, x in {**read_cache(folder, key), **scores}.items()}
    text = json.dumps({"key": asdict(key), "sha256": digest_tensors(save(together))})
    write_atomic(Path(folder) / key.file_name, save(together, metadata={KEY: text}))


def _verified(content: bytes, metadata: Mapping[str, Any], key: CacheKey) -> dict[str, Logits]:
    """The scores of a file that has this key and its own checksum; `ValueError` or a parser's error for another."""
    scores, text = load(content), json.loads(metadata[KEY])
    if text["key"] != asdict(key) or text["sha256"] != digest_tensors(content):
        raise ValueError("altered")
    if any(rows.dtype != np.float32 or rows.shape != (key.images, key.classes) for rows in scores.values()):
        raise ValueError("shapes")
    return scores


class Kept:
    """The kept scores of one model on one set of pictures, as both are when this is made."""

    def __init__(
        self,
        folder: str | os.PathLike[str],
        loaded: Model,
        pictures: Dataset,
        preprocess: Preprocess,
        precision: Width,
        engine: Engine = "torch",
    ) -> None:
        self.folder, self.contents = folder, Contents(pictures)
        self.key = CacheKey(
            model=loaded.identity(),
            pictures=self.contents.digest,
            preprocess=preprocess.hash(),
            precision=precision,
            engine=engine,
            images=len(pictures),
            classes=loaded.bundle.num_classes,
        )

    def read(self, views: Sequence[View]) -> dict[str, Logits]:
        """Of these views, the scores that are kept."""
        there = read_cache(self.folder, self.key)
        return {view.name: there[stored_name(view)] for view in views if stored_name(view) in there}

    def add(self, views: Sequence[View], found: Mapping[str, Logits]) -> None:
        """Keep scores; not of pictures that were replaced while they were scored. A line says why none are kept."""
        if not self.contents.unchanged():
            note("pictures were changed while they were scored; the scores are not kept")
            return
        try:
            add_to_cache(self.folder, self.key, {stored_name(view): found[view.name] for view in views})
        except (OSError, UserError) as error:  # what was scored is right all the same
            why = error.strerror if isinstance(error, OSError) else error
            note(f"{self.folder}: the scores are not kept ({why})")


def stored_name(view: View) -> str:
    """What a view's scores are stored under: which piece it is, and of which picture it is cut."""
    return f"{view.name}@{view.preprocess.hash()}"
