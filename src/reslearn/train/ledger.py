"""`ledger.jsonl` of a run folder: one line for every time its model was scored on pictures kept from training."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ..spec.codec import finite

FILE_NAME = "ledger.jsonl"


def enter(folder: Path, **values: Any) -> None:
    """Append one line; what was looked at cannot be unseen, so lines are never removed. Raises `OSError`."""
    entry = {"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), **values}
    line = json.dumps(finite(entry), ensure_ascii=False, allow_nan=False) + "\n"
    with open(folder / FILE_NAME, "a", encoding="utf-8") as file:
        file.write(line)  # one write of one line: two processes cannot mix theirs
        file.flush()
        os.fsync(file.fileno())


def read_ledger(folder: Path) -> list[dict[str, Any]]:
    """Every line so far; an unfinished last one is left out."""
    path = folder / FILE_NAME
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]
