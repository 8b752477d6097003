"""Fit a sealed model's temperature and threshold on pictures that it was not trained on, and store them in the file."""

from __future__ import annotations

import os
from typing import Any

from ..bundle.file import load, reseal
from ..measure.calibration import brier, choose_threshold, fit_temperature, reliability
from ..measure.metrics import loss
from ..spec.errors import UserError
from .evaluation import Data, evaluate_subject, open_for, subject_of, training_of


def calibrate_model(
    model: str | os.PathLike[str],
    data: Data,
    *,
    split: str = "val",
    target_precision: float | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Fit on `split` of `data` and reseal the model's file; returns what was fitted and the numbers before and after.

    A model calibrated on test pictures is marked so in its file. Raises `UserError` for the pictures it was trained
    on, and for a precision that no threshold reaches.
    """
    loaded = load(model, device=device)
    dataset = open_for([loaded], data)
    subject = subject_of(training_of(loaded), dataset, split)
    if subject.split == "train":
        raise UserError("a temperature fitted on the training pictures is worthless; use --split val")
    scores = evaluate_subject(loaded, subject, dataset, device=device)
    logits, labels = scores.logits, scores.labels
    temperature = fit_temperature(logits, labels)
    threshold, coverage, precision = None, 1.0, scores.top1
    if target_precision is not None:
        threshold, coverage, precision = choose_threshold(
            logits, labels, precision=target_precision, temperature=temperature
        )
    marks = {"selected_on": "test"} if subject.split == "test" else {}
    reseal(loaded.path, temperature=temperature, threshold=threshold, data=(loaded.bundle.data or {}) | marks)
    return {
        "model": str(loaded.path),
        "split": subject.split,
        "images": scores.images,
        "temperature": temperature,
        "threshold": threshold,
        "coverage": coverage,
        "precision": precision,
        "before": _numbers(logits, labels, 1.0),
        "after": _numbers(logits, labels, temperature),
        "selected_on_test": subject.split == "test" or scores.selected_on_test,
    }


def _numbers(logits: Any, labels: Any, temperature: float) -> dict[str, float]:
    return {
        "nll": loss(logits, labels, temperature),
        "ece": reliability(logits, labels, temperature=temperature).ece,
        "brier": brier(logits, labels, temperature),
    }
