"""Whatever a test here provokes: options that an error advises are those of the command at hand, or of one it names."""

from __future__ import annotations

import re

import pytest
import typer

from reslearn.cli import app as command_line
from reslearn.runtime.settings import Settings
from reslearn.spec.codec import field_paths
from reslearn.spec.recipes import RECIPES

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SET = re.compile(r"--set ([\w.]+)=")
CHOSEN = ("spec.", "settings.", "preprocess.")  # whose fields a training's --set reaches, too


def leaves(command, words=()):
    """Each command with the words that call it."""
    inner = getattr(command, "commands", None)
    if not inner:
        return {words: command}
    return {key: leaf for name, one in inner.items() for key, leaf in leaves(one, (*words, name)).items()}


COMMANDS = leaves(typer.main.get_command(command_line.app))
OPTIONS = {words: {name for one in command.params for name in one.opts} for words, command in COMMANDS.items()}


def strange(arguments, message):
    """Options in `message` that nobody typed, and that neither the command has nor one named before them."""
    at_hand = next((words for words in COMMANDS if tuple(arguments[: len(words)]) == words), ())
    found = []
    for match in OPTION.finditer(message):
        before = message[: match.start()]
        known = {words for words in COMMANDS if re.search(rf"\b{' '.join(words)}\b", before)} | {at_hand}
        valid = {"--help"}.union(*(OPTIONS.get(words, ()) for words in known))
        if match[0] not in valid and not any(argument.startswith(match[0]) for argument in arguments):
            found.append(match[0])
    if at_hand[:1] == ("bench",):
        fields = {*field_paths(Settings())}
        found += [name for name in SET.findall(message) if name.removeprefix("settings.") not in fields]
    elif at_hand in ((name,) for name in ("train", "crossval", "plan")):
        fields = {*field_paths(RECIPES["demo"])}
        typed = " ".join(arguments)
        named = [name for name in SET.findall(message) if not name.startswith(CHOSEN) and name not in typed]
        found += [name for name in named if name not in fields]
    return found


@pytest.fixture(autouse=True)
def _advice_is_of_the_command_at_hand(monkeypatch):
    told, given = [], []
    fail, renamed = command_line._fail, command_line.renamed

    def hear(message, status):
        told.extend((list(given), message, one) for one in strange(given, message))
        return fail(message, status)

    def remember(arguments):
        given[:] = map(str, arguments)
        return renamed(arguments)

    monkeypatch.setattr(command_line, "_fail", hear)
    monkeypatch.setattr(command_line, "renamed", remember)
    yield
    assert not told, told
