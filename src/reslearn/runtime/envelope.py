"""The bytes of an exported file, checked before any engine parses them: is it ours, whole and unaltered?

An exported file holds one JSON text of ours, in ASCII: in ONNX's metadata, in the `rt_info` of OpenVINO's XML, in a
file of its own inside a torch archive. It opens with the checksum: the sha256 of the file as it lies, its own 64 digits
taken as zeros (and in a torch archive the checksums of the zip that depend on them). OpenVINO's `.bin` counts as the
continuation of its `.xml`. Nothing here needs the engines' packages.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any, Literal

from ..spec.errors import UserError
from .container import NO_DIGEST
from .opening import open_regular, read_regular

ExportKind = Literal["onnx", "openvino", "torch"]
FORMAT = 1
KEY = "reslearn"  # the name under which our text lies in the file's metadata
TORCH_NAME = "reslearn.json"
LARGEST: dict[ExportKind, int] = {
    "onnx": (1 << 31) - 1,
    "openvino": 1 << 31,
    "torch": 1 << 34,
}  # bytes; ONNX's own limit
LARGEST_WEIGHTS = 1 << 34
SUFFIXES: dict[ExportKind, str] = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
OPENING = '{"reslearn":"export","sha256":"'
_ONNX_MARK = b"\x12\x08reslearn"  # the producer's name, second in the file
_XML_MARK = b'<net name="reslearn"'
_START = 4096  # bytes at the beginning of a file that tell what it is


@dataclass(frozen=True)
class Envelope:
    """An exported file that has the checksum it states."""

    path: Path
    kind: ExportKind
    content: bytes  # of the file itself
    weights: bytes  # of OpenVINO's `.bin`; empty for others
    header: dict[str, Any]  # the parsed JSON: still to be checked field by field
    sha256: str


def export_kind(path: str | os.PathLike[str]) -> ExportKind | None:
    """Which kind of exported file of ours a file looks like, whole or damaged; None for any other file."""
    try:
        with open_regular(path) as file:
            start = file.read(_START)
    except (OSError, UserError):
        return None
    if kind := kind_of_start(start):
        return kind
    if start[:2] == b"PK":
        try:
            with zipfile.ZipFile(path) as archive:
                return "torch" if any(name.endswith(f"/{TORCH_NAME}") for name in archive.namelist()) else None
        except Exception:  # whatever zipfile meets in damaged bytes
            return None
    return None


def kind_of_start(start: bytes) -> ExportKind | None:
    """What the first bytes of a file say; a torch archive's say nothing of us."""
    if start[:1] == b"\x08" and _ONNX_MARK in start[:64]:
        return "onnx"
    return "openvino" if start[:5] == b"<?xml" and _XML_MARK in start else None


def weights_beside(path: str | os.PathLike[str]) -> Path:
    """Where OpenVINO keeps the weights of an `.xml`."""
    return Path(path).with_suffix(".bin")


def header_text(fields: dict[str, Any]) -> str:
    """`fields` as the text that goes into the file, its digest still to be filled in by `stamp`."""
    text = json.dumps(fields, allow_nan=False, sort_keys=True, separators=(",", ":"))
    return f'{OPENING}{NO_DIGEST}",{text[1:]}'


def stamp(kind: ExportKind, content: bytes, weights: bytes = b"") -> bytes:
    """A file of ONNX or OpenVINO whose digest was left as zeros, with the digest put in."""
    at = _digits(kind, content)
    if at is None or content[at : at + 64] != NO_DIGEST.encode():
        raise ValueError("an exported file must hold its own text once, with its sha256 still zero")
    digest = _digest(kind, content, weights, at)
    return content[:at] + digest.encode() + content[at + 64 :]


def digest_in(content: bytes) -> str:
    """The digest that a torch archive of ours states."""
    at = content.index(OPENING.encode()) + len(OPENING)
    return content[at : at + 64].decode()


