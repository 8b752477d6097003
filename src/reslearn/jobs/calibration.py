"""Fit a sealed model's temperature and threshold on pictures that it was not trained on, and store them in the file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ..bundle.file import load, reseal
from ..data.parts.keys import Keys
from ..data.parts.known import Known
from ..measure.calibration import brier, choose_threshold, fit_temperature, reliability
from ..measure.evaluation import Evaluation
from ..measure.metrics import loss
from ..measure.scoring import Scoring
from ..spec.errors import UserError
from ..spec.seen import Seen
from .evaluation import evaluate_subject
from .subject import Data, open_for, subject_of, training_of
from .unseen import Watched, recogniser, watched


def calibrate_model(
    model: str | os.PathLike[str],
    data: Data,
    *,
    target_precision: float | None = None,
    scoring: Scoring = Scoring(),  # noqa: B008 - a frozen value
) -> dict[str, Any]:
    """Fit a temperature on the split of `data` that `scoring` names (`val` if none) and reseal the model's file.

    Returns what was fitted and the numbers before and after. The file recognises the pictures ever after as selected
    on, and one calibrated on test pictures is marked so. Raises `UserError` for the pictures it was trained on, unless
    `scoring` says what becomes of them, and for a precision that no threshold reaches.
    """
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
    temperature = fit_temperature(logits, labels)
    threshold, coverage, precision = None, 1.0, scores.top1
    if target_precision is not None:
        threshold, coverage, precision = choose_threshold(
            logits, labels, precision=target_precision, temperature=temperature
        )
    marks = {"selected_on": "test"} if subject.split == "test" else {}
    reseal(
        loaded.path,
        known=loaded.known if loaded.known.forgotten else loaded.known.with_pictures(selected=rows),
        temperature=temperature,
        threshold=threshold,
        data=(loaded.bundle.data or {}) | marks,
    )
    return {
        "model": str(loaded.path),
        "split": subject.split,
        "images": scores.images,
        "engine": scores.engine,
        "temperature": temperature,
        "threshold": threshold,
        "coverage": coverage,
        "precision": precision,
        "before": _numbers(logits, labels, 1.0),
        "after": _numbers(logits, labels, temperature) | {"seen": after.to_json()},  # fitted on these very pictures
        "seen": scores.seen.to_json(),
        "selected_on_test": subject.split == "test" or scores.selected_on_test,
    }


def _numbers(logits: Any, labels: Any, temperature: float) -> dict[str, Any]:
    return {
        "nll": loss(logits, labels, temperature),
        "ece": reliability(logits, labels, temperature=temperature).ece,
        "brier": brier(logits, labels, temperature),
    }
