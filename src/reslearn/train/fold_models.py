"""Which network of a cross-validation is whose: a fold's own, and the one that predicted what it holds out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ..bundle.file import load, read_bundle
from ..data.dataset import Dataset
from ..measure.predictions import Predictions, read_predictions
from ..runtime.notes import warn
from ..spec.errors import UserError
from .records.journal import last_line
from .records.run import read_record
from .together import digest

PREDICTIONS, MODEL = "out-of-fold.safetensors", "model.safetensors"


def fold_folder(folder: Path, k: int) -> Path:
    """The run folder of fold `k`, 1 ... K."""
    return folder / f"fold-{k}"


def check_own(path: Path, names: Sequence[str], held: Dataset) -> None:
    """Raise `UserError` unless the run at `path` holds out the pictures of its fold, by their names then or now."""
    val = read_record(path).split.val
    if val not in (tuple(names), tuple(held.ids)):
        raise UserError(f"{path}: it holds out other pictures than this fold does; copy the right run here")


def drop_foreign(path: Path) -> None:
    """Remove the sealed file of the fold at `path` unless it is the network that its training ended with.

    Its checkpoints give it back.
    """
    if not (path / MODEL).exists():
        return
    end = last_line(path / "metrics.jsonl")
    stated = None if end is None else end.get("weights")
    try:
        weights = digest(load(path).net)
    except UserError as error:
        warn(f"{error}; it is sealed anew")
    else:
        if stated in (None, weights):  # earlier releases did not say which
            return
        warn(f"{path / MODEL}: not the network that this fold trained; it is sealed anew")
    (path / MODEL).unlink()


def predicted_by(path: Path, weights: str) -> bool:
    """Whether the predictions at `path` are there, and those of the network with this digest."""
    if not path.exists():
        return False
    try:
        return read_predictions(path).model == weights
    except UserError as error:
        warn(f"{error}; done now")
        return False


def drop_stale(folder: Path, together: Predictions) -> None:
    """Remove the ensemble in `folder` unless it was made of the networks of these predictions."""
    if not (folder / MODEL).exists():
        return
    try:
        about = read_bundle(folder / MODEL).data or {}
        stated = about.get("predictions")
        if stated == digest_of(together) or (stated is None and "folds" in about and _same(folder, together)):
            return
    except UserError as error:
        warn(f"{error}; it is sealed anew")
    (folder / MODEL).unlink()


def digest_of(together: Predictions) -> str:
    """sha256 of who predicted which label for which picture, and how."""
    text = f"{together.ids}\n{together.classes}\n{together.labels.tolist()}\n".encode(errors="surrogateescape")
    return hashlib.sha256(text + together.logits.tobytes()).hexdigest()


def _same(folder: Path, together: Predictions) -> bool:
    """Whether an ensemble of an earlier release was made of these predictions: the file beside it holds them."""
    path = folder / PREDICTIONS
    return path.exists() and digest_of(read_predictions(path)) == digest_of(together)
