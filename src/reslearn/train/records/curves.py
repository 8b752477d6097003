"""How a run went, read off its journal: what figures draw."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...report.values import Curves
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
