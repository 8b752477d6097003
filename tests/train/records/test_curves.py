"""A journal's lines as curves over epochs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from reslearn.train.records.curves import curves, sealed_curves

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


def record(select="last"):
    return SimpleNamespace(recipe=SimpleNamespace(batch_size=8, select=select), split=SimpleNamespace(train=range(40)))


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


@pytest.mark.parametrize(("select", "errors", "kept"), [("last", [30, 10, 25], None), ("best", [30, 25, 40], 2.5)])
def test_validation_is_the_sealed_score_at_the_epoch_that_was_kept(select, errors, kept):
    measured = [(1.5, 30), (2.5, 10), (3.5, 40)]
    journal = [EPOCH | {"epoch": epoch, "val_error": error, "val_loss": error / 10} for epoch, error in measured]
    journal.append({"kind": "end", "best_epoch": 2.5})
    found = sealed_curves(record(select), journal, {"top1": 0.75, "loss": 0.7})
    assert found.val_error.tolist() == errors and found.kept == kept
    assert found.val_loss.tolist() == [0.7 if error == 25 else error / 10 for error in errors]
    assert sealed_curves(record(select), journal, None).val_error.tolist() == [30, 10, 40]
