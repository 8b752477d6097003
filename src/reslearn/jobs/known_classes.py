"""`--known-classes`: of data with a class more, the pictures of the classes that a model knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..bundle.header import Bundle
from ..data.memory import Subset, View
from ..spec.errors import UserError
from ..spec.names import spelling
from .subject import Subject


def only_known(subject: Subject, bundle: Bundle) -> tuple[Subject, int]:
    """`subject` without pictures of classes that the network has no name for, and how many these are.

    Raises `UserError` for a network without names, and where nothing is left.
    """
    pictures = subject.pictures
    if bundle.classes is None:
        raise UserError(
            "--known-classes: the model has no class names; seal it with names: reslearn convert ... --class-names"
        )
    known = {spelling(name) for name in bundle.classes}
    familiar = np.array([spelling(name) in known for name in pictures.classes], dtype=bool)
    labels = np.asarray(pictures.labels)
    kept = np.flatnonzero(familiar[labels])
    if not len(kept):
        raise UserError("--known-classes: the model knows none of the classes of these pictures")
    left_out = len(labels) - len(kept)
    if familiar.all():
        return subject, 0
    place = np.cumsum(familiar) - 1  # of a class among those that stay
    fewer = Subset(pictures, kept)
    names = tuple(name for name, stays in zip(pictures.classes, familiar, strict=True) if stays)
    return replace(subject, pictures=View(fewer, labels=place[labels[kept]], classes=names)), left_out
