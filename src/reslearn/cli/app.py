"""The command line: one Typer app, its groups, and the one place where an error becomes a line and an exit status."""

from __future__ import annotations

import errno
import sys
import warnings
from typing import Annotated

import typer

from ..cli import (
    bench,
    comparison,
    crossval,
    data,
    drawing,
    evaluation,
    explaining,
    exporting,
    models,
    papers,
    parsing,
    planning,
    prediction,
    recipes,
    reports,
    serving,
    sweep,
    training,
    weights,
)
from ..runtime.notes import speak, warn
from ..runtime.process_group import speaks_for_all
from ..spec.errors import Fault, Retold, UserError
from ..train.stopping import Interrupted, Terminated
from .names import renamed
from .output import put

GROUPS = (
    models,
    drawing,
    recipes,
    training,
    planning,
    evaluation,
    prediction,
    explaining,
    exporting,
    serving,
    comparison,
    crossval,
    sweep,
    reports,
    papers,
    data,
    bench,
    weights,
)

# What the system says of a path that the user named wrongly; a full or failing disk is not among them.
BAD_PATH = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENAMETOOLONG,
        errno.ELOOP,
    )
)

CTRL_C = 130

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Deep residual learning in image recognition: train, trust, check the papers.",
)
for group in GROUPS:
    group.register(app)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        put(f"reslearn {version('reslearn')}")
        raise typer.Exit


@app.callback()
def reslearn(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Deep residual learning in image recognition: train, trust, check the papers."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0 done, 1 our failure, 2 the user's input, 130 Ctrl-C, 143 SIGTERM."""
    typed = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    arguments = renamed(typed)
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            command = typer.main.get_command(app)
            parsing.check_values(command, arguments, typed)
            if "--help" in arguments:
                parsing.show_flags_plainly(command)
            result = command.main(arguments, prog_name="reslearn", standalone_mode=False)
            if result == CTRL_C:  # the parser makes that of it
                return _fail("stopped by Ctrl-C", CTRL_C)
            return result if isinstance(result, int) else 0
        except Terminated:
            return _fail("stopped by SIGTERM", 143)
        except (KeyboardInterrupt, typer.Abort):
            return _fail("stopped by Ctrl-C", CTRL_C)
        except Retold:
            return 2
        except UserError as error:
            return _fail(str(error), 2)
        except Fault as error:
            return _fail(str(error), 1)
        except OSError as error:
            return _fail(_os_error(error), 2 if error.errno in BAD_PATH and error.filename else 1)
        except Interrupted as stopped:
            return _fail(str(stopped), 128 + stopped.signum)
        except Exception as error:
            if str(error).startswith("DataLoader worker"):  # raised wherever the main process happens to be
                from ..data.workers import WORKER_DIED

                return _fail(WORKER_DIED, 1)
            if parsing.asked_for_help(error):
                return 0
            if parsing.is_parsing(error):
                return _fail(parsing.in_words(error, command, arguments), 2)
            raise


def _os_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if where and error.errno in BAD_PATH:
        return f"{where}{error.strerror}; name a path that is there and that you may use"
    return f"{where}{error.strerror or error}; nothing was half-written, mend the cause and run the command again"


def _fail(message: str, status: int) -> int:
    if speaks_for_all():
        speak(f"reslearn: {message}")
    return status


def _warn(message: Warning | str, *place: object, **more: object) -> None:
    """A library's warning as one line, without the place in its source."""
    warn(str(message))
