"""The pictures a cell trains on and is tested on, checked to be the kind of data that its paper used."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...data.dataset import Dataset
from ...data.memory import Subset
from ...data.parts.splits import stratified
from ...data.sources import open_data
from ...spec.errors import UserError
from ..entry import CLASSES, DATA_NAMES, Entry

SMOKE_TRAIN, SMOKE_TEST = 1437, 360  # of larger data sets the smoke tier takes a stratified part; digits has just these


@dataclass(frozen=True)
class Pictures:
    """Training and test pictures. The test pictures are watched while training and never selected on."""

    train: Dataset
    test: Dataset
    name: str
    fingerprint: str

    @property
    def key(self) -> str:
        """The name of the store's folder for these data."""
        return f"{self.name}-{self.fingerprint[:8]}"


def open_pictures(path: str, tier: str) -> Pictures:
    """Open DATA for a tier. It must have a `train` and a `test` (or, like ImageNet, a `val`) split."""
    data = open_data(path)
    splits = data.splits
    tested = next((name for name in ("test", "val") if len(splits.get(name, ()))), None)
    if tested is None or "train" not in splits:
        found = ", ".join(splits) or "no splits"
        raise UserError(f"{path}: a paper's experiment needs the splits train and test (or val); it has {found}")
    train, test = splits["train"], splits[tested]
    if tier == "smoke":
        train, test = _part(data, train, SMOKE_TRAIN), _part(data, test, SMOKE_TEST)
    return Pictures(Subset(data, train), Subset(data, test), _name(path), data.fingerprint())


def refusal(entry: Entry, pictures: Pictures | None, tier: str) -> str | None:
    """Why an entry cannot be run on these pictures, or None. The smoke tier runs anything on anything."""
    wanted = DATA_NAMES[entry.data]
    if pictures is None:
        return f"needs {wanted} at --data"
    classes = len(pictures.train.classes)
    if tier != "smoke" and classes != CLASSES[entry.data]:
        return f"needs {wanted} at --data ({CLASSES[entry.data]} classes; {pictures.name} has {classes})"
    return None


def _part(data: Dataset, indices: np.ndarray, count: int) -> np.ndarray:
    if len(indices) <= count:
        return indices
    ids = data.ids
    return indices[stratified(data.labels[indices], [ids[int(i)] for i in indices], count, 0)]


def _name(path: str) -> str:
    """`cifar10-jpeg` of `/data/cifar10-jpeg.tar.gz`: what may be shown of a path."""
    return re.sub(r"[^\w.-]", "-", Path(path).resolve().name if path != "digits" else path).split(".tar")[0].lower()
