"""A bounded folder of pieces of files that lie elsewhere, shared by all processes of this machine.

A piece is whole or absent. The one longest unused goes first; who has it open goes on reading it. Where nothing can be
kept, on a full disk or in a folder that may not be written, all is read without it, which is said once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ...runtime.files import remove_leftovers, user_cache, waited_lock, write_piece
from ...runtime.notes import note_once
from ...runtime.opening import open_regular
from ...spec.errors import UserError

LEAST = 10 * 10**9  # bytes of the bound that is chosen, if there is room
GRANT = 64  # a process may write this part of the bound before the folder is looked over again


class Cache:
    """At most `limit` bytes in `folder`; half of what is free there, and no more than `LEAST`, unless told."""

    def __init__(self, limit: int | None = None, folder: Path | None = None) -> None:
        self.folder = folder or user_cache() / "remote"
        self._folder = str(self.folder)
        self._granted = self.limit = 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.limit = limit if limit is not None else min(LEAST, shutil.disk_usage(self.folder).free // 2)
        except OSError as error:
            self._do_without(error)

    def path(self, key: str) -> str:
        """Where the piece of this key lies, if it does; no `Path`, for the reason that `write_piece` gives."""
        name = hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()[:40]
        return f"{self._folder}/{name[:2]}/{name}"

    def _do_without(self, error: OSError | UserError) -> None:
        self.limit = 0
        why = error.strerror if isinstance(error, OSError) else error
        note_once(
            f"{self._folder}: nothing can be kept there ({why}); what is read of a store is fetched again each time"
        )

    def get(self, key: str, size: int) -> bytes | None:
        """A piece; None where it is not there, or is damaged."""
        path = self.path(key)
        try:
            with open_regular(path) as file:
                content = file.read()
        except (OSError, UserError):  # not there, or no file
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return content if len(content) == size else None

    def open(self, key: str) -> BinaryIO | None:
        """A piece to read parts of; None where it is not there."""
        try:
            return open_regular(self.path(key))
        except (OSError, UserError):
            return None

    def part(self, piece: BinaryIO, start: int, size: int) -> bytes | None:
        """A part of an open piece, which is in use from now on; None where it has been removed from the cache."""
        handle = piece.fileno()
        about = os.fstat(handle)
        if not about.st_nlink:  # what is held open takes its room on the disk
            return None
        if time.time() - about.st_mtime > 60:
            with contextlib.suppress(OSError):
                os.utime(handle)
        found = os.pread(handle, size, start)
        return found if len(found) == size else None

    def range(self, key: str, start: int, size: int) -> bytes | None:
        """A part of a piece; None where it is not there."""
        piece = self.open(key)
        if piece is None:
            return None
        with piece:
            return self.part(piece, start, size)

    def has(self, key: str) -> bool:
        """Whether a piece is there."""
        return os.path.exists(self.path(key))

    def fetch(self, key: str, size: int, get: Callable[[], bytes]) -> bytes | None:
        """The piece of this key, got by `get`, by one process alone, if it is not there; None where it is too large."""
        found = self.get(key, size)
        if found is not None or size > self.limit // 2:
            return found
        path = self.path(key)
        with contextlib.ExitStack() as held:
            try:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                held.enter_context(waited_lock(f"{path}.lock"))
            except (OSError, UserError) as error:
                self._do_without(error)
                return get()
            found = self.get(key, size)
            if found is None:
                found = get()
                try:
                    self._make_room(len(found))
                    write_piece(path, found)
                except (OSError, UserError) as error:
                    self._do_without(error)
            with contextlib.suppress(OSError):  # else there would be one for each piece that ever was
                os.unlink(f"{path}.lock")
        return found

    def _make_room(self, size: int) -> None:
        """Remove what is longest unused until there is room for `size` bytes, and some for the next ones."""
        if size <= self._granted:
            self._granted -= size
            return
        with waited_lock(f"{self._folder}/lock"):
            grant = max(size, self.limit // GRANT)
            pieces = sorted(self._pieces(), key=lambda piece: piece[0])
            total = sum(piece[1] for piece in pieces)
            for _, bytes_, path in pieces:
                if total + grant + self.limit // 16 <= self.limit:  # a sixteenth for what others were granted
                    break
                with contextlib.suppress(OSError):
                    os.unlink(path)
                    total -= bytes_
        self._granted = grant - size

    def _pieces(self) -> Iterator[tuple[float, int, str]]:
        for name in os.listdir(self._folder):
            folder = f"{self._folder}/{name}"
            if len(name) != 2 or not os.path.isdir(folder):
                continue
            remove_leftovers(folder)
            for entry in os.scandir(folder):
                with contextlib.suppress(OSError):
                    if not entry.name.startswith(".") and not entry.name.endswith(".lock"):
                        found = entry.stat()
                        yield found.st_mtime, found.st_size, entry.path

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_granted": 0}
