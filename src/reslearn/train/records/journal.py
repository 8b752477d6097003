"""`metrics.jsonl`: one line per step and per epoch. A checkpoint stores its length, and a resume cuts it there."""

from __future__ import annotations

import json
import math
import os
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ...runtime.files import naming
from ...runtime.opening import open_to_append, parse_json, read_document
from ...spec.errors import UserError

NUMBER = (int, float)
COUNTS = ("step", "epoch", "seconds", "images_per_second", "best_epoch", "lr")  # finite, and not below 0
ABSENT = ("val_loss", "val_error", "best_epoch")  # null where nothing was validated
FIELDS = {
    "step": ("step", "loss", "lr"),
    "epoch": ("epoch", "step", "train_loss", "train_error", "val_loss", "val_error", "images_per_second", "seconds"),
    "gradients": ("step", "norms"),
    "end": ("best_epoch", "seconds", "images_per_second"),
}


class Journal:
    """Appends JSON lines; `flush` makes them durable and tells the length a checkpoint may rely on."""

    def __init__(
        self,
        path: Path,
        keep_bytes: int,
        *,
        writes: bool = True,
        line: Callable[[Mapping[str, Any]], None] = lambda line: None,
    ) -> None:
        """Cut the journal to `keep_bytes` and append from there; with `writes=False` (other ranks) do nothing.

        `line` is told each line, once it is written.
        """
        self._file, self._path, self._line = None, path, line
        if writes:
            self._file = open_to_append(path)
            self._file.truncate(min(keep_bytes, os.fstat(self._file.fileno()).st_size))

    def write(self, **values: Any) -> None:
        """Append one line."""
        if self._file is not None:
            with naming(self._path):
                self._file.write(json.dumps(values).encode() + b"\n")
            self._line(values)

    def flush(self) -> int:
        """Put everything on disk and return the file's length in bytes."""
        if self._file is None:
            return 0
        with naming(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        if self._file is None:
            return
        try:
            with naming(self._path):
                self._file.close()
        except OSError:
            if error is None:  # of a disk that is full something has been said already
                raise


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal as dicts; an unfinished last line is left out. Raises `UserError` for any other damage."""
    content = read_document(path) if path.exists() else b""
    return [_checked(line, f"{path}, line {number}") for number, line in enumerate(content.split(b"\n")[:-1], 1)]


def last_line(path: Path) -> dict[str, Any] | None:
    """The line that the end of a run wrote; None before that."""
    return next((line for line in reversed(read_journal(path)) if line["kind"] == "end"), None)


def _checked(line: bytes, where: str) -> dict[str, Any]:
    value = parse_json(line, where)
    names = FIELDS.get(str(value.get("kind"))) if isinstance(value, dict) else None
    if names is None or not all(name in value and _holds(name, value[name]) for name in names):
        raise UserError(f"{where}: damaged, no line of a journal; put a copy of it back, or train with --overwrite")
    return dict(value)


def _holds(name: str, value: Any) -> bool:
    """Whether a line may say `value` under `name`."""
    if name == "norms":
        return isinstance(value, dict) and all(isinstance(norm, NUMBER) for norm in value.values())
    if value is None:
        return name in ABSENT
    if isinstance(value, bool) or not isinstance(value, NUMBER):
        return False
    return name not in COUNTS or 0 <= value < math.inf