def read_envelope(path: str | os.PathLike[str]) -> Envelope:
    """Read an exported file of ours and check its checksum; no engine has seen a byte of it by then.

    Raises `UserError` in one line for a file that is altered, cut short, or of a newer format, and for a torch program,
    which is never opened: torch would unpickle it.
    """
    where = Path(path)
    kind = export_kind(where)
    if kind is None:
        raise UserError(f"{where}: not a file that `reslearn export` made; give its .onnx or .xml, or the sealed file")
    if kind == "torch":
        raise UserError(
            f"{where}: a torch program, which torch unpickles, so it is for others to load and never opened here; give "
            f"the sealed file, {made_of(where, kind)}"
        )
    content = read_regular(where, LARGEST[kind])
    weights = b""
    if kind == "openvino":
        beside = weights_beside(where)
        if not beside.is_file():
            raise UserError(f"{where}: its weights, {beside.name}, are not beside it; copy both files")
        weights = read_regular(beside, LARGEST_WEIGHTS)
    return envelope_of(kind, content, weights, where)


def envelope_of(kind: ExportKind, content: bytes, weights: bytes, where: Path) -> Envelope:
    """The same for bytes in memory; `where` is for messages."""
    altered = UserError(
        f"{where}: it does not have the sha256 that it was exported with; the file was altered, copy it again"
    )
    at = _digits(kind, content)
    if at is None:
        raise altered
    digest = _digest(kind, content, weights, at)
    if content[at : at + 64] != digest.encode():
        raise altered
    header = _header(kind, content, at)
    if header is None or type(header.get("format")) is not int:
        raise UserError(f"{where}: its own metadata are damaged; export it again")
    if header["format"] > FORMAT:
        raise UserError(
            f"{where}: exported in format {header['format']}, this version of reslearn reads up to {FORMAT}; "
            "upgrade reslearn"
        )
    if kind == "openvino" and header.get("weights") != len(weights):  # so no byte moves from one file into the other
        raise altered
    return Envelope(where, kind, content, weights, header, digest)


def refuse_exported(path: str | os.PathLike[str]) -> None:
    """Raise `UserError`, which names the sealed file, for an exported file where only a sealed one will do."""
    kind = export_kind(path)
    if kind is not None:
        raise UserError(
            f"{os.fspath(path)}: an exported {kind} file; it is for predict, evaluate and verify, and cannot be "
            f"trained, combined or changed: give the sealed file that it was made of, {made_of(path, kind)}"
        )


def made_of(path: str | os.PathLike[str], kind: ExportKind) -> str:
    """The sealed file that an exported one names, taken at its word."""
    content = read_regular(path, LARGEST[kind])
    at = _digits(kind, content)
    graph = (_header(kind, content, at) or {}).get("graph") if at is not None else None
    name = graph.get("made_of") if isinstance(graph, dict) else None
    return name if isinstance(name, str) else "which its damaged metadata do not name"


def _spelled(kind: ExportKind, text: str) -> bytes:
    """How a text of ours stands in the file: XML escapes its quotation marks."""
    return (escape(text, quote=True) if kind == "openvino" else text).encode()


def _digits(kind: ExportKind, content: bytes) -> int | None:
    """Where the digest stands; None where our text is not there, or more than once."""
    opening = _spelled(kind, OPENING)
    at = content.find(opening)
    if at < 0 or content.find(opening, at + 1) >= 0:
        return None
    return at + len(opening)


def _digest(kind: ExportKind, content: bytes, weights: bytes, at: int) -> str:
    view = memoryview(content)
    sha = hashlib.sha256(view[:at])
    sha.update(NO_DIGEST.encode())
    sha.update(view[at + 64 :])
    sha.update(weights)
    return sha.hexdigest()


def _header(kind: ExportKind, content: bytes, at: int) -> dict[str, Any] | None:
    """The JSON object around the digits at `at`."""
    start = at - len(_spelled(kind, OPENING))
    try:
        if kind == "openvino":
            end = content.index(b'"', start)  # the attribute's; those of the text are escaped
            value = json.loads(unescape(content[start:end].decode("ascii")))
        else:
            end = content.index(b"\n", start)
            value = json.loads(content[start:end].decode("ascii"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
