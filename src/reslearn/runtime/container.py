"""The bytes of a sealed file, checked before anything is made of them: is it ours, whole and unaltered?

A sealed file is a safetensors file whose metadata hold one key, `KEY`, with the header as JSON text. The header's first
field is the checksum. In format 2 it is the sha256 of the whole file, its own 64 digits taken as zeros; in format 1 it
was that of the tensors alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..spec.catalogue import CATALOGUE
from ..spec.errors import UserError
from .addresses import local
from .notes import note_once
from .opening import open_regular, read_regular

FORMAT = 2
KEY = "reslearn.bundle"
FILE_NAME = "model.safetensors"
MEAN_IMAGE = "preprocess.mean_image"  # the tensor's name where `preprocess.mean_image` is not null
SEEN = "seen."  # what the names of tensors begin with that say which pictures were trained on
NO_DIGEST = "0" * 64
HEADER = 100_000_000  # bytes; safetensors itself reads no longer one
_OPENING = b'{"__metadata__":{"reslearn.bundle":"{\\"sha256\\":\\"'
_DIGITS = slice(8 + len(_OPENING), 8 + len(_OPENING) + len(NO_DIGEST))  # the length of the header comes first
_OURS = "expected a sealed file (model.safetensors) or a run folder"
_CONVERT = "turn foreign weights into one with `reslearn convert WEIGHTS --model M -o FILE`"


@dataclass(frozen=True)
class Container:
    """A file that has the checksum it states."""

    path: Path
    content: bytes  # all of it, a safetensors file
    header: dict[str, Any]  # the parsed JSON under `KEY`: still to be checked field by field


def locate(path: str | os.PathLike[str]) -> Path:
    """The sealed file that a path or address means: itself, or the one in a folder; `UserError` where there is none."""
    given = local(path)
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


def is_sealed(path: str | os.PathLike[str]) -> bool:
    """Whether a file looks like a sealed one, whole or damaged: safetensors whose metadata hold a header of ours."""
    try:
        with open_regular(path) as file:
            start = file.read(8)
            head = file.read(min(int.from_bytes(start, "little"), 1 << 26))
    except (OSError, UserError):
        return False
    marks = (KEY.encode(), b'\\"members\\":[', b'\\"preprocess\\":{', b'\\"sha256\\":\\"')
    return head[:1] == b"{" and sum(mark in head for mark in marks) >= 2


def sealed_in(path: str | os.PathLike[str]) -> Path:
    """Where the sealed file of a model lies, whether there is one or not."""
    return Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)


def read_container(path: Path) -> Container:
    """Read a sealed file and check that it is ours, that every byte it promises is there, and its checksum.

    Of a file whose header was ever outside the checksum, standard error says so. All errors are `UserError`, one line.
    """
    content, metadata = read_safetensors(path)
    if not isinstance(metadata.get(KEY), str):
        raise UserError(f"{path}: a safetensors file that reslearn did not seal; {_CONVERT}")
    header = _object(metadata[KEY], f"{path}: its {KEY} header is not a JSON object; the file is damaged")
    written = header.get("format")
    if type(written) is not int or written < 1:
        raise UserError(f"{path}: its header names no format; the file is damaged, copy it again")
    if written > FORMAT:
        raise UserError(
            f"{path}: sealed in format {written}, this version of reslearn reads up to {FORMAT}; upgrade reslearn"
        )
    found = digest_tensors(content) if written == 1 else digest_whole(content)
    if found is None or found != header.get("sha256"):
        raise UserError(f"{path}: it does not have the sealed sha256; the file was altered, copy it again")
    _say_what_was_open(path, written, header)
    return Container(path, content, header)


def read_safetensors(path: Path) -> tuple[bytes, dict[str, Any]]:
    """All bytes of a safetensors file, and its metadata. Its beginning says how many bytes there are, and they must all
    be there before they are read, for a sparse file is as long as it likes. Raises `UserError` for any other file.
    """
    needed, metadata = check_safetensors(path)
    content = read_regular(path, needed)
    if len(content) < needed:
        raise UserError(f"{path}: it became shorter while it was read; copy it again")
    return content, metadata


def check_safetensors(path: Path) -> tuple[int, dict[str, Any]]:
    """How many bytes a safetensors file has, as its beginning says and as are there, and its metadata."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(10)
        if len(start) < 10 or start[8:9] != b"{":
            raise UserError(f"{path}: {_what(start)}; {_OURS}; {_CONVERT}")
        length = int.from_bytes(start[:8], "little")
        if length > size - 8:
            raise UserError(f"{path}: truncated inside its header ({size:,} bytes are there); copy it again")
        if length > HEADER:
            raise UserError(f"{path}: a header of {length:,} bytes, over {HEADER:,}; it is damaged, copy it again")
        file.seek(8)
        entries = _object(file.read(length), f"{path}: its header cannot be read, the file is damaged")
    metadata = entries.pop("__metadata__", {})
    needed = 8 + length + max((_stop(entry, path) for entry in entries.values()), default=0)
    if size < needed:
        raise UserError(f"{path}: truncated, {size:,} of {needed:,} bytes are there; copy it again")
    if size > needed:
        raise UserError(f"{path}: {size - needed:,} bytes too long for its header; copy it again")
    return needed, metadata if isinstance(metadata, dict) else {}


def _say_what_was_open(path: Path, written: int, header: dict[str, Any]) -> None:
    if written == 1:
        note_once(f"{path}: not sealed whole: format 1 has no checksum over classes, preprocessing and scores")
    elif isinstance(header.get("sealed_whole_since"), str):
        note_once(
            f"{path}: sealed whole since {header['sealed_whole_since']}; until then no checksum lay over its classes, "
            "preprocessing and scores"
        )


def stamp(content: bytes) -> tuple[bytes, str]:
    """A format-2 file whose digest was left as `NO_DIGEST`, with the digest put in; and the digest."""
    if content[8 : _DIGITS.stop] != _OPENING + NO_DIGEST.encode():
        raise ValueError("a sealed file must open with its header, and the header with its sha256 still zero")
    digest = hashlib.sha256(content).hexdigest()
    return content[: _DIGITS.start] + digest.encode() + content[_DIGITS.stop :], digest


def digest_whole(content: bytes) -> str | None:
    """sha256 of a whole format-2 file with its own digits zeroed; None for one that does not open as such files do."""
    if content[8 : 8 + len(_OPENING)] != _OPENING:
        return None
    view = memoryview(content)
    sha = hashlib.sha256(view[: _DIGITS.start])
    sha.update(NO_DIGEST.encode())
    sha.update(view[_DIGITS.stop :])
    return sha.hexdigest()


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


def _object(text: bytes | str, what: str) -> dict[str, Any]:
    """The JSON object in `text`, else `UserError` of `what`. NaN and Infinity, which Python would read, are no JSON."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):  # ValueError: no JSON, no UTF-8, or a number of thousands of digits
        value = None
    if not isinstance(value, dict):
        raise UserError(f"{what}; copy it again")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


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
