"""A signal asks a run to stop: the loop answers after its step, and what is done by then is on disk.

Whatever else ends a training early leads on, too: to `reslearn resume`, or to what is to be done about a picture.
"""

from __future__ import annotations

import contextlib
import errno
import signal
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..runtime.process_group import from_environment
from ..spec.errors import BadPicture, Fault, UserError
from ..spec.voice import COMMAND, Voice

SIGNALS = (signal.SIGTERM, signal.SIGINT)  # what asks a run to stop
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)  # a disk that takes no more


class Interrupted(Exception):
    """The run was asked to stop by signal `signum`; its state is on disk and `command` goes on from there."""

    def __init__(self, folder: Path, signum: int, *, at_once: bool = False, command: str | None = None) -> None:
        """`at_once` where a signal came that could not wait for a step's end: what was saved before it is there.
        `command` is `reslearn resume` of the folder where it is left out."""
        how = "stopped and saved; go on with"
        if at_once and (Path(folder) / "model.safetensors").exists():
            how = "stopped at once: the model is whole, its report is not written; write it with"
        elif at_once:
            how = "stopped at once: what came after the last checkpoint is lost; go on from there with"
        super().__init__(f"{how}: {command or f'reslearn resume {folder}'}")
        self.signum, self.at_once = signum, at_once


class Terminated(BaseException):
    """SIGTERM where nothing waits for the end of a step: raised wherever the program is, as Ctrl-C is.

    It is no `KeyboardInterrupt`, of which the parser of the command line makes the status of Ctrl-C.
    """


class DiskFull(Fault):
    """The disk failed or was full in mid-training; what was written before is whole, and `command` goes on from it."""

    def __init__(self, reason: str, command: str) -> None:
        super().__init__(f"{reason}; nothing was half-written, mend the cause and go on with: {command}")
        self.reason = reason


@contextlib.contextmanager
def naming_remedies(data: str | None, voice: Voice = COMMAND) -> Iterator[None]:
    """A picture of `data` that cannot be read, and ends what reads them, is told with what to do about it."""
    try:
        yield
    except BadPicture as error:
        found = f"`reslearn data check{'' if data is None else f' {data}'}` finds them all"
        without = voice.option("on_bad_file", "skip")
        raise UserError(f"{error}; {found}, or train without what cannot be read: {without}") from None


@contextlib.contextmanager
def leading_on(
    folder: Path, record: str = "run.json", *, data: str | None = None, voice: Voice = COMMAND
) -> Iterator[None]:
    """What ends the training in `folder` before its end says how to go on, in the words of `voice`.

    `record` is what makes a run, a cross-validation or a sweep of the folder; `data` is where its pictures are. Outer
    ones win: of a fold, it is the whole that is gone on with.
    """
    with naming_remedies(data, voice), going_on(folder, record, voice.call("resume", folder)):
        yield


@contextlib.contextmanager
def going_on(folder: Path, record: str, command: str) -> Iterator[None]:
    """What ends the work in `folder` before its end names the `command` that goes on, once `record` is there."""
    try:
        with at_once_on_sigterm():
            yield
    except Interrupted as stopped:
        raise Interrupted(folder, stopped.signum, at_once=stopped.at_once, command=command) from None
    except DiskFull as full:
        raise DiskFull(full.reason, command) from full.__cause__
    except (KeyboardInterrupt, Terminated) as pressed:
        if not (folder / record).exists():  # nothing has begun
            raise
        signum = signal.SIGTERM if isinstance(pressed, Terminated) else signal.SIGINT
        raise Interrupted(folder, signum, at_once=True, command=command) from None
    except OSError as error:
        if error.errno not in FULL or not (folder / record).exists():
            raise
        where = f"{error.filename}: " if error.filename else ""
        raise DiskFull(f"{where}{error.strerror}", command) from error


@contextlib.contextmanager
def at_once_on_sigterm() -> Iterator[None]:
    """SIGTERM raises `Terminated`, once; the next one ends the process without a word.

    Not of several processes, which may wait for each other where no handler runs: there it ends them, as it would.
    """

    def end(number: int, frame: types.FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Terminated

    alone = threading.current_thread() is threading.main_thread() and from_environment().size == 1
    if not alone or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], int | None]]:
    """Ctrl-C and SIGTERM become a request that the loop answers after its step; a second one acts at once.

    Yields what tells the signal that was received, if any.
    """
    received: list[int] = []
    before: dict[int, Any] = {}

    def put_back() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def remember(number: int, frame: types.FrameType | None) -> None:
        received.append(number)
        put_back()

    if threading.current_thread() is threading.main_thread():
        before |= {number: signal.signal(number, remember) for number in SIGNALS}
    try:
        yield lambda: received[-1] if received else None
    finally:
        put_back()
