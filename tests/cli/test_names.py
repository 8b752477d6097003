"""One thing, one name: today's are in every help, those of before still work and are in none."""

from __future__ import annotations

import re

import pytest

from reslearn.cli.app import main
from reslearn.cli.names import BEFORE, as_typed, renamed

WRITERS = ("train", "crossval", "demo", "evaluate", "compare", "ensemble", "convert", "data check", "data split",
           "data preview", "data pack", "data download", "data export", "predict", "explain", "export", "features",
           "card", "draw", "sweep", "plan", "paper report")  # fmt: skip
READERS = ("evaluate", "calibrate", "ensemble", "compare", "predict", "features", "train", "crossval", "plan", "sweep")


def helped(capsys, command):
    assert main([*command.split(), "--help"]) == 0
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())


@pytest.mark.parametrize("command", WRITERS)
def test_the_main_output_is_called_out(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = helped(capsys, command)
    assert "--out" in text and " -o" in text
    for old in BEFORE.get(command, ()):
        assert not re.search(rf"{old}\b", text), old


@pytest.mark.parametrize("command", READERS)
def test_who_reads_pictures_takes_a_device_and_workers(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = helped(capsys, command)
    assert "--device" in text and "--workers" in text


def test_old_names_become_new_ones():
    assert renamed(["data", "check", "x", "--manifest=m.json"]) == ["data", "check", "x", "--out=m.json"]
    assert as_typed("--out") == "--manifest"
    assert renamed(["train", "x", "--weights", "w"]) == ["train", "x", "--weights", "w"]
    assert as_typed("--out") == "--out"
    assert renamed(["ensemble", "a", "--weights", "1,2"]) == ["ensemble", "a", "--member-weights", "1,2"]
    assert renamed(["evaluate", "--", "--report"]) == ["evaluate", "--", "--report"]
    assert renamed([]) == [] and renamed(["data"]) == ["data"]
