"""`ledger.jsonl` of a run folder: one line for every time its model was scored on pictures kept from training."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...runtime.environment import now
from ...runtime.files import naming
from ...runtime.notes import warn
from ...runtime.opening import open_to_append, parse_json, read_document
from ...spec.codec import finite
from ...spec.errors import UserError

FILE_NAME = "ledger.jsonl"


def enter(folder: Path, **values: Any) -> None:
    """Append one line; what was looked at cannot be unseen, so lines are never removed. Raises `OSError`."""
    entry = {"time": now(), **values}
    text = json.dumps(finite(entry), ensure_ascii=False, allow_nan=False) + "\n"
    line = text.encode(errors="backslashreplace")  # a path that is not UTF-8 as \udce9, which is JSON
    with naming(folder / FILE_NAME), open_to_append(folder / FILE_NAME) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # an earlier write was cut short: its remains must not spoil this line
                line = b"\n" + line
        file.write(line)  # one write of one line: two processes cannot mix theirs
        file.flush()
        os.fsync(file.fileno())


def read_ledger(folder: Path) -> list[dict[str, Any]]:
    """Every entry so far. A line that is none, cut short by a crash or damaged, is left out with a warning."""
    path = folder / FILE_NAME
    entries = []
    lines = read_document(path).split(b"\n") if path.exists() else []
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            entries.append(_entry(line))
        except UserError:
            warn(f"{path}, line {number}: cut short while it was written, or damaged; left out")
    return entries


def _entry(line: bytes) -> dict[str, Any]:
    value = parse_json(line, "")
    if not isinstance(value, dict) or not all(name in value and holds(value[name]) for name, holds in _FIELDS.items()):
        raise UserError("no entry")
    if not _text_or_none(value.get("model_digest")):  # of what was scored, its file's name aside; older lines have none
        raise UserError("no entry")
    return value


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _text_or_none(value: Any) -> bool:
    return value is None or _text(value)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def _number_or_none(value: Any) -> bool:
    return value is None or _number(value)


def _share(value: Any) -> bool:
    return _number(value) and 0 <= value <= 1


def _interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_share, value))


_FIELDS: dict[str, Callable[[Any], bool]] = {
    "time": _text,
    "data": _text_or_none,
    "fingerprint": _text,
    "split": _text,
    "protocol": _text,
    "precision": _text,
    "images": _number,
    "top1": _share,
    "top1_interval": _interval,
    "top5": _number_or_none,
    "loss": _number_or_none,
}
