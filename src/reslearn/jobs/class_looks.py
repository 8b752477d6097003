"""What DATA says of a network beyond single pictures: each class's mean map, its extremes, and nearest neighbours."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..bundle.file import Loaded
from ..data.dataset import Dataset, Image
from ..data.loaders import eval_batches
from ..data.memory import Subset
from ..data.preprocess import apply
from ..engine.scorer import TorchScorer
from ..interpret.class_maps import MapPlan, class_maps
from ..interpret.likeness import Floats, extremes, likeness_features, nearest
from ..report.heat import heat_of
from ..spec.text import counted
from .looked_at import SMALL, Looked, spread
from .subject import open_for, subject_of, training_of

CLASSES = 20  # shown, the first ones
EACH = 4  # most typical and least typical pictures of a class
NEAREST = 4  # neighbours of a picture
AMONG = {True: 5000, False: 500}  # training pictures that neighbours are looked for in: small ones, larger ones
SLOW = 100  # pictures whose mean map is made by a method of many passes


@dataclass(frozen=True, eq=False)
class Like:
    """A picture that is like something, how much (the cosine of features), and the class it is of."""

    path: str
    label: str
    likeness: float
    image: Image = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """All but pixels."""
        return {"path": self.path, "label": self.label, "likeness": self.likeness}


@dataclass(frozen=True, eq=False)
class ClassLook:
    """One class: the mean heat of its pictures for it, their mean, and those most and least like its mean features."""

    label: str
    index: int
    pictures: int
    mean_heat: Floats = field(repr=False)  # (S, S) in 0..1
    mean_picture: Image = field(repr=False)
    most: tuple[Like, ...] = ()
    least: tuple[Like, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """All but pixels."""
        return {
            "label": self.label, "index": self.index, "pictures": self.pictures,
            "most_typical": [one.to_json() for one in self.most],
            "least_typical": [one.to_json() for one in self.least],
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The training pictures nearest to each shown picture, and what data they are from."""

    of: Sequence[tuple[Like, ...]]
    data: str


def class_looks(loaded: Loaded, plan: MapPlan, scorer: TorchScorer, looked: Looked) -> tuple[ClassLook, ...]:
    """A look at each of the first 20 classes that pictures are of. `looked` has truths."""
    truths = np.asarray(looked.truths)
    features = likeness_features(scorer, torch.split(looked.images, 256))
    names = loaded.bundle.classes or tuple(map(str, range(loaded.bundle.num_classes)))
    found = extremes(features, truths, each=EACH)[:CLASSES]
    fast = plan.method in ("cam", "gradcam")
    some = np.array(spread(len(looked), len(looked) if fast else SLOW))
    some = some[np.isin(truths[some], [one.label for one in found])]
    maps = class_maps(scorer, plan, looked.images[some], torch.from_numpy(truths[some])).numpy()

    def like(place: int, likeness: dict[int, float]) -> Like:
        return Like(looked.names[place] or "", names[int(truths[place])], likeness[place], looked.image(place))

    looks = []
    for one in found:
        own = maps[truths[some] == one.label]
        all_of_it = looked.images[np.flatnonzero(truths == one.label)]
        heat = np.mean([heat_of(map_) for map_ in own], axis=0) if len(own) else np.zeros(maps.shape[1:])
        mean = all_of_it.float().mean(0).round().byte().permute(1, 2, 0).numpy()
        looks.append(
            ClassLook(
                names[one.label], one.label, len(all_of_it), np.asarray(heat, np.float32), np.ascontiguousarray(mean),
                tuple(like(place, one.likeness) for place in one.most),
                tuple(like(place, one.likeness) for place in one.least),
            )
        )  # fmt: skip
    return tuple(looks)


def neighbours(
    loaded: Loaded,
    scorer: TorchScorer,
    looked: Looked,
    shown: Sequence[int],
    training_data: str | os.PathLike[str] | None,
) -> Neighbours | None:
    """The training pictures whose features are nearest to those of the shown ones.

    They are looked for in `training_data`, or else in the DATA that is looked at: its training part, as the model's own
    run split it. None where there is neither.
    """
    data = looked.source if training_data is None else open_for([loaded], training_data)
    if data is None:
        return None
    part, what = _training_part(loaded, data)
    preprocess = loaded.bundle.preprocess
    among = Subset(part, spread(len(part), AMONG[preprocess.size <= SMALL]))
    theirs = likeness_features(scorer, eval_batches(among, preprocess, batch_size=256))
    ours = likeness_features(scorer, [looked.images[list(shown)]])
    own = [looked.ids[place] if looked.ids and data is looked.source else None for place in shown]
    ids = np.array(among.ids, dtype=object)
    same: NDArray[np.bool_] = np.stack([ids == one for one in own])
    found = nearest(ours, theirs, count=NEAREST, same=same)

    def like(place: int, likeness: float) -> Like:
        image, label = among.read(place)
        return Like(among.ids[place], among.classes[label], likeness, apply(image, preprocess))

    of = [tuple(like(*one) for one in row) for row in found]
    return Neighbours(of, f"{data.path or 'pictures given from Python'}, {what}: {counted(len(among), 'picture')}")


def _training_part(loaded: Loaded, data: Dataset) -> tuple[Dataset, str]:
    training = training_of(loaded)
    if training is not None and data.fingerprint() == training.fingerprint and training.split.train:
        return subject_of(training, data, "train").pictures, "train"
    if "train" in data.splits:
        return Subset(data, data.splits["train"]), "train"
    return data, "all"
