"""`bench` measures the processor first where nothing is kept, and says when the machine was busy."""

from __future__ import annotations

import json

import fsspec
import numpy as np
import pytest
from PIL import Image

from reslearn.cli.app import main
from reslearn.cli.bench import settings_of
from reslearn.jobs import bench, bench_reading
from reslearn.runtime import load, measuring
from reslearn.runtime.choice import this_machine
from reslearn.runtime.load import Load
from reslearn.runtime.machine import Rates, kept_rates
from reslearn.spec.errors import UserError
from reslearn.train import checkpoint
from reslearn.train.loop import Diverged

SMALL = {"batch": 4, "image_size": 8, "steps": 4, "changes": {"compile": "false"}}


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """How often the processor was measured; it does bf16 twice as fast, on a quiet machine unless `others` says."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls = []

    def measure(count):
        calls.append(count)
        rates = Rates(count, {"fp32": 100.0, "bf16": 200.0}, source="measured here on 2026-01-02")
        return rates, Load(measured_load["others"], 2, count)

    measured_load = {"others": 0.0}
    monkeypatch.setattr(measuring, "measure", measure)
    return calls, measured_load


def test_bench_measures_once_and_settings_follow_from_it(measured):
    calls, _ = measured
    said = []
    first = bench.bench_train("resnet20_cifar", **SMALL, say=said.append)
    assert len(calls) == 1 and any("kept in" in line for line in said)
    assert first.settings.precision == "bf16" and "measured here on 2026-01-02" in first.settings.source
    second = bench.bench_infer("resnet20_cifar", **SMALL)
    assert len(calls) == 1 and second.settings.precision == "bf16"
    assert {"images_per_second", "n", "spread", "load", "first_step_seconds", "settings"} <= first.to_json().keys()


def test_a_bench_over_many_epochs_counts_steps_and_no_checkpoints(measured, monkeypatch):
    kept = []
    monkeypatch.setattr(checkpoint, "save", lambda *about: kept.append(about))
    bench.bench_train("resnet20_cifar", batch=512, image_size=8, steps=4, changes={"compile": "false"})
    assert len(kept) == 1  # after the last step, which was counted before; the 1,024 pictures are two steps an epoch


def test_on_a_busy_machine_nothing_is_kept_and_the_bench_says_so(measured):
    calls, measured_load = measured
    measured_load["others"] = 1.5
    said = []
    bench.bench_train("resnet20_cifar", **SMALL, say=said.append)
    assert any("not kept: other programs used 1.5" in line for line in said)
    machine = this_machine()
    assert calls and kept_rates(machine.processor, machine.threads) == (None, "")


def test_what_cannot_be_measured_is_refused_before_anything_is(measured):
    with pytest.raises(UserError, match="cuda:99"):
        bench.bench_train("resnet20_cifar", changes={"device": "cuda:99"})
    assert measured[0] == []


def test_a_busy_bench_prints_its_load(measured, monkeypatch, capsys):
    monkeypatch.setattr(load.Watcher, "load", lambda self, times=(): Load(1.9, 2, 2, 0.01))
    options = ["--model", "resnet20_cifar", "--batch", "4", "--image-size", "8", "--steps", "3"]
    assert main(["bench", "infer", *options, "--set", "compile=false"]) == 0
    printed = capsys.readouterr().out
    assert "busy      other programs used 1.9 of 2 cores meanwhile: measure again when the machine is quiet" in printed
    assert "spread" in printed and "because   bf16: bf16 does 2.00 times" in printed
    assert main(["bench", "infer", *options, "--set", "compile=false", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["load"]["busy"].startswith("other programs")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--model", "resnet18", "--image-size", "32", "--batch", "1"], ["--batch 2", "larger --image-size"]),
        (["--recipe", "paper-cifar", "--batch", "100"], ["--batch 64", "another --recipe"]),
        (["--set", "compile"], ["--set compile=false"]),
    ],
)
def test_what_cannot_be_trained_is_mended_by_options_of_its_own(options, words, measured, capsys):
    assert main(["bench", "train", *options]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reslearn: ")]
    assert len(lines) == 1 and all(word in lines[0] for word in words), lines
    assert not any(word in lines[0] for word in ("batch_size=", "bn_batch=", "freeze_bn=", "lr=")), lines


def test_a_batch_that_processes_cannot_share_is_told_by_its_option(measured, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match=r"^--batch is 3; .* e\.g\. --batch 4$"):
        bench.bench_train("resnet20_cifar", batch=3)


def test_steps_that_diverge_are_no_measurement(measured, monkeypatch):
    def diverge(work):
        raise Diverged("/somewhere: the loss became nan; --set lr=0.1")

    monkeypatch.setattr(bench, "train", diverge)
    with pytest.raises(UserError, match=r"bench train: the loss of resnet20_cifar.*--recipe, --precision or --model$"):
        bench.bench_train("resnet20_cifar", **SMALL)


def test_settings_are_named_as_a_training_names_them_too():
    assert settings_of(["settings.compile=false", "threads=2"]) == {"compile": "false", "threads": "2"}


@pytest.mark.parametrize(
    ("reading", "decoding", "said"), [(0.01, 1e9, "elsewhere"), (1e9, 0.01, "decoding"), (1e9, 1e9, "computing")]
)
@pytest.mark.parametrize("place", ["disk", "network"])
def test_what_is_slowest_holds_a_training_back(place, reading, decoding, said, tmp_path, monkeypatch):
    for i in range(8):
        (tmp_path / "set" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 30 * i, np.uint8)).save(tmp_path / "set" / "ab"[i % 2] / f"{i}.png")
    fsspec.filesystem("memory").put(str(tmp_path / "set"), "/benched", recursive=True)
    timed = bench_reading._timed
    rates = iter((reading, decoding))
    monkeypatch.setattr(bench_reading, "_timed", lambda *what: (timed(*what)[0], next(rates)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = str(tmp_path / "set") if place == "disk" else "memory://benched"
    _, found = bench_reading.bench_data(path, batch=4, steps=2, model="resnet20_cifar", image_size=8)
    assert found.held_back_by == (place if said == "elsewhere" else said) and found.computing > 0.01
