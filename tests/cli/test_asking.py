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


@pytest.mark.parametrize(
    ("kind", "words", "value"),
    [
        (
            Training,
            ["--set", "lr=1", "--set", "epochs=2", "--seed", "3"],
            Training(assignments=["lr=1", "epochs=2"], seed=3),
        ),
        (Looking, ["--workers", "2"], Looking(workers=2)),
    ],
)
def test_a_command_is_asked_for_the_fields_and_given_one_value(kind, words, value):
    given = []

    def command(data: opt.Data, *, asked: kind, as_json: opt.Json = False) -> None:
        given.append((data, asked, as_json))

    command.__annotations__["asked"] = kind
    options = options_of(asking(command))
    names = [field.name for field in fields(kind)]
    assert [name for name in options if name in names] == names  # in this order, in place of the parameter
    assert next(iter(options)) == "data" and "asked" not in options

    app = typer.Typer()
    app.command()(asking(command))
    with pytest.raises(SystemExit):
        app(["digits", "--lr", "1"])
    app(["digits", *words], standalone_mode=False)
    assert given == [("digits", value, False)]


def test_what_was_asked_arrives():
    asked = Training(assignments=["lr=1", "epochs=2"], device="cpu", workers=2)
    changes = {"lr": "1", "epochs": "2", "settings.device": "cpu", "settings.workers": "2"}
    assert asked.request("digits").changes == changes
    assert Looking(workers=2, device="cpu").scoring("val").workers == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--epochs", "1", "--set", "epochs=2"], "--epochs 1.0: --set epochs=2 says it, too"),
        (["--epochs", "1", "--set", "recipe.epochs=2"], "--epochs 1.0: --set recipe.epochs=2 says it, too"),
        (["--image-size", "8", "--set", "image_size=16"], "--image-size 8: --set image_size=16 says it, too"),
        (
            ["--precision", "fp32", "--set", "settings.precision=bf16"],
            "--precision fp32: --set settings.precision=bf16",
        ),
        (["--workers", "1", "--set", "settings.workers=2"], "--workers 1: --set settings.workers=2 says it, too"),
        (["--epochs", "4", "--set", "iterations=9"], "found epochs=4 and iterations=9"),
    ],
)
def test_an_option_and_an_assignment_that_say_the_same_are_refused(words, said, capsys):
    """One of the two would not be heard."""
    assert main(["train", "digits", *words, "--dry-run"]) == 2
    assert said in capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.parametrize("command", ["train", "plan", "crossval", "sweep"])
def test_every_command_that_trains_has_them(command, capsys):
    assert main([command, "--help"]) == 0
    told = capsys.readouterr().out
    for name in ("--model", "--recipe", "--epochs", "--set", "--seed", "--weights", "--prefer", "--image-size",
                 "--split-seed", "--precision", "--on-bad-file", "--device", "--workers"):  # fmt: skip
        assert name in told, name
