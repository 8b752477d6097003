"""A journal's lines as curves over epochs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from reslearn.train.records.curves import curves

STEPS = [{"kind": "step", "step": step, "loss": 1.0 / (1 + step), "lr": 0.1} for step in range(6)]
EPOCH = {
    "kind": "epoch",
    "epoch": 1.5,
    "step": 6,
    "train_error": 0.5,
    "train_loss": 1.0,
    "val_error": None,
    "val_loss": None,
}


def record():
    return SimpleNamespace(recipe=SimpleNamespace(batch_size=8), split=SimpleNamespace(train=range(40)))


@pytest.mark.parametrize(
    ("journal", "step"),
    [(STEPS, 8 / 40), ([*STEPS, EPOCH], 1.5 / 6)],
    ids=["before the first epoch has ended", "as the last epoch says"],
)
def test_steps_lie_where_the_epochs_say(journal, step):
    found = curves(record(), journal)
    np.testing.assert_allclose(found.step_epoch, step * np.arange(1, 7))
    np.testing.assert_allclose(found.step_loss, [line["loss"] for line in STEPS])
    assert np.isnan(found.val_error).all() and len(found.val_error) == len(journal) - len(STEPS)
