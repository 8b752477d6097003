"""Whose class 3 is class 3? Pictures' labels are carried over to a network's classes by name, not by position."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from ..data.dataset import Indices
from ..spec.errors import UserError, some
from ..spec.names import spelling


def names_of(classes: Sequence[str] | None, num_classes: int) -> tuple[str, ...]:
    """A network's class names; without any, its classes' numbers."""
    return tuple(classes) if classes else tuple(map(str, range(num_classes)))


def class_map(model_classes: Sequence[str] | None, data_classes: Sequence[str], num_classes: int) -> Indices:
    """(len(data_classes),) the network's index of each class of the data.

    By name, however its accents are spelled, where the network has names; the data may hold a part of the network's
    classes, in any order. A class the network does not know is a `UserError`. Without names the counts must agree,
    and a warning says so.
    """
    if model_classes is None:
        if len(data_classes) != num_classes:
            raise UserError(
                f"the model has {num_classes} classes without names, the data {len(data_classes)}; "
                "seal it with names: reslearn convert ... --class-names"
            )
        warnings.warn("the model has no class names: classes are matched by index", stacklevel=2)
        return np.arange(num_classes, dtype=np.int64)
    where = {spelling(name): index for index, name in enumerate(model_classes)}
    strangers = [name for name in data_classes if spelling(name) not in where]
    if strangers:
        raise UserError(
            f"the model knows no class named {some(strangers, 8)}; its {num_classes} classes: {some(model_classes, 8)}"
        )
    return np.array([where[spelling(name)] for name in data_classes], dtype=np.int64)
