"""Optuna's journal file: its lock, which a death releases, and many lines at once."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...runtime.opening import open_to_append


def open_journal(path: Path) -> Any:
    """Optuna's backend for the file `path`. Inside its `together()`, lines are on the disk at the end, not each."""
    from optuna.storages.journal import JournalFileBackend

    lock = _lock(path)

    class Journal(JournalFileBackend):  # the name of its interface is not public
        waits = True

        @contextlib.contextmanager
        def together(self) -> Iterator[None]:
            self.waits = False  # 4 ms a line: 10,000 trials would take most of a minute
            try:
                yield
            finally:
                self.waits = True
                with open(path, "ab") as file:
                    os.fsync(file.fileno())

        def append_logs(self, logs: list[dict[str, Any]]) -> None:
            if self.waits:
                return super().append_logs(logs)
            lock.acquire()
            try:
                with open(path, "ab") as file:
                    file.write("".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs).encode())
            finally:
                lock.release()

    return Journal(str(path), lock_obj=lock)


def _lock(path: Path) -> Any:
    """A lock of Optuna's journal that a death releases; whoever gets it cuts off what a killed writer left half."""
    from optuna.storages.journal import JournalFileSymlinkLock

    held = contextlib.ExitStack()

    class Lock(JournalFileSymlinkLock):  # the name of its interface is not public
        def acquire(self) -> bool:
            file = held.enter_context(open_to_append(path.with_suffix(".lock")))
            fcntl.flock(file, fcntl.LOCK_EX)
            _cut_half_line(path)
            return True

        def release(self) -> None:
            held.close()

    return Lock(str(path))


def _cut_half_line(path: Path) -> None:
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - 1, 0))
        if size == 0 or file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
