"""The reference of commands: every command of `reslearn`, its arguments and options, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from reslearn.cli.app import app

LEFT_OUT = ("--help", "--install-completion", "--show-completion")
HEAD = """# Commands

Made from the command line itself. Wrong input is one line on standard error and exit status 2; 0 is done, 1 is a fault
of ours. Every command but a server takes `--json`, and then prints one JSON value.
"""


def page() -> str:
    """One page, one heading per command."""
    parts = [HEAD]
    for name, command in sorted(commands(typer.main.get_command(app), "reslearn")):
        parts += [
            f"## {name}",
            "",
            *(command.help or "").replace("\b", "").strip().splitlines(),
            "",
            *_table(command),
            "",
        ]
    return "\n".join(parts)


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Every command that can be run, with all words of its name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, one in inner.items():
        if not one.hidden:
            yield from commands(one, f"{name} {word}")


def _table(command: Any) -> list[str]:
    rows = []
    for one in command.params:
        if getattr(one, "hidden", False) or set(one.opts) & set(LEFT_OUT):
            continue
        names = (
            [one.metavar or one.name.upper()] if one.param_type_name == "argument" else [*one.opts, *one.secondary_opts]
        )
        known = (
            one.default if isinstance(one.default, (str, int, float)) and not isinstance(one.default, bool) else None
        )
        default = "needed" if one.required else "" if known is None else f"`{known}`"
        what = (getattr(one, "help", None) or "").replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| {', '.join(f'`{n}`' for n in names).replace('|', chr(92) + '|')} | {default} | {what} |")
    return ["| argument | default | what |", "|---|---|---|", *rows] if rows else []
