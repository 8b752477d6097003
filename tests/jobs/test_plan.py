"""`plan` shows its spread, and on a busy machine it neither suggests nor praises settings."""

from __future__ import annotations

import json

import pytest

from reslearn.cli.app import main
from reslearn.runtime.load import Load, Watcher

PLAN = ["plan", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--seconds", "0.2"]
PLAN += ["--set", "spec.stage_blocks=[1,1,1]", "--set", "batch_size=16"]


@pytest.mark.parametrize(
    ("found", "busy", "words"),
    [
        (Load(0.0, 2, 2, 0.05), "", "nothing: these settings are the best known"),
        (Load(1.6, 2, 2, 0.05), "other programs used 1.6 of 2 cores", "nothing can be told on a busy machine"),
        (Load(0.0, 2, 2, 0.6), "equal steps took times that vary by 60%", "nothing can be told on a busy machine"),
    ],
)
def test_a_plan_says_what_its_times_are_worth(found, busy, words, monkeypatch, capsys):
    monkeypatch.setattr(Watcher, "load", lambda self, times=(): found)
    assert main(PLAN) == 0
    printed = capsys.readouterr().out
    assert words in printed and f"spread {found.spread:.1%}" in printed
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
