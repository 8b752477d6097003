"""Files opened only where they are regular ones, and read only where their size is known and bounded.

A pipe would wait for ever, a device may never end, and a sparse file of a terabyte is small until it is read. So files
are opened without waiting, looked at through the descriptor, and read up to a limit. JSON is parsed with the same
distrust: what Python's parser cannot hold is damage, not a crash.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
from typing import Any, BinaryIO

from ..spec.errors import UserError

Path = str | os.PathLike[str]
PICTURE = 1 << 30  # bytes: the largest picture that is read takes less in any format
DOCUMENT = 1 << 31  # of JSON or a table: a manifest of ten million pictures
_SMALL = 1 << 24  # bytes that can do no harm
_DIGITS = 20  # of the largest whole number in any of our files, which has 64 bits
_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def open_regular(path: str | os.PathLike[str]) -> io.BufferedReader:
    """Open a regular file, or a link to one, for reading; returns at once whatever `path` is.

    Raises `UserError` naming what is there instead of a regular file, `OSError` where nothing is, or no right to it.
    """
    return os.fdopen(_open(path, os.O_RDONLY), "rb")


def open_to_append(path: str | os.PathLike[str]) -> io.BufferedRandom:
    """Open a regular file for reading and appending, or make it; the errors of `open_regular`."""
    return os.fdopen(_open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT), "a+b")


def read_regular(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; the errors of `open_regular`, and `UserError` for more."""
    with open_regular(path) as file:
        try:
            size = os.fstat(file.fileno()).st_size
            check_size(path, size, limit)
            return file.read(size)
        except OSError as error:
            error.filename = os.fspath(path)
            raise


def read_document(path: Path) -> bytes:
    """The bytes of a file of text, as `read_regular` reads at most `DOCUMENT` of them.

    Text has no holes. A large file with one is sparse, and its gigabytes are zeros that nobody wrote: `UserError`,
    before any of it is read. In a small one, such as a crash leaves, they are damage like any other.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        check_size(path, size, DOCUMENT)
        try:
            hole = os.lseek(file.fileno(), 0, os.SEEK_HOLE) if size > _SMALL else size
        except OSError:  # a file system that cannot tell
            hole = size
    if hole < size:
        raise UserError(f"{os.fspath(path)}: a sparse file, empty from byte {hole:,} of {size:,} on; copy it again")
    return read_regular(path, DOCUMENT)


def check_size(path: str | os.PathLike[str], size: int, limit: int) -> None:
    """Raise `UserError` for a file of more than `limit` bytes."""
    if size > limit:
        raise UserError(f"{os.fspath(path)}: {size:,} bytes; no file of this kind has more than {limit:,}")


def descriptor_path(file: BinaryIO, path: Path) -> str:
    """A path by which a library that opens files itself opens this one, whatever has come to be at `path` meanwhile."""
    through = f"/proc/self/fd/{file.fileno()}"
    return through if os.path.exists(through) else os.fspath(path)


def parse_json(content: bytes | str, where: str) -> Any:
    """The JSON value in `content`, UTF-8. Raises `UserError` for any other text, for one that is nested too deep to be
    held, and for whole numbers of more digits than any of ours has."""
    try:
        return json.loads(content if isinstance(content, str) else content.decode(), parse_int=_whole_number)
    except RecursionError:
        reason = "nested too deep"
    except ValueError as error:  # no JSON, no UTF-8, or such a number
        reason = str(error)
    raise UserError(f"{where}: not valid JSON ({reason})")


def _whole_number(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _open(path: str | os.PathLike[str], flags: int) -> int:
    """A descriptor of a regular file. Not to wait is not to wait for a pipe's other end; on files it means nothing."""
    try:
        handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP, errno.EISDIR):  # sockets, absent devices
            raise _irregular(path, os.stat(path).st_mode) from None
        raise
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise _irregular(path, mode)
    return handle


def _irregular(path: str | os.PathLike[str], mode: int) -> UserError:
    return UserError(f"{os.fspath(path)}: {kind_of(mode)}, not a regular file; name another, or remove it")


def kind_of(mode: int) -> str:
    """What a file of this `st_mode` is, where it is no regular file."""
    return next((name for test, name in _KINDS if test(mode)), "no regular file")
