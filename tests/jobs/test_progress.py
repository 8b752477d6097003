"""The live line of a training: a bar on a terminal, one line of a cell in a notebook, else lines now and then."""

from __future__ import annotations

import io

import pytest

from reslearn.jobs import progress
from reslearn.train.events import Reading, Tick

TICKS = [Tick(step, 2, step / 2, 1.25, 40.0, 0.1, 500.0, None) for step in (1, 2)]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_has_a_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with progress.watching() as watch:
        for event in (Reading(3, 3), *TICKS):
            watch(event)
    drawn = progress.sys.stderr.getvalue()
    assert "100%" in drawn and "epoch 1.00  loss 1.250  train 60.0 % right" in drawn and "\x1b[" in drawn


def test_a_bar_begins_with_what_is_done_and_breaks_no_line_that_is_said_meanwhile(monkeypatch):
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    screen = progress.sys.stderr
    with progress.watching():
        pass
    assert screen.getvalue() == ""
    line = "advice    " + "of new pictures it may be anything, " * 4 + "(95 %)"
    with progress.watching() as watch:
        watch(TICKS[-1])
        progress.say(line)
    assert line in screen.getvalue()


def test_a_pipe_has_lines(monkeypatch, capsys):
    with progress.watching() as watch:
        for tick in TICKS:
            watch(tick)
    assert capsys.readouterr().err.splitlines()[-1].startswith("step 2/2  epoch 1.00  loss 1.250")


def test_what_is_not_trained_on_has_its_name(capsys):
    with progress.watching(held="test") as watch:
        watch(Tick(2, 2, 1.0, 1.25, 40.0, 0.1, 500.0, 25.0))
    assert "test 75.00 % right" in capsys.readouterr().err


def test_a_notebook_has_one_line_that_is_rewritten(monkeypatch):
    shown = []

    class Handle:
        def update(self, what, raw):
            shown.append(what["text/html"])

    def display(what, raw, display_id):
        shown.append(what["text/html"])
        return Handle()

    monkeypatch.setattr(progress, "_notebook_display", lambda: display)
    with progress.watching() as watch:
        for tick in TICKS:
            watch(tick)
    assert [one.startswith(f'<progress value="{i}" max="2"') for i, one in enumerate(shown, 1)] == [True, True]
    assert pytest.approx(1.25) == float(shown[-1].split("loss ")[1].split()[0])
