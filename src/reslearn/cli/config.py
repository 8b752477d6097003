"""A training's options as a TOML file: `--dry-run --save F.toml` writes it, `train --config F.toml` reads it.

Keys are the options' names without dashes in front; `[set]` holds what `--set` takes. Paths are relative to the file.
What stands on the command line wins.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import typer

from ..runtime.files import write_atomic
from ..runtime.opening import read_document
from ..runtime.replacing import Kind, replaceable
from ..spec.errors import UserError, unknown
from ..spec.recipes import BUDGETS

if TYPE_CHECKING:
    from .asking import Training

PATHS = ("data", "weights", "out")
NOT_IN_FILE = ("config", "save", "dry_run", "overwrite", "as_json")
SET = "assignments"  # the parameter behind `--set`
OPTION_OF = {  # options that say what a field of `[set]` may say, too
    "epochs": "epochs",
    "image_size": "image_size",
    "precision": "settings.precision",
    "device": "settings.device",
    "workers": "settings.workers",
}
BOARDS = "log-to"  # takes several
HEAD = "# reslearn train --config THIS-FILE; paths are relative to it, options on the command line win over it\n"
OPTIONS = Kind("file of options", lambda start, end: start.startswith(HEAD.encode()))


class Parameter(Protocol):
    """An option or argument of a command."""

    name: str
    opts: list[str]


def read_config(context: typer.Context, path: Path | None) -> Path | None:
    """Take the file's values as the defaults of the command's options. Called before any other option is read."""
    if path is None or context.resilient_parsing:
        return path
    try:
        found = tomllib.loads(read_document(path).decode("utf-8-sig"))
        defaults = _defaults(context, found, path)
    except UserError:
        raise
    except (ValueError, RecursionError) as error:  # no TOML, no UTF-8, thousands of digits; nested too deep
        reason = "nested too deep" if isinstance(error, RecursionError) else " ".join(str(error).split())
        reason = "it is no text in UTF-8" if isinstance(error, UnicodeDecodeError) else reason
        raise UserError(f"--config {path}: no TOML file: {reason}") from None
    context.meta[SET] = defaults.pop(SET, [])
    context.default_map = {**(context.default_map or {}), **defaults}
    return path


def over_file(asked: Training, context: typer.Context) -> Training:
    """What was asked for, with the file's `[set]` beneath it: what stands on the command line takes its place.

    So does `--epochs` that of any budget in the file, and a `--set` what the file's option says.
    """
    given = [text.partition("=")[0].removeprefix("recipe.") for text in asked.assignments or []]
    silent: set[str] = set()  # options of the file in whose place a `--set` stands
    for name, field in OPTION_OF.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            given.append(field)
        elif field in given:
            silent.add(name)
    asked = replace(
        asked,
        epochs=None if "epochs" in silent else asked.epochs,
        image_size=None if "image_size" in silent else asked.image_size,
        precision=None if "precision" in silent else asked.precision,
        device=None if "device" in silent else asked.device,
        workers=None if "workers" in silent else asked.workers,
    )
    budgets = set(BUDGETS) & set(given)
    if budgets and "epochs" not in given:
        asked = replace(asked, epochs=None)
    taken = {*given, *(BUDGETS if budgets else ())}
    kept = [text for text in context.meta.get(SET, []) if text.partition("=")[0].removeprefix("recipe.") not in taken]
    return replace(asked, assignments=[*kept, *(asked.assignments or [])])


def _defaults(context: typer.Context, found: Mapping[str, object], path: Path) -> dict[str, object]:
    known = {name: parameter for name, parameter in _parameters(context).items() if parameter.name not in NOT_IN_FILE}
    defaults: dict[str, object] = {}
    for key, value in found.items():
        name = key.replace("_", "-")
        if name not in known:
            raise UserError(f"--config {path}: {unknown('option', key, sorted(known))}")
        parameter = known[name]
        if name == "set":
            defaults[SET] = _assignments(value, path)
            continue
        if name == BOARDS and isinstance(value, (str, list)):
            defaults[str(parameter.name)] = [value] if isinstance(value, str) else [str(one) for one in value]
            continue
        if isinstance(value, (dict, list)):
            raise UserError(f"--config {path}: {key} is a {type(value).__name__}; give one value")
        if isinstance(value, bool) and not getattr(parameter, "is_flag", False):
            raise UserError(f"--config {path}: {key} is {str(value).lower()}; give a text or a number")
        if value == "":
            raise UserError(f"--config {path}: {key} is empty; give it a value, or leave it out")
        text = value if isinstance(value, bool) else str(value)
        if name in PATHS and isinstance(text, str):
            text = from_file(text, path.parent, words=name != "out")
        defaults[str(parameter.name)] = text
    return defaults


def _parameters(context: typer.Context) -> dict[str, Parameter]:
    """Every option and argument of the command, by its name in the file."""
    found: dict[str, Parameter] = {}
    for parameter in context.command.params:
        long = [text for text in parameter.opts if text.startswith("--")]
        name = long[-1].lstrip("-") if long else str(parameter.name).replace("_", "-")
        found[name] = parameter
    return found


def _assignments(value: object, path: Path) -> list[str]:
    """`[set]` as what `--set` takes: `lr = 0.05`, `"augment.flip" = "none"`, or `augment.flip = "none"`."""
    if not isinstance(value, dict):
        raise UserError(f"--config {path}: set is no table; write [set] and below it lines such as lr = 0.05")
    return [f"{name}={text}" for name, text in _flat(value)]


def _flat(table: Mapping[str, object], before: str = "") -> list[tuple[str, str]]:
    found = []
    for name, value in table.items():
        if isinstance(value, dict):
            found += _flat(value, f"{before}{name}.")
        else:
            found.append((before + name, value if isinstance(value, str) else json.dumps(value, default=str)))
    return found


def from_file(text: str, folder: Path, *, words: bool = True) -> str:
    """A path in a file of `folder`, for who stands elsewhere. An address stays, and with `words` a name as `digits`."""
    if "://" in text or os.path.isabs(text):
        return text
    there = os.path.normpath(folder / text)
    return text if words and _is_word(text) and not os.path.exists(there) else there


def to_file(text: str, folder: Path, *, words: bool = True) -> str:
    """A path from here, for a file in `folder`; what stays is what `from_file` lets stay."""
    if "://" in text or os.path.isabs(text) or (words and _is_word(text) and not os.path.exists(text)):
        return text
    return os.path.relpath(text, folder)


def _is_word(text: str) -> bool:
    """Whether it may name something that is no file: `digits`, `default`."""
    return text.isidentifier()


def check_config_target(path: Path | None, dry_run: bool) -> None:
    """Raise `UserError` for a `--save` without `--dry-run`, or over a file that is none of ours."""
    if path is None:
        return
    if not dry_run:
        raise UserError(f"--save {path}: goes with --dry-run, which trains nothing; add it, or leave --save out")
    replaceable(path, OPTIONS, "--save")


def write_config(path: Path, values: Mapping[str, object], changes: Mapping[str, str]) -> None:
    """Write options (those that are None are left out) and `--set` assignments as TOML."""
    lines = [HEAD]
    for name, value in values.items():
        if value is not None:
            shown = to_file(str(value), path.parent, words=name != "out") if name in PATHS else value
            lines.append(f"{name.replace('_', '-')} = {_toml(shown)}\n")
    if changes:
        lines.append("\n[set]\n")
        lines += [f"{json.dumps(name)} = {_toml(_read(text))}\n" for name, text in changes.items()]
    write_atomic(path, "".join(lines))


def _read(text: str) -> object:
    """A number or a truth value as itself, all else as text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (bool, int, float)) else text


def _toml(value: object) -> str:
    # JSON's texts, whole numbers and truth values are TOML's; its surrogates and DEL are not
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
