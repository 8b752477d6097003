"""One thing, one name: today's are in every help, those of before still work and are in none."""

from __future__ import annotations

import re

import pytest
import typer

from reslearn.cli.app import app, main
from reslearn.cli.names import BEFORE, as_typed, renamed
from reslearn.spec.voice import FLAGS

READERS = ("evaluate", "calibrate", "ensemble", "compare", "predict", "features", "train", "crossval", "plan", "sweep")


def commands(group=None, path=""):
    """Every command of the program, by the words that call it."""
    for name, one in (group or typer.main.get_command(app)).commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, f"{path}{name} ")
        else:
            yield f"{path}{name}", one


COMMANDS = dict(commands())


def option(command, name):
    return next((one for one in COMMANDS[command].params if name in one.opts), None)


def helped(capsys, command):
    assert main([*command.split(), "--help"]) == 0
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().out).split())


def test_the_main_output_of_every_command_is_called_out():
    """`-o` and `--out` are one option, wherever there is either of them."""
    assert len(COMMANDS) > 30
    for name, command in COMMANDS.items():
        found = {tuple(sorted({"-o", "--out"} & {*one.opts})) for one in command.params} - {()}
        assert found <= {("--out", "-o")}, name
    main_outputs = ("train", "crossval", "sweep", "demo", "evaluate", "compare", "ensemble", "convert", "export",
                    "card", "features", "predict", "explain", "draw", "plan", "paper report", "data check",
                    "data split", "data preview", "data pack", "data export", "data download")  # fmt: skip
    assert {name for name in COMMANDS if option(name, "--out")} == {*main_outputs}


@pytest.mark.parametrize("command", BEFORE)
def test_names_of_before_are_in_no_help(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = helped(capsys, command)
    for old, new in BEFORE[command].items():
        assert new in text and option(command, new) and not option(command, old)
        assert not re.search(rf"{old}\b", text.replace("reslearn weights", "")), old


@pytest.mark.parametrize("command", READERS)
def test_who_reads_pictures_for_a_network_takes_a_device_and_workers(command):
    assert option(command, "--device") and option(command, "--workers")


def test_helps_name_what_lists_recipes_and_fields():
    for name in COMMANDS:
        recipe, changes = option(name, "--recipe"), option(name, "--set")
        assert recipe is None or "`reslearn recipes`" in recipe.help, name
        if changes is not None and not name.startswith("bench"):
            lists = "reslearn show M --json" if name in ("show", "convert") else "reslearn recipes R --fields"
            assert lists in changes.help, name


def test_old_names_become_new_ones():
    assert renamed(["data", "check", "x", "--manifest=m.json"]) == ["data", "check", "x", "--out=m.json"]
    assert as_typed("--out") == "--manifest"
    assert renamed(["train", "x", "--weights", "w"]) == ["train", "x", "--weights", "w"]
    assert as_typed("--out") == "--out"
    assert renamed(["ensemble", "a", "--weights", "1,2"]) == ["ensemble", "a", "--member-weights", "1,2"]
    assert renamed(["evaluate", "--", "--report"]) == ["evaluate", "--", "--report"]
    assert renamed([]) == [] and renamed(["data"]) == ["data"]


@pytest.mark.parametrize(
    ("command", "both"),
    [
        (["evaluate", "m", "d", "--report", "a.html", "--out", "b.html"], "--report and --out"),
        (["evaluate", "m", "d", "--out=b.html", "--report=a.html"], "--out and --report"),
        (["data", "check", "d", "-o", "a.json", "--manifest", "a.json"], "-o and --manifest"),
        (["data", "check", "d", "-oa.json", "--manifest", "a.json"], "-o and --manifest"),
        (["ensemble", "a", "b", "--weights", "1,2", "--member-weights", "2,1"], "--weights and --member-weights"),
        (["plan", "d", "--html", "a.html", "--out", "b.html"], "--html and --out"),
        (["train", "d", "-o", "a", "--out", "b"], "-o and --out"),
    ],
)
def test_one_option_by_two_names_is_refused_for_one_of_them_would_be_dropped(command, both, capsys):
    assert main(command) == 2
    said = capsys.readouterr().err
    assert f"{both} are two names of one option" in said and said.count("\n") == 1


def test_every_old_name_is_refused_beside_todays(capsys):
    for command, names in BEFORE.items():
        for old, new in names.items():
            assert main([*command.split(), "x", old, "1", new, "2"]) == 2
            assert f"{old} and {new} are two names" in capsys.readouterr().err


def test_flags_values_and_what_stands_behind_two_dashes_are_no_names(capsys):
    for words in (
        ["--json", "--json"],
        ["-o", "a.html", "-o", "b.html"],
        ["--cache", "-o1"],
        ["--", "--report", "--out"],
    ):
        main(["evaluate", "/nowhere/m", "d", *words])
        assert "two names" not in capsys.readouterr().err


def test_messages_know_which_options_are_flags():
    """What is said of `--greedy` is said of `greedy=True` to who called a function (`spec/voice.py`)."""
    flags = {
        name.removeprefix("--")
        for command in COMMANDS.values()
        for one in command.params
        if getattr(one, "is_flag", False)
        for name in one.opts
        if name.startswith("--")
    }
    assert flags == FLAGS
