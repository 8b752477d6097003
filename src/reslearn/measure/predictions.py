"""One file of per-sample logits: what every number is made of, to be kept, merged and compared."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..data.dataset import Indices
from ..runtime.files import write_atomic
from ..spec.errors import UserError

Logits = NDArray[np.float32]
KEY = "reslearn.predictions"


@dataclass(frozen=True)
class Predictions:
    """Logits (N, C) and labels (N,) of pictures with identities `ids`; `classes` are the model's."""

    ids: tuple[str, ...]
    labels: Indices
    logits: Logits
    classes: tuple[str, ...]
    fold: Indices | None = None  # (N,) which member of a cross-validation predicted it


def write_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write one safetensors file, atomically: the same predictions give the same bytes."""
    text = {"ids": predictions.ids, "classes": predictions.classes, "format": 1}
    tensors: dict[str, NDArray[Any]] = {
        "logits": np.ascontiguousarray(predictions.logits, np.float32),
        "labels": predictions.labels,
    }
    if predictions.fold is not None:
        tensors["fold"] = predictions.fold
    write_atomic(path, save(tensors, metadata={KEY: json.dumps(text)}))


def read_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read what `write_predictions` wrote. Raises `UserError` in one line for any other file."""
    try:
        with safe_open(path, "numpy") as file:
            text = json.loads((file.metadata() or {})[KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except (SafetensorError, KeyError, json.JSONDecodeError):
        raise UserError(f"{path}: not a file of predictions, or damaged; predict again") from None
    return Predictions(
        tuple(text["ids"]), tensors["labels"], tensors["logits"], tuple(text["classes"]), tensors.get("fold")
    )


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
