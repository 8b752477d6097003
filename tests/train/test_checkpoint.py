"""Checkpoints: the two newest and the best are kept, whole ones alone are believed, and only those of the own run."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reslearn.nets.build import create_model
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError
from reslearn.train import checkpoint
from reslearn.train.checkpoint import Progress
from reslearn.train.schedule import RateState
from reslearn.train.update import Update


@pytest.fixture
def update(tiny_spec, tiny_recipe):
    torch.manual_seed(0)
    return Update(create_model(tiny_spec, num_classes=10), replace(tiny_recipe, ema_decay=0.9), Settings())


def steps_in(folder):
    return sorted(path.name.rsplit("-", 1)[0] for path in folder.iterdir())


def test_the_two_newest_and_the_best_are_kept(update, tmp_path):
    progress = Progress()
    for step in (3, 7, 12, 1000, 1001):
        progress.step = step
        if step == 7:
            progress.best_file = checkpoint.save_best(tmp_path, update.net, step)
        if step == 12:
            checkpoint.save_best(tmp_path, update.net, step)  # and another, which is no longer the best
        checkpoint.save(tmp_path, update, progress)
    assert steps_in(tmp_path) == ["best-000000007", "step-000001000", "step-000001001"]


def test_all_of_a_progress_comes_back(update, tiny_spec, tmp_path):
    seen = RateState(holding=True, drops=2, best=3.5, best_epoch=1.25)
    progress = Progress(7, 0.3, 5.5, 99.0, 123, 4.5, 6, 64, 12.0, 1.5, "best-x", True, "me", seen, 2.5)
    checkpoint.save(tmp_path, update, progress)
    torch.manual_seed(1)
    other = Update(create_model(tiny_spec, num_classes=10), update.recipe, Settings())
    assert checkpoint.load_newest(tmp_path, other, "me") == progress
    for mine, theirs in ((other.net, update.net), (other.average, update.average)):
        pairs = zip(mine.state_dict().values(), theirs.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises(UserError, match="a checkpoint of another run"):
        checkpoint.load_newest(tmp_path, other, "you")
    assert checkpoint.load_newest(tmp_path, other) == progress, "an earlier release did not ask"


def test_whole_ones_alone_are_believed(update, tmp_path):
    assert not checkpoint.any_intact(tmp_path) and checkpoint.load_newest(tmp_path, update) is None
    path = checkpoint.save(tmp_path, update, Progress(step=1, run="me"))
    best = tmp_path / checkpoint.save_best(tmp_path, update.net, 1, "me")
    assert checkpoint.any_intact(tmp_path) and checkpoint.run_of(path) == checkpoint.run_of(best) == "me"
    checkpoint.load_best(tmp_path, best.name, update.net)
    renamed = path.with_name("other.safetensors")
    renamed.write_bytes(path.read_bytes())
    assert checkpoint.run_of(renamed) is None
    for file in (path, best):
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        assert checkpoint.run_of(file) is None
    assert not checkpoint.any_intact(tmp_path)
    with pytest.raises(OSError, match="the best weights of this run are lost"):
        checkpoint.load_best(tmp_path, best.name, update.net)
