"""Pages are executed. Fast `console` and `python` blocks run verbatim; slow ones are dry-run or parsed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image

from reslearn.cli.app import app
from reslearn.cli.app import main as run_cli
from reslearn.runtime import allocator

ROOT = Path(__file__).parents[2]
LONG = (["train"], ["crossval"], ["paper", "run"])
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def _load_tool():
    spec = importlib.util.spec_from_file_location("console_blocks", Path(__file__).with_name("console_blocks.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


tool = _load_tool()
PAGES = tool.pages(
    [str(ROOT / name) for name in ("README.md", "README.ko.md", "CONTRIBUTING.md", "docs/en", "docs/ko")]
)


def parse(words):
    """Check a command's words against the command line without running it."""
    command, parent, name = typer.main.get_command(app), None, words[0]
    rest = list(words[1:])
    while True:
        context = command.make_context(name, rest, parent=parent)
        if not hasattr(command, "resolve_command"):
            return
        name, inner, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        command, parent = inner, context


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A folder named as in the pages, with a few pictures per class: enough for everything but training."""
    folder = tmp_path_factory.mktemp("pages")
    draw = np.random.default_rng(0)
    for split, count in (("train", 12), ("test", 2)):
        for name in CIFAR:
            (folder / "cifar10-jpeg" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "cifar10-jpeg" / split / name / f"{i}.jpg")
    return folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fast_blocks_run_and_print_what_the_page_shows(page, tmp_path):
    for block in tool.blocks(page.read_text()):
        if block.slow:
            continue
        if block.language == "console":
            for command in block.commands:
                done = tool.shell(command.text, tmp_path)
                where = f"{page.name}:{command.line}: {command.text}"
                assert done.returncode == 0, f"{where}\n{done.stderr}"
                assert tool.same_output(command.output, done.stdout), f"{where} printed\n{done.stdout}"
        elif block.language == "python":
            done = subprocess.run([sys.executable, "-c", block.body], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, f"{page.name}:{block.line}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_slow_blocks_are_commands_that_exist(page, stand_in, monkeypatch, capsys):
    monkeypatch.chdir(stand_in)
    monkeypatch.setattr(allocator, "tune", lambda: False)  # this process is not the command's own
    for block in tool.blocks(page.read_text()):
        if not block.slow:
            continue
        if block.language == "python":
            compile(block.body, f"{page.name}:{block.line}", "exec")
            continue
        for command in block.commands:
            words, where = command.words, f"{page.name}:{command.line}: {command.text}"
            if words[0] != "reslearn":
                continue
            if any(words[1 : 1 + len(long)] == long for long in LONG):
                assert run_cli([*words[1:], "--dry-run"]) == 0, f"{where}\n{capsys.readouterr().err}"
            else:
                try:
                    parse(words)
                except Exception as error:
                    pytest.fail(f"{where}: {error}")


def test_a_command_that_does_not_exist_is_found():
    parse(["reslearn", "evaluate", "runs/x", "data", "--split", "test"])
    for wrong in ("evaluate runs/x", "evaluate runs/x data --no-such 1", "evalu8 runs/x data"):
        with pytest.raises(Exception, match=r"Missing|No such"):
            parse(["reslearn", *wrong.split()])


def test_blocks_are_read_as_they_stand():
    page = (
        "a\n```console slow\n$ one \\\n> two\nout\n\nmore\n$ three 'a b'\n```\n```python\nx = 1\n```\n```\nplain\n```\n"
    )
    console, python, plain = tool.blocks(page)
    assert [(c.text, c.output, c.line) for c in console.commands] == [
        ("one two", "out\n\nmore", 3),
        ("three 'a b'", "", 8),
    ]
    assert console.slow and (python.language, python.slow, python.body) == ("python", False, "x = 1\n")
    assert plain.language == "" and console.commands[1].words == ["three", "a b"]


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\nb", "a\nc\n", False),
        ("a", "a\nb\n", False),
        ("...", "a\nb\n", True),
        ("...", "", True),
        ("a\n...\nd", "a\nb\nc\nd\n", True),
        ("a\n...\nd", "a\nb\nc\n", False),
        ("took ... s", "took 4.2 s\n", True),
        ("", "", True),
        ("", "something\n", False),
        ("  a   b", "\n  a   b   \n   \n", True),
        ("  a\n\nb", "  a\n\nb", True),
        ("a\nb", "a\n\nb", False),
    ],
)
def test_shown_and_real_output(shown, real, same):
    assert tool.same_output(shown, real) is same


def test_refreshing_a_page_runs_its_slow_blocks_and_nothing_else(tmp_path):
    (tmp_path / "data").mkdir()
    page = tmp_path / "page.md"
    page.write_text(
        "x\n```console slow\n$ echo 1; ls -d data\nold\n$ true\n```\n```console\n$ echo kept\nkept\n```\ny\n"
    )
    tool.refresh(page, tmp_path)
    assert page.read_text() == (
        "x\n```console slow\n$ echo 1; ls -d data\n1\ndata\n$ true\n```\n```console\n$ echo kept\nkept\n```\ny\n"
    )
