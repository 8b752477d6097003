"""`plan` shows its spread, and on a busy machine it neither suggests nor praises settings."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image as Pillow

from reslearn.cli.app import main
from reslearn.runtime.load import Load, Watcher

TINY = ["--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--epochs", "1"]
TINY += ["--set", "spec.stage_blocks=[1,1,1]", "--set", "batch_size=8", "--set", "settings.compile=false"]
PLAN = ["plan", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--seconds", "0.2"]
PLAN += ["--set", "spec.stage_blocks=[1,1,1]", "--set", "batch_size=16"]


@pytest.mark.parametrize(
    ("found", "busy", "words"),
    [
        (Load(0.0, 2, 2, 0.05), "", "nothing: these settings are the best known"),
        (Load(1.6, 2, 2, 0.05), "other programs used 1.6 of 2 cores", "nothing can be told on a busy machine"),
        (Load(0.0, 2, 2, 0.6), "equal steps took times that vary by 60 %", "nothing can be told on a busy machine"),
    ],
)
def test_a_plan_says_what_its_times_are_worth(found, busy, words, monkeypatch, capsys):
    monkeypatch.setattr(Watcher, "load", lambda self, times=(): found)
    assert main(PLAN) == 0
    printed = capsys.readouterr().out
    assert words in printed and f"spread {100 * found.spread:.1f} %" in printed
    assert (f"busy      {busy}" in printed) == bool(busy)


def test_slow_steps_of_a_busy_machine_suggest_nothing(monkeypatch, capsys):
    """Compilation would pay by the time that a busy machine takes; that time is not the machine's own."""
    from reslearn.jobs import plan

    monkeypatch.setattr(plan, "saved_seconds", lambda *values: 1e6)
    monkeypatch.setattr(plan, "has_compiler", lambda: True)
    for others, suggested in ((0.0, "--set settings.compile=true"), (1.9, "")):
        monkeypatch.setattr(Watcher, "load", lambda self, times=(), others=others: Load(others, 2, 2))
        assert main([*PLAN, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["suggestion"] == suggested


@pytest.mark.parametrize("command", ["plan", "train", "crossval"])
def test_a_damaged_picture_is_named_with_what_to_do_about_it(command, tmp_path, capsys):
    draw = np.random.default_rng(0)
    for i in range(32):
        path = tmp_path / "pets" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(draw.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    for path in (tmp_path / "pets").rglob("*.png"):
        if path.stem in ("3", "8"):  # whichever part they come to lie in
            path.write_bytes(path.read_bytes()[:300])
    where = [] if command == "plan" else ["--out", str(tmp_path / "out")]
    more = {"plan": ["--seconds", "0.1"], "train": [], "crossval": ["--folds", "2"]}[command]
    given = [command, str(tmp_path / "pets"), *TINY, *where, *more]
    assert main(given) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "damaged or truncated" in line and f"`reslearn data check {tmp_path / 'pets'}`" in line
    assert line.endswith("--on-bad-file skip")
    shutil.rmtree(tmp_path / "out", ignore_errors=True)  # where a run had begun
    assert main([*given, "--on-bad-file", "skip"]) == 0
