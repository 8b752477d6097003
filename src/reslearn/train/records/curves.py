"""How a run went, read off its journal: what figures draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...report.values import Curves, Floats
from .run import RunRecord


def curves(record: RunRecord, journal: list[dict[str, Any]]) -> Curves:
    """The journal's lines as arrays, x in epochs."""
    steps = [line for line in journal if line["kind"] == "step"]
    epochs = [line for line in journal if line["kind"] == "epoch"]
    per_step = record.recipe.batch_size / max(len(record.split.train), 1)
    if epochs:
        per_step = epochs[-1]["epoch"] / epochs[-1]["step"]

    def column(lines: list[dict[str, Any]], name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([np.nan if line[name] is None else line[name] for line in lines], dtype=np.float64)

    return Curves(
        step_epoch=(column(steps, "step") + 1) * per_step,
        step_loss=column(steps, "loss"),
        step_lr=column(steps, "lr"),
        epoch=column(epochs, "epoch"),
        train_error=column(epochs, "train_error"),
        val_error=column(epochs, "val_error"),
        train_loss=column(epochs, "train_loss"),
        val_loss=column(epochs, "val_loss"),
    )


def sealed_curves(record: RunRecord, journal: list[dict[str, Any]], val: Mapping[str, Any] | None) -> Curves:
    """The same of a finished run: at the epoch whose weights were sealed, validation is their score `val` in fp32 (an
    `evaluate` object), so that a page has one number for one thing."""
    drawn = curves(record, journal)
    if val is None:
        return drawn
    end: dict[str, Any] = next((line for line in reversed(journal) if line["kind"] == "end"), {})
    kept = end.get("best_epoch") if record.recipe.select == "best" else None
    known = np.flatnonzero(np.isfinite(drawn.val_error))
    place = known[-1:] if kept is None else known[drawn.epoch[known] == kept]
    return replace(
        drawn,
        val_error=_with(drawn.val_error, place, 100 - 100 * val["top1"]),
        val_loss=_with(drawn.val_loss, place, val["loss"]),
        kept=kept if place.size else None,
    )


def _with(measured: Floats, place: np.ndarray[Any, np.dtype[np.intp]], sealed: float) -> Floats:
    found = measured.copy()
    found[place] = sealed
    return found
