"""One thing has one name; the names that it had before are still understood, and no help lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# The first words of a command -> the name that was -> the name that is.
BEFORE: Mapping[str, Mapping[str, str]] = {
    "convert": {"--output": "--out"},
    "export": {"--output": "--out"},
    "card": {"--output": "--out"},
    "features": {"--output": "--out"},
    "evaluate": {"--report": "--out"},
    "compare": {"--report": "--out"},
    "ensemble": {"--weights": "--member-weights"},
    "data check": {"--manifest": "--out"},
    "data split": {"--manifest": "--out"},
    "data download": {"--to": "--out"},
}
_typed: dict[str, str] = {}  # of the command that is running: the name that is -> the name that was typed


def renamed(arguments: Sequence[str]) -> list[str]:
    """The arguments with today's names in place of those that were."""
    words = " ".join(arguments[:2])
    old = next((names for command, names in BEFORE.items() if f"{words} ".startswith(f"{command} ")), {})
    _typed.clear()
    found, options = [], True
    for argument in arguments:
        options = options and argument != "--"
        name, mark, value = argument.partition("=")
        if options and name in old:
            _typed[old[name]] = name
            argument = old[name] + mark + value
        found.append(argument)
    return found


def as_typed(option: str) -> str:
    """What the user called this option, for a message about it."""
    return _typed.get(option, option)
