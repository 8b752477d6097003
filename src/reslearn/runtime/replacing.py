"""What may be written over what: a file that somebody named is replaced by one of its own kind, and by no other.

A file is known by how it begins (or ends), never by its name: `model.safetensors` may be anybody's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..spec.errors import UserError
from .container import FILE_NAME
from .container import KEY as BUNDLE
from .files import writable_target, write_atomic
from .opening import open_regular

GENERATOR = '<meta name="generator" content="reslearn'  # what the head of every page of ours holds
MODEL_PAGE = '<meta name="application-name" content="reslearn model">'  # a page with a model inside
DIAGRAM = 'class="reslearn-diagram"'  # what the first line of every diagram of ours holds
MADE_BY = "reslearn"  # what our figures name as the software that made them
RECORDS = ("run.json", "crossval.json")
OF_A_RUN = (*RECORDS, FILE_NAME, "out-of-fold.safetensors", "mean_image.safetensors", "pictures.safetensors",
            "metrics.jsonl", "ledger.jsonl", "lock")  # fmt: skip
_ENDS = 4096  # bytes of a file's beginning and end that tell its kind


@dataclass(frozen=True)
class Kind:
    """A kind of file that commands write: what it is called, and how it is known by its first and last bytes."""

    name: str
    known: Callable[[bytes, bytes], bool]


def _tensors_under(key: str) -> Callable[[bytes, bytes], bool]:
    """Safetensors whose metadata begin with this key, as ours do: they have one."""
    opening = f'{{"__metadata__":{{"{key}":'.encode()
    return lambda start, _: start[8 : 8 + len(opening)] == opening


def _is_page(start: bytes, end: bytes) -> bool:
    html = start.lstrip()[:9].lower() == b"<!doctype"
    before = b"<footer>Made by reslearn" in end or b"<title>Data check: " in start  # pages without the mark
    return html and (GENERATOR.encode() in start or before)


def _is_model_page(start: bytes, _: bytes) -> bool:
    return start[:9].lower() == b"<!doctype" and MODEL_PAGE.encode() in start


def _is_figure(start: bytes, _: bytes) -> bool:
    png = start[:8] == b"\x89PNG\r\n\x1a\n" and b"tEXtSoftware\0" + MADE_BY.encode() in start
    diagram = start[:4] == b"<svg" and DIAGRAM.encode() in start
    return png or diagram or (start[:5] == b"<?xml" and f"<dc:title>{MADE_BY}</dc:title>".encode() in start)


SEALED = Kind("sealed file", _tensors_under(BUNDLE))
PREDICTIONS = Kind("file of predictions", _tensors_under("reslearn.predictions"))
WEIGHTS = Kind("exported safetensors file", _tensors_under("reslearn.layout"))
PICKLE = Kind("PyTorch file", lambda start, end: False)  # it bears no mark: nobody knows whose it is
PAGE = Kind("page", _is_page)
ONE_FILE = Kind("page with a model", _is_model_page)
FIGURE = Kind("figure", _is_figure)
CARD = Kind("model card", lambda start, end: start[:4] == b"---\n" and b"\nlibrary_name: reslearn\n" in start)


def replaceable(
    path: str | os.PathLike[str], kind: Kind, where: str = "", *, inputs: Iterable[str | os.PathLike[str]] = ()
) -> Path:
    """`path`, if a file of this kind may come to be there: where nothing is, or one of its own kind and no input.

    `where`, such as `--report`, opens the message of the `UserError` that says what stands in the way.
    """
    target, start = writable_target(path, where=where), f"{where} " if where else ""
    if not os.path.lexists(target):
        return target
    for given in inputs:
        if os.path.exists(given) and os.path.exists(target) and os.path.samefile(given, target):
            raise UserError(f"{start}{target}: that is the file which is read, and it is not replaced; name another")
    if os.path.exists(target) and not os.access(target, os.W_OK):
        raise UserError(f"{start}{target}: this file is write-protected, and it is not replaced; name another")
    if not _is(target, kind):
        raise UserError(
            f"{start}{target}: what is there is no {kind.name} of reslearn, and it is not replaced; "
            "name another file, or remove it"
        )
    return target


def check_sheet(path: Path, where: str) -> None:
    """Raise `UserError`, which begins with `where`, unless `path` is named as the PNG file that a contact sheet is."""
    if path.suffix.lower() != ".png":
        raise UserError(f"{where} {path}: the sheet is a PNG file; name it {path.with_suffix('.png').name}")


def sealed_target(
    path: str | os.PathLike[str], where: str = "", *, inputs: Iterable[str | os.PathLike[str]] = ()
) -> Path:
    """`path`, if a user may have a model sealed there."""
    target = replaceable(path, SEALED, where, inputs=inputs)
    check_outside_runs(target, where)
    return target


def check_outside_runs(path: Path, where: str = "") -> None:
    """Raise `UserError` for a file that a run or cross-validation alone may write, whether it is there or not yet."""
    if path.name in OF_A_RUN and any((path.parent / name).exists() for name in RECORDS):
        start = f"{where} " if where else ""
        raise UserError(f"{start}{path}: this file belongs to the run in its folder; name another")


def write_page(path: str | os.PathLike[str], html: str) -> None:
    """Write a page atomically, where nothing is or another page of ours."""
    write_atomic(replaceable(path, PAGE), html)


def _is(path: Path, kind: Kind) -> bool:
    try:
        with open_regular(path) as file:
            start = file.read(_ENDS)
            file.seek(max(file.seek(0, os.SEEK_END) - _ENDS, 0))
            return kind.known(start, file.read(_ENDS))
    except (OSError, UserError):  # a device or a pipe is none
        return False
