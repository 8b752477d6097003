"""The journal as TensorBoard events, read back by TensorBoard's own reader."""

from __future__ import annotations

import json

import pytest

from reslearn.spec.errors import UserError
from reslearn.train.tensorboard import write_events


def test_tensorboard_reads_what_the_journal_says(tmp_path):
    pytest.importorskip("tensorboard", reason="needs tensorboard: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    lines = [{"kind": "step", "step": s, "loss": 2.0 / (s + 1), "lr": 0.1} for s in range(5)]
    lines.append({"kind": "gradients", "step": 5, "norms": {"head.fc.weight": 0.25}})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    events = EventAccumulator(str(write_events(tmp_path)))
    events.Reload()
    assert [round(e.value, 5) for e in events.Scalars("step/loss")] == [round(2 / (s + 1), 5) for s in range(5)]
    assert events.Scalars("gradients/head.fc.weight")[0].value == 0.25


def test_a_folder_without_a_journal_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no metrics"):
        pytest.importorskip("tensorboard", reason="needs tensorboard: pip install tensorboard")
        write_events(tmp_path)
