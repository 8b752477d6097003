"""`metrics.jsonl`: one line per step and per epoch. A checkpoint stores its length, and a resume cuts it there."""

from __future__ import annotations

import json
import os
import types
from pathlib import Path
from typing import Any


class Journal:
    """Appends JSON lines; `flush` makes them durable and tells the length a checkpoint may rely on."""

    def __init__(self, path: Path, keep_bytes: int, *, writes: bool = True) -> None:
        """Cut the journal to `keep_bytes` and append from there; with `writes=False` (other ranks) do nothing."""
        self._file = None
        if writes:
            path.touch()
            os.truncate(path, min(keep_bytes, path.stat().st_size))
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by __exit__

    def write(self, **values: Any) -> None:
        """Append one line."""
        if self._file is not None:
            self._file.write(json.dumps(values) + "\n")

    def flush(self) -> int:
        """Put everything on disk and return the file's length in bytes."""
        if self._file is None:
            return 0
        self._file.flush()
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal as dicts; an unfinished last line is left out."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]
