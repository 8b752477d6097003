"""`ledger.jsonl` of a run folder: one line for every time its model was scored on pictures kept from training."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ...bundle.rules import INTERVAL, NUMBER, SHARE, TEXT
from ...runtime.environment import now
from ...runtime.files import naming
from ...runtime.notes import warn
from ...runtime.opening import open_to_append, parse_json, read_document
from ...spec.codec import finite
from ...spec.errors import UserError

FILE_NAME = "ledger.jsonl"
FIELDS = {
    **dict.fromkeys(("time", "fingerprint", "split", "protocol", "precision"), TEXT),
    "images": NUMBER,
    "top1": SHARE,
    "top1_interval": INTERVAL,
}
MAYBE = {"data": TEXT, "top5": NUMBER, "loss": NUMBER, "model_digest": TEXT}  # or null


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
    if isinstance(value, dict) and {*FIELDS, *MAYBE} - {"model_digest"} <= value.keys():  # older lines have no digest
        needed = all(rule.holds(value[name]) for name, rule in FIELDS.items())
        if needed and all(value.get(name) is None or rule.holds(value[name]) for name, rule in MAYBE.items()):
            return value
    raise UserError("no entry")
