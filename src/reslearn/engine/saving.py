"""An exported file on disk: what may be replaced, and the order of writing in which no half of it is ever believed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..runtime.envelope import SUFFIXES, TORCH_NAME, ExportKind, export_kind, kind_of_start, weights_beside
from ..runtime.files import write_atomic
from ..runtime.replacing import Kind, check_outside_runs, replaceable
from ..spec.errors import UserError
from .exported import SEEN_KEY, Exported, seen_beside

EXPORTED = Kind(
    "exported file",
    lambda start, end: kind_of_start(start) is not None or (start[:2] == b"PK" and TORCH_NAME.encode() in end),
)
SEEN = Kind("file of seen pictures", lambda start, _: f'"{SEEN_KEY}"'.encode() in start[:64])


def export_target(
    path: str | os.PathLike[str], to: ExportKind, *, inputs: Iterable[str | os.PathLike[str]] = ()
) -> Path:
    """`path`, if such a file, and those beside it, may come to be there; before any work."""
    if Path(path).suffix.lower() != SUFFIXES[to]:
        raise UserError(f"-o {path}: the name of a file for {to} ends in {SUFFIXES[to]}")
    target = replaceable(path, EXPORTED, "-o", inputs=inputs)
    check_outside_runs(target, "-o")
    weights = weights_beside(target)
    if to == "openvino" and os.path.lexists(weights) and not (weights.is_file() and export_kind(target) == "openvino"):
        raise UserError(
            f"-o {path}: its weights would replace {weights}, which is no export of reslearn; name another file"
        )
    replaceable(seen_beside(target), SEEN, "-o")
    return target


def save_exported(exported: Exported, target: Path, beside: bytes = b"") -> int:
    """Write the file and what lies beside it, each atomically, the file itself last; returns the bytes of all."""
    seen, weights = seen_beside(target), weights_beside(target)
    if beside:
        write_atomic(replaceable(seen, SEEN), beside)
    if exported.graph.to == "openvino":
        write_atomic(weights, exported.weights)
    write_atomic(target, exported.content)
    if not beside and seen.exists():
        replaceable(seen, SEEN).unlink()
    return len(exported.content) + len(exported.weights) + len(beside)
