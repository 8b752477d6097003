"""One file of per-sample logits: what every number is made of, to be kept, merged and compared."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..data.dataset import Indices
from ..engine.scorer import Logits
from ..runtime.container import digest_tensors, read_safetensors
from ..runtime.files import write_atomic
from ..runtime.replacing import PREDICTIONS, replaceable
from ..spec.errors import UserError

KEY = "reslearn.predictions"
FORMAT = 2


@dataclass(frozen=True)
class Predictions:
    """Logits (N, C) and labels (N,) of pictures with identities `ids`; `classes` are the model's."""

    ids: tuple[str, ...]
    labels: Indices
    logits: Logits
    classes: tuple[str, ...]
    fold: Indices | None = None  # (N,) which member of a cross-validation predicted it
    model: str | None = None  # the sha256 of the sealed file that predicted; None: not stated


def write_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write one safetensors file, atomically: the same predictions give the same bytes. `UserError` where something is
    there that is no such file.
    """
    text: dict[str, Any] = {"ids": predictions.ids, "classes": predictions.classes, "format": FORMAT}
    if predictions.model is not None:
        text["model"] = predictions.model
    tensors: dict[str, NDArray[Any]] = {
        "logits": np.ascontiguousarray(predictions.logits, np.float32),
        "labels": predictions.labels,
    }
    if predictions.fold is not None:
        tensors["fold"] = predictions.fold
    checked = json.dumps(text | {"sha256": _digest(text, save(tensors))})
    write_atomic(replaceable(path, PREDICTIONS), save(tensors, metadata={KEY: checked}))


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read what `write_predictions` wrote; format 1 had no checksum. Raises `UserError` in one line for any other file,
    and for one that was altered.
    """
    try:
        content, metadata = read_safetensors(Path(path))
        tensors, text = load(content), json.loads(metadata[KEY])
        stated = text.pop("sha256", None)
        if text["format"] not in (1, FORMAT) or (text["format"] == FORMAT and stated != _digest(text, content)):
            raise ValueError("altered")
        ids, labels, logits, classes = tuple(text["ids"]), tensors["labels"], tensors["logits"], tuple(text["classes"])
        if logits.shape != (len(ids), len(classes)) or labels.shape != (len(ids),):
            raise ValueError("shapes")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path}: not a file of predictions, or damaged; predict again") from None
    return Predictions(ids, labels, logits, classes, tensors.get("fold"), text.get("model"))


def _digest(text: Mapping[str, Any], content: bytes) -> str:
    """sha256 of the names and of every tensor."""
    return hashlib.sha256(f"{json.dumps(text)}\n{digest_tensors(content)}".encode()).hexdigest()


def merge_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Parts of one set of pictures as one, sorted by identity. Raises `UserError` where a picture is there twice."""
    if len({part.classes for part in parts}) != 1:
        raise UserError("predictions of different classes cannot be merged")
    ids = [identity for part in parts for identity in part.ids]
    if len(set(ids)) < len(ids):
        raise UserError("a picture is predicted in two of the parts; each belongs to one")
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.int64)
    folds = [part.fold for part in parts if part.fold is not None]
    return Predictions(
        ids=tuple(ids[i] for i in order),
        labels=np.concatenate([part.labels for part in parts])[order],
        logits=np.concatenate([part.logits for part in parts])[order],
        classes=parts[0].classes,
        fold=np.concatenate(folds)[order] if len(folds) == len(parts) else None,
    )
