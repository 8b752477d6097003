"""Fit a sealed model's temperature and threshold on pictures that it was not trained on, and store them in the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle.file import Loaded, load, reseal
from ..data.dataset import Indices
from ..data.parts.keys import Keys
from ..data.parts.known import Known
from ..engine.scorer import Logits
from ..measure.calibration import brier, choose_threshold, fit_temperature, reliability
from ..measure.confusion import confusion_matrix
from ..measure.evaluation import Evaluation
from ..measure.metrics import loss
from ..measure.scoring import Scoring
from ..runtime.addresses import is_address
from ..runtime.notes import say
from ..spec.choices import Engine
from ..spec.codec import fields_to_json
from ..spec.errors import UserError
from ..spec.rule import is_number
from ..spec.seen import Seen
from ..spec.text import counted
from .evaluation import evaluate_subject
from .subject import Data, open_for, subject_of, training_of
from .unseen import Watched, recogniser, watched
from .worth import calibrated


@dataclass(frozen=True)
class Belief:
    """How far probabilities can be believed."""

    nll: float
    ece: float
    brier: float


@dataclass(frozen=True)
class FittedBelief(Belief):
    """Of the very pictures that the temperature was fitted on."""

    seen: Seen


@dataclass(frozen=True)
class Calibrated:
    """What `calibrate` fitted and stored, and the numbers before and after."""

    model: Path
    split: str
    images: int
    engine: Engine
    temperature: float  # that the file answers with: the fitted one, else what it had before, else 1
    fitted: bool  # whether the pictures tell one
    threshold: float | None
    coverage: float  # of the threshold: which share of the pictures is answered
    precision: float  # and how many of the answers are right, both in 0..1
    before: Belief
    after: FittedBelief
    seen: Seen
    selected_on_test: bool

    def __repr__(self) -> str:
        what = f"temperature {self.temperature:.3g}" + ("" if self.fitted else ", none fitted,")
        return (
            f"Calibrated({self.model}: {what} on {counted(self.images, 'picture')} of "
            f"{self.split}, loss {self.before.nll:.4f} -> {self.after.nll:.4f})"
        )

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return fields_to_json(self)


def calibrate_model(
    model: str | os.PathLike[str],
    data: Data,
    *,
    target_precision: float | None = None,
    scoring: Scoring = Scoring(),  # noqa: B008 - a frozen value
) -> Calibrated:
    """Fit a temperature on the split of `data` that `scoring` names (`val` if none) and reseal the model's file.

    Says where it is worth little. Where the pictures tell no temperature (no mistake among them), the file keeps its
    own, or gets 1, which changes nothing.

    The file recognises the pictures ever after as selected on, and one calibrated on test pictures is marked so. Raises
    `UserError` for the pictures it was trained on, unless `scoring` says what becomes of them, and for a precision that
    no threshold reaches.
    """
    if is_address(model):
        raise UserError(f"{model}: fetched weights are not changed; make them a file: reslearn convert {model} -o FILE")
    loaded = load(model, device=scoring.device or "cpu")
    dataset = open_for([loaded], data)
    subject = subject_of(training_of(loaded), dataset, scoring.split or "val")
    if subject.split == "train":
        raise UserError("a temperature fitted on the training pictures is worthless; use --split val")

    def scored(watches: Sequence[Watched]) -> tuple[Evaluation, Keys, Seen]:
        lookout = watches[0].lookout
        scores, rows = evaluate_subject(loaded, watches[0], dataset, scoring), lookout.pictures.rows
        return scores, rows, lookout.seen(recogniser(loaded, dataset), Known().with_pictures(selected=rows))

    scores, rows, after = watched([loaded], [subject], dataset, scoring, scored)
    logits, labels = scores.logits, scores.labels
    fitted = fit_temperature(logits, labels)
    temperature = fitted or loaded.bundle.temperature or 1.0
    threshold, coverage, precision = None, 1.0, scores.top1
    unreached = None
    if target_precision is not None:
        try:
            threshold, coverage, precision = choose_threshold(
                logits, labels, precision=target_precision, temperature=temperature
            )
        except UserError as error:
            if not (is_number(target_precision) and 0 < target_precision <= 1):
                raise
            unreached = error
    kept = loaded.bundle.threshold if fitted is None and threshold is None else threshold  # of the same temperature
    _store(loaded, rows, temperature, kept, on_test=subject.split == "test")
    before, after_fit = _numbers(logits, labels, 1.0), _numbers(logits, labels, temperature)
    confusion = confusion_matrix(logits, labels)
    for line in calibrated(confusion, gain=before[0] - after_fit[0], temperature=fitted):
        say(f"advice    {line}")
    if unreached is not None:
        raise UserError(
            f"{unreached}; "
            + ("no temperature is fitted" if fitted is None else f"the temperature {fitted:.4g} is stored all the same")
        )
    return Calibrated(
        model=loaded.path,
        split=subject.split,
        images=scores.images,
        engine=scores.engine,
        temperature=temperature,
        fitted=fitted is not None,
        threshold=threshold,
        coverage=coverage,
        precision=precision,
        before=Belief(*before),
        after=FittedBelief(*after_fit, seen=after),
        seen=scores.seen,
        selected_on_test=subject.split == "test" or scores.selected_on_test,
    )


def _store(model: Loaded, rows: Keys, temperature: float, threshold: float | None, *, on_test: bool) -> None:
    """Reseal the file with what was chosen on the pictures of `rows`, and with these among those it was selected on."""
    reseal(
        model.path,
        known=model.known if model.known.forgotten else model.known.with_pictures(selected=rows),
        temperature=temperature,
        threshold=threshold,
        data=(model.bundle.data or {}) | ({"selected_on": "test"} if on_test else {}),
    )


def _numbers(logits: Logits, labels: Indices, temperature: float) -> tuple[float, float, float]:
    ece = reliability(logits, labels, temperature=temperature).ece
    return loss(logits, labels, temperature), ece, brier(logits, labels, temperature)
