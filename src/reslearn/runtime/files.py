"""Files that are either whole or absent, and a lock that keeps a second process out of a run."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Literal

from ..spec.errors import UserError
from .opening import kind_of, open_regular, open_to_append, parse_json, read_document

LEFTOVER = ".reslearn.tmp"  # what the name of a file ends with while it is written


class Busy(UserError):
    """Another process holds the lock."""


def user_cache() -> Path:
    """The folder of what this package keeps for this user and could make anew; it need not be there."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "reslearn"


@functools.cache
def passing_folder() -> Path:
    """A folder that goes with this process, for what the user's cache cannot take."""
    folder = tempfile.mkdtemp(prefix="reslearn-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """The digest of a regular file's bytes."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """An `OSError` of the block that names no file, as a full disk's does, names `path`."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = os.fspath(path)
        raise


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well it is synced and renamed over `path`.

    Whatever happens (an exception, a full disk, a kill), `path` holds the old contents or the new, never a part. What
    was there keeps its permissions, and a link stays one: the file that it points to is replaced.
    Raises `UserError` for a folder that is missing or one in the file's place, else `OSError` naming `path`.
    """
    with _beside(os.path.realpath(writable_target(path)), os.fspath(path)) as temporary:
        yield Path(temporary)


@contextlib.contextmanager
def _beside(target: str, named: str) -> Iterator[str]:
    """As `atomic_path`, of a file that links were followed to, in an `OSError` the one that was `named`."""
    folder, name = os.path.split(target)
    remove_leftovers(folder)
    # a long name is cut, for the temporary one must not be longer than a file's name may be
    temporary = os.path.join(folder, f".{name[:40]}.{os.urandom(6).hex()}{LEFTOVER}")
    try:
        with _held(temporary) as handle:
            yield temporary
            if os.path.exists(target):
                os.fchmod(handle, stat.S_IMODE(os.stat(target).st_mode))
            os.fsync(handle)
            os.replace(temporary, target)
        _sync_folder(folder)
    except OSError as error:
        if error.filename not in (None, temporary):
            raise
        error.filename = named  # nobody knows the temporary name
        raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def is_leftover(name: str) -> bool:
    """Whether a file of this name is being written, or was when its process was killed."""
    return name.startswith(".") and name.endswith(LEFTOVER)


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove what killed processes left half-written in `folder`. What is being written is locked, and stays."""
    with contextlib.suppress(OSError):
        for name in filter(is_leftover, os.listdir(folder)):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError, UserError), open_regular(path) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(file.fileno(), path):
                    os.unlink(path)


@contextlib.contextmanager
def _held(temporary: str) -> Iterator[int]:
    """The new, empty file `temporary`, locked so that nobody takes it for a leftover; yields its descriptor."""
    while True:
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with contextlib.suppress(OSError):  # a file system without locks: none of its files is a leftover
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_at(handle, temporary):  # else it was removed between our opening and our locking
                yield handle
                return
        finally:
            os.close(handle)


def writable_target(path: str | os.PathLike[str], kind: Literal["file", "folder"] = "file", where: str = "") -> Path:
    """`path`, if a file (or, with its parents, a folder) can come to be there; for before the work that fills it.

    `where`, such as `--report`, opens the message of the `UserError` that says what stands in the way.
    """
    target, start = Path(path), f"{where} " if where else ""
    if kind == "file" and target.exists() and not target.is_file() and not target.is_dir():
        what = kind_of(target.stat().st_mode)
        raise UserError(f"{start}{target}: {what} is there, and it is not replaced; name another place")
    if kind == "file" and target.is_dir():
        raise UserError(f"{start}{target}: a folder is there; name the file to write")
    wanted = target if kind == "folder" else target.parent
    holder = next(place for place in (wanted, *wanted.absolute().parents) if os.path.lexists(place))
    if not holder.is_dir():
        raise UserError(f"{start}{target}: {holder} is a file, not a folder; name another place")
    if kind == "file" and holder != wanted:
        raise UserError(f"{start}{wanted}: no such folder to write into; make it first")
    if not os.access(holder, os.W_OK | os.X_OK):
        raise UserError(f"{start}{holder}: no right to write into this folder; name another place")
    return target


def write_atomic(path: str | os.PathLike[str], content: str | bytes) -> None:
    """Write a whole file atomically. Text becomes UTF-8; bytes of a file name that are not UTF-8 stay as they are."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.encode(errors="surrogateescape") if isinstance(content, str) else content)


def write_piece(path: str, content: bytes) -> None:
    """As `write_atomic`, of one of very many files of our own.

    No `Path` is made, for one interns its parts: with new names again and again, Python's table of such strings doubles
    in every process, by megabytes.
    """
    with _beside(path, path) as temporary, open(temporary, "wb") as file:
        file.write(content)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write one JSON value atomically, indented for people."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    # What UTF-8 cannot hold are the lone surrogates of odd file names; escaped as \udce9 they are JSON, and come back.
    write_atomic(path, text.encode(errors="backslashreplace"))


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read one JSON value; a missing or damaged file is a one-line `UserError`."""
    try:
        return parse_json(read_document(path), str(path))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None


@contextlib.contextmanager
def exclusive_lock(path: str | os.PathLike[str], busy: str | None = None) -> Iterator[None]:
    """Hold `path` as a lock for the block; a second process gets a `Busy`. The kernel drops it at any death.

    Only the holder may remove the file, inside the block: a remover that does not hold it takes away another's lock.
    """
    while True:
        with open_to_append(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Busy(
                    busy or f"{Path(path).parent}: another process is training this run; wait for it or stop it"
                ) from None
            if not _is_at(file.fileno(), path):  # its last holder removed it between our opening and our locking
                continue
            _drop_at_forks()
            _LOCKS.add(file)
            try:
                yield
            finally:
                _LOCKS.discard(file)
            return


_LOCKS: set[IO[bytes]] = set()  # that this process holds


@functools.cache
def _drop_at_forks() -> None:
    """From now on a forked process holds none of our locks: it would keep them when we let go, and wait for itself."""
    os.register_at_fork(after_in_child=_drop)


def _drop() -> None:
    for file in _LOCKS:
        file.close()  # ours stays locked: it is another descriptor
    _LOCKS.clear()


@contextlib.contextmanager
def waited_lock(path: str | os.PathLike[str], every: float = 0.02) -> Iterator[None]:
    """Hold `path` as a lock for the block, as soon as nobody else does; asks again after `every` seconds."""
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(exclusive_lock(path))
                break
            except Busy:
                time.sleep(every)
        yield


def _is_at(handle: int, path: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _sync_folder(folder: str) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
