"""Options that come together in several commands are the same in each of them, and arrive where they are used."""

from __future__ import annotations

from dataclasses import fields

import pytest
import typer

from reslearn.cli import options as opt
from reslearn.cli.app import main
from reslearn.cli.asking import Looking, Training, asking


def options_of(command):
    app = typer.Typer()
    app.command()(command)
    return {option.name: option for option in typer.main.get_command(app).params}


def test_a_command_is_asked_for_the_fields_and_given_one_value():
    given = []

    def command(data: opt.Data, *, asked: Training, looking: Looking, as_json: opt.Json = False) -> None:
        given.append((data, asked, looking, as_json))

    options = options_of(asking(command))
    names = [field.name for kind in (Training, Looking) for field in fields(kind)]
    assert [name for name in options if name in names] == names  # in this order, in place of the parameter
    assert next(iter(options)) == "data" and "asked" not in options and "looking" not in options

    app = typer.Typer()
    app.command()(asking(command))
    words = ["digits", "--lr", "1"], ["digits", "--set", "lr=1", "--set", "epochs=2", "--seed", "3", "--workers", "2"]
    with pytest.raises(SystemExit):
        app(words[0])
    app(words[1], standalone_mode=False)
    asked = Training(assignments=["lr=1", "epochs=2"], seed=3)
    assert given == [("digits", asked, Looking(workers=2), False)]
    assert asked.request("digits").changes == {"lr": "1", "epochs": "2"}
    assert Looking(workers=2, device="cpu").scoring("val").workers == 2


@pytest.mark.parametrize("command", ["train", "plan", "crossval", "sweep"])
def test_every_command_that_trains_has_them(command, capsys):
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    for name in ("--model", "--recipe", "--epochs", "--set", "--seed", "--weights", "--prefer", "--image-size",
                 "--split-seed", "--precision", "--on-bad-file"):  # fmt: skip
        assert name in told, name
