"""`ledger.jsonl` of a run folder: one line for every time its model was scored on pictures kept from training."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from ..spec.codec import finite

FILE_NAME = "ledger.jsonl"


def enter(folder: Path, **values: Any) -> None:
    """Append one line; what was looked at cannot be unseen, so lines are never removed. Raises `OSError`."""
    entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **values}
    text = json.dumps(finite(entry), ensure_ascii=False, allow_nan=False) + "\n"
    line = text.encode(errors="backslashreplace")  # a path that is not UTF-8 as \udce9, which is JSON
    with open(folder / FILE_NAME, "a+b") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # an earlier write was cut short: its remains must not spoil this line
                line = b"\n" + line
        file.write(line)  # one write of one line: two processes cannot mix theirs
        file.flush()
        os.fsync(file.fileno())


def read_ledger(folder: Path) -> list[dict[str, Any]]:
    """Every entry so far; a line that a crash cut short is left out, with a warning on standard error."""
    path = folder / FILE_NAME
    entries = []
    for number, line in enumerate(path.read_bytes().split(b"\n") if path.exists() else [], 1):
        if not line:
            continue
        try:
            entries.append(json.loads(line.decode()))
        except ValueError:  # not JSON, or cut inside a character
            print(f"warning: {path}, line {number}: cut short while it was written; left out", file=sys.stderr)
    return entries
