"""The bytes of a safetensors file, checked before anything is made of them: is it ours, whole and unaltered?"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ..spec.catalogue import CATALOGUE
from ..spec.errors import UserError
from .header import KEY

FILE_NAME = "model.safetensors"
_OURS = "expected a sealed file (model.safetensors) or a run folder"
_CONVERT = "turn foreign weights into one with `reslearn convert WEIGHTS --model M -o FILE`"


def locate(path: str | os.PathLike[str]) -> Path:
    """The sealed file that `path` means: itself, or the one in a run folder. Raises `UserError` where there is none."""
    given = Path(path)
    if given.is_dir():
        inside = given / FILE_NAME
        if inside.is_file():
            return inside
        if (given / "run.json").exists():
            raise UserError(
                f"{given}: this run is not finished, so nothing is sealed; finish it: reslearn resume {given}"
            )
        raise UserError(f"{given}: no {FILE_NAME} in this folder; {_OURS}")
    if given.is_file():
        return given
    if str(path) in CATALOGUE:
        raise UserError(f"{path}: a catalogue name is an untrained network; {_OURS}")
    raise UserError(f"{given}: no such file; {_OURS}")


def read_container(path: Path) -> tuple[bytes, dict[str, str]]:
    """The whole file and its metadata, after checking that it is ours and that every byte it promises is there."""
    content = path.read_bytes()
    if len(content) < 10 or content[8:9] != b"{":
        raise UserError(f"{path}: {_what(content)}; {_OURS}; {_CONVERT}")
    length = int.from_bytes(content[:8], "little")
    if length > len(content) - 8:
        raise UserError(f"{path}: truncated inside its header ({len(content):,} bytes are there); copy it again")
    entries = _entries(content, length, path)
    metadata = entries.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get(KEY), str):
        raise UserError(f"{path}: a safetensors file that reslearn did not seal; {_CONVERT}")
    needed = 8 + length + max((_stop(entry, path) for entry in entries.values()), default=0)
    if len(content) < needed:
        raise UserError(f"{path}: truncated, {len(content):,} of {needed:,} bytes are there; copy it again")
    if len(content) > needed:
        raise UserError(f"{path}: {len(content) - needed:,} bytes too long for its header; copy it again")
    return content, metadata


def digest_tensors(content: bytes) -> str:
    """sha256 over every tensor of a safetensors file, by name: `name dtype [shape]` and a newline, then its bytes."""
    length = int.from_bytes(content[:8], "little")
    entries = json.loads(content[8 : 8 + length])
    sha = hashlib.sha256()
    view = memoryview(content)[8 + length :]
    for name in sorted(entries.keys() - {"__metadata__"}):
        entry = entries[name]
        start, stop = entry["data_offsets"]
        sha.update(f"{name} {entry['dtype']} {entry['shape']}\n".encode())
        sha.update(view[start:stop])
    return sha.hexdigest()


def _entries(content: bytes, length: int, path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(content[8 : 8 + length])
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        entries = None
    if not isinstance(entries, dict):
        raise UserError(f"{path}: its header cannot be read, the file is damaged; copy it again")
    return entries


def _stop(entry: Any, path: Path) -> int:
    """Where a tensor's bytes end, after checking that its entry is one."""
    match entry:
        case {"dtype": str(), "shape": list(), "data_offsets": [int(start), int(stop)]} if 0 <= start <= stop:
            return stop
    raise UserError(f"{path}: its header does not say where the tensors lie, the file is damaged; copy it again")


def _what(content: bytes) -> str:
    if not content:
        return "an empty file"
    if content[:2] in (b"PK", b"\x80\x02"):
        return "a PyTorch or pickle file, not a sealed one"
    return "not a sealed file"
