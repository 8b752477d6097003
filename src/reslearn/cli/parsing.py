"""What the parser of the command line complains of, as one line that says what would be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

from ..spec.errors import UserError
from .names import as_typed

NOT_FOUND = "NoSuchOption"  # names of the parser's own errors; Typer's vendored click hides the classes
MISSING = "MissingParameter"
ONLY_HELP = "NoArgsIsHelpError"


class Parameter(Protocol):
    """An option or argument of a command."""

    name: str
    opts: list[str]
    secondary_opts: list[str]
    metavar: str | None
    required: bool


class Command(Protocol):
    """A command, or a group of them."""

    params: list[Parameter]


class Context(Protocol):
    """A command that is being read: what it takes, and what of it was found."""

    command: Command
    command_path: str
    params: dict[str, object]


def is_parsing(error: Exception) -> bool:
    """Whether the parser raised it."""
    return hasattr(error, "format_message")


def asked_for_help(error: Exception) -> bool:
    """Whether a group was named and no command: its help has been printed."""
    return type(error).__name__ == ONLY_HELP


def check_values(root: object, arguments: Sequence[str], typed: Sequence[str]) -> None:
    """Raise `UserError` for what a parser would take without a word.

    An empty text; an option as another's value, for a folder named `--dry-run` is what nobody asks for who writes
    `-o --dry-run`; and one option by two of its names, of which the last would win. `typed` are the arguments before
    they were `renamed`.
    """
    path, command, given = _named(root, arguments)
    options = {text: one for one in command.params for text in (*one.opts, *one.secondary_opts) if text[:1] == "-"}
    more, place = f"({path} --help lists what is valid)", 0
    typed, called = typed[len(arguments) - len(given) :], dict[int, str]()
    while place < len(given):
        text, place = given[place], place + 1
        name, mark, value = text.partition("=")
        short = name[:2] if name[:1] == "-" and name[:2] in options and name not in options else ""  # -oFILE
        if option := options.get(short or name):
            said = short or typed[place - 1].partition("=")[0]
            if called.setdefault(id(option), said) != said and not getattr(option, "is_flag", False):
                both = f"{called[id(option)]} and {said}"
                raise UserError(f"{both} are two names of one option; give one of them, with one value {more}")
        if text == "":
            raise UserError(f"an argument is empty, as a variable is that is not set; give it, or leave it out {more}")
        if text == "--":
            options = {}
        if name not in options or getattr(options[name], "is_flag", False):
            continue
        if mark and not name.startswith("--"):
            raise UserError(f"{text}: after {name} stands a space, not =: {name} {value} {more}")
        if not mark:
            if place == len(given):
                return  # which the parser will say
            value, place = given[place], place + 1
            if value.partition("=")[0] in options:
                raise UserError(f"{as_typed(name)} lacks its value: the option {value} stands after it {more}")
        if value == "":
            raise UserError(f"{as_typed(name)} is empty, as a variable is that is not set; leave it out {more}")


def _named(root: object, arguments: Sequence[str]) -> tuple[str, Command, Sequence[str]]:
    """The command that is called, its path as it is typed, and what stands after that."""
    path, command, place = "reslearn", cast(Command, root), 0
    while place < len(arguments):
        inner: Mapping[str, Command] = getattr(command, "commands", {})
        if arguments[place] not in inner:
            break
        path, command, place = f"{path} {arguments[place]}", inner[arguments[place]], place + 1
    return path, command, arguments[place:]


def show_flags_plainly(command: object) -> None:
    """Say nothing of a flag's kind in help: it takes no value."""
    for inner in getattr(command, "commands", {}).values():
        show_flags_plainly(inner)
    for one in getattr(command, "params", ()):
        if getattr(one, "is_flag", False):
            one.metavar = ""


def in_words(error: Exception, root: object, arguments: Sequence[str]) -> str:
    """What is wrong, and the command whose help lists what is valid."""
    context: Context | None = getattr(error, "ctx", None)
    command = _named(root, arguments)[0]
    kind = type(error).__name__
    missing = _missing(context) if kind == MISSING and context is not None else []
    if len(missing) > 1:
        message = f"missing: {', '.join(missing)}"
    elif kind == NOT_FOUND and (hint := _field(getattr(error, "option_name", ""), context, arguments)):
        message = hint
    else:
        message = str(getattr(error, "format_message", str)()) or "a command is missing"
    message = message.replace(": Value error, ", ": ")  # the words of the library that checks choices
    message = _with_value(message, error, arguments)
    return f"{message} ({command} --help lists what is valid)"


def _missing(context: Context) -> list[str]:
    """All that must be given and is not. What was given is read before the parser notices that something is missing."""
    lacking = [one for one in context.command.params if one.required and one.name not in context.params]
    return [one.opts[-1] if one.opts[-1].startswith("-") else str(one.metavar or one.name).upper() for one in lacking]


def _field(option: str, context: Context | None, arguments: Sequence[str]) -> str:
    """`--lr 0.1` is a field of the recipe; an empty text for any other option, and for commands without `--set`."""
    takes = context is not None and any("--set" in one.opts for one in context.command.params)
    from ..spec.codec import SPOKEN, settable
    from ..spec.recipe import Recipe

    paths = [*settable(Recipe("", "", epochs=1))]
    name = option.lstrip("-").partition("=")[0].replace("-", "_")
    own = f"--{SPOKEN.get(name, name).replace('_', '-')}"
    if context is not None and any(own in one.opts for one in context.command.params):
        return f"no such option: {option.partition('=')[0]}; it is called {own}"
    near = [path for path in paths if path == SPOKEN.get(name, name)]
    if not takes or not near:
        return ""
    given = _value(option, arguments)
    return f"no such option: {option.partition('=')[0]}; it is a field of the recipe: --set {near[0]}={given}"


def _value(option: str, arguments: Sequence[str]) -> str:
    """What was given to an option that there is not."""
    for place, text in enumerate(arguments):
        name, mark, value = text.partition("=")
        if name == option.partition("=")[0]:
            if mark:
                return value
            after = arguments[place + 1] if place + 1 < len(arguments) else ""
            return after if after and not after.startswith("--") else "VALUE"
    return "VALUE"


def _with_value(message: str, error: Exception, arguments: Sequence[str]) -> str:
    """A message about an option's value, with the value where the library left it out."""
    parameter = getattr(error, "param", None)
    if parameter is None or "nvalid value" not in message:
        return message
    given = [_value(option, arguments) for option in parameter.opts if _is_given(option, arguments)]
    in_file = getattr(getattr(error, "ctx", None), "default_map", None) or {}
    value = str(given[0] if given else in_file.get(parameter.name, "VALUE"))
    return message if value == "VALUE" or value in message else f"{message} (found {value!r})"


def _is_given(option: str, arguments: Sequence[str]) -> bool:
    return any(text.partition("=")[0] == option for text in arguments)
