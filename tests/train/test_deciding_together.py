"""Two processes whose batch norms differ decide once: one rate history, one best epoch, one end, the same weights."""

from __future__ import annotations

import itertools
import json
import sys
import time

import pytest

from reslearn.train import execute

from .test_processes import digest, finish, journal, kill_all, launch

# Trains once for each combination given as JSON in argv[2] and prints what every process was left with. With a script
# of validation errors (argv[3]) the second process is told others, on which it would decide otherwise.
TRAIN = """
import json, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from reslearn.data.memory import Subset
from reslearn.data.sources import open_data
from reslearn.runtime.process_group import World, from_environment
from reslearn.runtime.settings import Settings
from reslearn.spec.net import NetSpec
from reslearn.spec.recipe import Recipe
from reslearn.train import execute, fit, together

out, combinations, script = Path(sys.argv[1]), json.loads(sys.argv[2]), json.loads(sys.argv[3])
world = from_environment()
spec = NetSpec(
    "tiny", stem="cifar", stem_channels=8, block="basic", stage_blocks=(1, 1), stage_channels=(8, 16), shortcut="A"
)
base = Recipe(
    "tiny", "test", iterations=40, batch_size=64, lr=0.1, schedule="constant", image_size=8, validate_every=1.0,
    checkpoint_every=0.05,
)
data = open_data("digits")
parts = Subset(data, np.arange(256)), Subset(data, np.arange(256, 320))
ended, check = [], together.check_equal

def seen(net, where):
    ended.append(together.digest(net))
    check(net, where)

execute.check_equal = seen
if script:
    errors = iter(())
    execute.provisional = lambda record, data, mean: lambda net: next(errors)
found = []
for name, fields in combinations.items():
    errors = iter([(1.0, e if world.first else 100 - e) for e in script])
    run = fit.fit(spec, *parts, replace(base, **fields), out=out / name, settings=Settings(threads=1))
    found.append([run.best_epoch, run.val["loss"], ended[-1]])
(out / f"rank{world.rank}.json").write_text(json.dumps(found))
"""
CHOICES = {
    "schedule": {"plateau": {"schedule": "plateau", "patience": 1.0, "gamma": 0.5}, "constant": {}},
    "select": {"best": {"select": "best"}, "last": {}},
    "stop": {"stop": {"early_stop": 3.0}, "on": {}},
}
COMBINATIONS = {
    "-".join(names): {
        key: value for kind, name in zip(CHOICES, names, strict=True) for key, value in CHOICES[kind][name].items()
    }
    for names in itertools.product(*CHOICES.values())
}
SCRIPT = [50.0, 40.0, 41.0, 39.0, 39.5, 39.5, 39.5, 39.0, 38.0, 38.5]


def train(folder, processes, combinations, script=()):
    """Train every combination in as many processes; what each of them printed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.py").write_text(TRAIN)
    finish(launch(processes, [folder / "train.py", folder, json.dumps(combinations), json.dumps(list(script))]))
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(processes)]


def rates(folder):
    return [line["lr"] for line in journal(folder, "step")]


def test_two_processes_decide_as_one_does(tmp_path, monkeypatch):
    """By a script of errors; the second process sees other errors, and must not act on them."""
    chosen = {
        name: dict(fields)
        for name, fields in COMBINATIONS.items()
        if name in ("plateau-best-stop", "constant-last-stop")
    }
    chosen["constant-last-stop"]["bn_statistics"] = "exact"
    first, second = train(tmp_path / "two", 2, chosen, SCRIPT)
    assert first == second, "the same best epoch, score and weights in both"
    (tmp_path / "one").mkdir()
    monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "one"), json.dumps(chosen), json.dumps(SCRIPT)])
    monkeypatch.setattr(execute, "provisional", None)  # the program replaces both
    monkeypatch.setattr(execute, "check_equal", execute.check_equal)
    exec(TRAIN, {})
    alone = json.loads((tmp_path / "one" / "rank0.json").read_text())
    assert [row[0] for row in first] == [row[0] for row in alone] == [4.0, 4.0]
    for name in chosen:
        one, two = rates(tmp_path / "one" / name), rates(tmp_path / "two" / name)
        assert one == two
        assert len(one) == 28, "ends three epochs after its best, the fourth"
    assert sorted(set(rates(tmp_path / "two" / "plateau-best-stop"))) == [0.0125, 0.025, 0.05, 0.1]


@pytest.mark.slow
def test_every_combination_ends_with_the_same_weights(tmp_path):
    first, second = train(tmp_path, 2, COMBINATIONS)
    assert first == second
    for name in COMBINATIONS:
        epochs = journal(tmp_path / name, "epoch")
        assert [line["step"] for line in journal(tmp_path / name, "step")] == list(range(epochs[-1]["step"]))


@pytest.mark.slow
@pytest.mark.parametrize("draw", range(5))
def test_killed_and_resumed_they_decide_the_same(draw, tmp_path):
    folder = tmp_path / "whole"
    common = ["digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32"]
    common += ["--set", "spec.stage_blocks=[1,1,1]", "--set", "settings.threads=1", "--epochs", "6", "--set", "lr=0.2"]
    common += ["--set", "schedule=plateau", "--set", "patience=1", "--set", "gamma=0.5", "--set", "select=best"]
    common += ["--set", "early_stop=2", "--set", "checkpoint_every=0.2", "--set", "validate_every=0.5"]
    started = time.monotonic()
    finish(launch(2, ["-m", "reslearn", "train", *common, "--out", folder]))
    seconds = time.monotonic() - started
    run = tmp_path / "run"
    process = launch(2, ["-m", "reslearn", "train", *common, "--out", run])
    time.sleep(seconds * (0.5 + 0.09 * draw))
    kill_all(process)
    again = ["resume", run] if (run / "run.json").exists() else ["train", *common, "--out", run]
    finish(launch(2, ["-m", "reslearn", *again]))
    assert digest(run) == digest(folder)
    assert rates(run) == rates(folder)
    assert [line["val_error"] for line in journal(run, "epoch")] == [
        line["val_error"] for line in journal(folder, "epoch")
    ]
