"""int8 after training: which pictures its ranges are measured on, which ones may not be, and what it costs in top-1."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bundle.file import Loaded
from ..data.dataset import Dataset, Indices
from ..data.layout.listing import split_of
from ..data.memory import Subset
from ..data.parts.keyed import Keyed
from ..data.parts.keys import PIXELS
from ..data.parts.known import Known
from ..data.preprocess import Normalise, apply, to_batch
from ..engine import int8
from ..engine.exported import Calibration
from ..engine.int8 import Input
from ..engine.writing import ExportPlan, Quantised, at_size
from ..measure.classes import class_map
from ..measure.metrics import Z95
from ..runtime.notes import note
from ..spec.errors import UserError
from .subject import Training, subject_of, training_of
from .unlabelled import open_pictures

PICTURES = 300  # that ranges are measured on, or all there are
VALIDATED = 5000  # pictures of validation, at most, that the drop is measured on


def int8_of(loaded: Loaded, plan: ExportPlan, data: str | os.PathLike[str], max_drop: float) -> Quantised:
    """How `export_model` makes int8 of a model's graph, on the `train` part of `data`, or all of it.

    Raises `UserError` for a part that is called `test` or `val`, for pictures that something of the model was chosen
    on, and where nncf is not installed.
    """
    int8.check_installed()
    named = split_of(Path(os.fspath(data)).name.partition(".")[0])
    if named in ("test", "val"):
        raise UserError(
            f"--calibrate {data}: a part called {named}; int8 is calibrated on training pictures, never on those"
        )
    dataset = open_pictures(data)
    training = training_of(loaded)
    pictures, split = _part(dataset, training)
    chosen = pictures if len(pictures) <= PICTURES else Subset(pictures, _spread(len(pictures)))
    keyed = Keyed(chosen)
    bundle = at_size(loaded.bundle, plan.size)
    normalise = Normalise(bundle.preprocess, loaded.mean_image if bundle.preprocess.mean_image is not None else None)
    inputs = list(Inputs(keyed, normalise))
    keyed.complete()
    _, selected = loaded.known.marks(keyed, keyed.rows)
    if selected.any():
        raise UserError(
            f"--calibrate {data}: {int(selected.sum()):,} of these pictures are marked as selected on; "
            "give training pictures"
        )
    validation = _validation(loaded, dataset, training, normalise)
    work = _Work(plan, inputs, validation, max_drop)
    keys = hashlib.sha256(np.ascontiguousarray(keyed.rows[:, PIXELS]).tobytes()).hexdigest()

    def calibration() -> Calibration:
        return Calibration(
            data=os.fspath(data), fingerprint=dataset.fingerprint(), split=split, pictures=tuple(chosen.ids), keys=keys,
            validation=0 if validation is None else len(validation.labels), drop=work.drop,
            drop_interval=work.interval, controlled=work.controlled,
        )  # fmt: skip

    def known() -> Known:
        looked = validation.rows if validation is not None and work.controlled else None
        return Known().with_pictures(trained=keyed.rows, selected=looked)

    return Quantised(work.quantise, calibration, known)


def _part(dataset: Dataset, training: Training | None) -> tuple[Dataset, str]:
    """The pictures to calibrate on, and what they are called."""
    own = training is not None and training.fingerprint == dataset.fingerprint()
    if own or "train" in dataset.splits:
        return subject_of(training, dataset, "train").pictures, "train"
    if dataset.splits:
        have = ", ".join(sorted(dataset.splits))
        raise UserError(
            f"--calibrate {dataset.path}: it declares {have} and no train; int8 is calibrated on training pictures"
        )
    return dataset, "all"


def _spread(count: int) -> Indices:
    """`PICTURES` of `count` places, evenly: folders lie class by class."""
    return np.unique(np.linspace(0, count - 1, PICTURES).round().astype(np.int64))


class Inputs:
    """Each of `pictures` as the float graph takes it, (1, 3, S, S) float32; kept as bytes, which are a quarter."""

    def __init__(self, pictures: Dataset, normalise: Normalise) -> None:
        self._normalise = normalise
        self._prepared = [apply(pictures.read(i)[0], normalise.preprocess) for i in range(len(pictures))]

    def __iter__(self) -> Iterator[Input]:
        for picture in self._prepared:
            yield self._normalise(to_batch([picture]).contiguous()).numpy()


@dataclass(frozen=True)
class Validation:
    """Pictures whose top-1 says what int8 costs."""

    inputs: Iterable[Input]
    labels: Indices
    rows: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[Input, int]]:
        return zip(self.inputs, self.labels.tolist(), strict=True)


def _validation(loaded: Loaded, dataset: Dataset, training: Training | None, normalise: Normalise) -> Validation | None:
    """The `val` part of the data, of a run's own data its own; None, with a line, where there is none."""
    own = training is not None and training.fingerprint == dataset.fingerprint() and len(training.split.val) > 0
    if not own and "val" not in dataset.splits:
        note(
            "the data declares no val, so what int8 costs in top-1 is not measured here; `reslearn verify` measures it"
        )
        return None
    pictures = subject_of(training if own else None, dataset, "val").pictures
    if len(pictures) > VALIDATED:
        pictures = Subset(pictures, np.linspace(0, len(pictures) - 1, VALIDATED).round().astype(np.int64))
    labels = class_map(loaded.bundle.classes, pictures.classes, loaded.bundle.num_classes)[pictures.labels]
    keyed = Keyed(pictures)
    inputs = Inputs(keyed, normalise)
    keyed.complete()
    return Validation(inputs, labels, keyed.rows)


@dataclass
class _Work:
    """Quantises a graph; what came of it is known afterwards."""

    plan: ExportPlan
    inputs: Sequence[Input]
    validation: Validation | None
    max_drop: float
    drop: float | None = None
    interval: tuple[float, float] | None = None
    controlled: bool = False

    def quantise(self, model: Any) -> Any:
        """A float graph -> an int8 one that loses no more than was allowed, where that can be measured."""
        made = int8.quantised(model, self.inputs)
        if self.validation is None:
            return made
        before, after = self._right(model), self._right(made)
        drop = lost(before, after)
        if drop > self.max_drop:
            note(f"int8 costs {drop:.2f} points of top-1 on validation; layers get their width back until it is less")
            made = int8.controlled(model, self.inputs, self.validation, self.max_drop / 100)
            self.controlled, after = True, self._right(made)
        self.drop = lost(before, after)
        if self.drop > self.max_drop:
            note(f"int8 still costs {self.drop:.2f} points of top-1 on validation, more than --max-drop allows")
        self.interval = paired_interval(before, after)
        return made

    def _right(self, model: Any) -> NDArray[np.bool_]:
        if self.validation is None:
            raise ValueError("nothing to validate on")
        run = int8.runner(model)
        answers = np.concatenate([run(x) for x in self.validation.inputs])
        return np.asarray(answers.argmax(1) == self.validation.labels)


def lost(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> float:
    """Points of top-1 that were lost."""
    return 100 * float(before.mean() - after.mean())


def paired_interval(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> tuple[float, float]:
    """95 % for the points of top-1 that were lost, of the same pictures before and after (normal, paired)."""
    lost = before.astype(np.float64) - after
    half = Z95 * lost.std() / max(len(lost), 1) ** 0.5
    return 100 * float(lost.mean() - half), 100 * float(lost.mean() + half)
