"""Which pictures `explain` looks at: those that were named, or of DATA some of the part that is to be looked at."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..bundle.file import Loaded
from ..data.anything import Range
from ..data.dataset import Dataset, Image, Indices
from ..data.memory import Subset
from ..data.preprocess import to_batch
from ..measure.classes import class_map
from ..predictor.given import Given, given
from ..predictor.sources import Rows
from ..predictor.stream import Reading
from ..runtime.notes import note
from ..spec.errors import UserError
from .subject import open_for, subject_of, training_of

SMALL = 96  # pixels a side, up to which pictures are cheap
MOST = {True: 1000, False: 200}  # pictures of DATA, evenly over all: small ones, larger ones


@dataclass(frozen=True, eq=False)
class Looked:
    """Prepared pictures, uint8 (N, 3, S, S), their names (None in memory), and their classes where these are known."""

    images: Tensor
    names: tuple[str | None, ...]
    truths: Indices | None  # as the model counts its classes
    unread: tuple[tuple[str | None, str], ...]
    data: str | None  # what they are of, in words
    found: int  # pictures that there are in all
    source: Dataset | None = None  # the labelled data that they are of ...
    ids: tuple[str, ...] = ()  # ... and their identities in it

    def __len__(self) -> int:
        return len(self.images)

    def image(self, place: int) -> Image:
        """Picture `place` as uint8 (S, S, 3)."""
        return np.ascontiguousarray(self.images[place].permute(1, 2, 0).numpy())


def looked_at(
    loaded: Loaded, pictures: object, *, split: str | None, shown: int, value_range: Range | None = None
) -> Looked:
    """Whatever `predict` takes, at most `shown` of it; of labelled DATA at most `MOST` pictures of `split`.

    Without `split` that is `test`, or everything where there is none. Raises `UserError` where there are no pictures.
    """
    dataset = _labelled(loaded, pictures)
    if dataset is None:
        if split is not None:
            raise UserError(f"--split {split} is for DATA with classes; these pictures have none")
        chosen = given(pictures, value_range=value_range, note=note)
        if not len(chosen):
            raise UserError("no pictures to explain")
        return _read(loaded, chosen, spread(len(chosen), shown), len(chosen))[0]
    subject = subject_of(training_of(loaded), dataset, split, anyway=True)
    places = list(spread(len(subject.pictures), MOST[loaded.bundle.preprocess.size <= SMALL]))
    some = Subset(subject.pictures, places)
    looked, sound = _read(loaded, Given([Rows(some)]), range(len(some)), len(subject.pictures))
    ids = tuple(some.ids[i] for i in sound)
    return replace(
        looked,
        names=ids,
        truths=_truths(loaded, dataset, np.asarray(some.labels)[sound]),
        data=f"{dataset.path or 'pictures given from Python'}, {subject.split}",
        source=dataset,
        ids=ids,
    )


def spread(count: int, most: int) -> Sequence[int]:
    """At most `most` of `count` places, evenly over all."""
    return range(count) if count <= most else [i * count // most for i in range(most)]


def _labelled(loaded: Loaded, pictures: object) -> Dataset | None:
    """DATA with classes, or None for anything else that may hold pictures."""
    if isinstance(pictures, (list, tuple)) and len(pictures) == 1 and isinstance(pictures[0], (str, os.PathLike)):
        pictures = pictures[0]
    if isinstance(pictures, (str, os.PathLike)):
        try:
            dataset: Any = open_for([loaded], pictures)
        except (UserError, OSError):
            return None
    else:
        dataset = pictures
    is_data = all(hasattr(dataset, name) for name in ("ids", "labels", "classes", "splits", "read", "fingerprint"))
    return dataset if is_data and dataset.classes else None


def _read(loaded: Loaded, chosen: Given, places: Sequence[int], found: int) -> tuple[Looked, list[int]]:
    """The pictures of `chosen` at these places, and the places of those that could be read."""
    reading = Reading(chosen, loaded.bundle.preprocess)
    read = {place: reading.one(place) for place in places}
    images = {place: image for place, image in read.items() if not isinstance(image, str)}
    unread = tuple((chosen.path(place), line) for place, line in read.items() if isinstance(line, str))
    size = loaded.bundle.preprocess.size
    batch = to_batch([*images.values()]) if images else torch.zeros(0, 3, size, size, dtype=torch.uint8)
    return Looked(batch, tuple(map(chosen.path, images)), None, unread, None, found), list(images)


def _truths(loaded: Loaded, dataset: Dataset, labels: Indices) -> Indices | None:
    """Labels as the model counts; None where the data has other classes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return class_map(loaded.bundle.classes, dataset.classes, loaded.bundle.num_classes)[labels]
    except UserError as error:
        note(f"looks at classes are left out: {error}")
        return None
