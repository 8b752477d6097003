"""The WebDataset layout: files of one key, the name up to its first dot, are a sample; `.cls` or `.json` labels it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...runtime.opening import parse_json
from ...spec.errors import UserError, some
from ...spec.text import counted
from ..pictures.kinds import EXTENSIONS
from .charset import decode_text
from .labels import LABELS, one_label

_FIELDS = tuple(dict.fromkeys(("label", "cls", "class", "target", *LABELS)))  # of a JSON label, the first one counts


class Member(NamedTuple):
    """A file in a shard; `name` is as the archive has it, `place` a clean path."""

    place: str
    name: str
    shard: int
    offset: int
    size: int


@dataclass
class Samples:
    """Pictures in the order of the archive and their labels; `why` says why one has none, if none has one."""

    pictures: list[Member] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    why: str = ""


def read_samples(members: Iterable[Member], read: Callable[[Member], bytes], path: str) -> Samples:
    """The labelled pictures among `members`. None at all if no picture has a label beside it.

    A key's picture is the one with a plain extension (`a.jpg` beside `a.mask.png`), its label the `.cls` rather than
    the `.json`. Raises `UserError` for a picture without a label among others with one, and two pictures of one key.
    """
    pictures: dict[tuple[int, str], list[Member]] = {}
    labels: dict[tuple[int, str], dict[str, Member]] = {}
    for member in members:
        extension = os.path.splitext(member.place)[1].lower()
        if extension in EXTENSIONS:
            pictures.setdefault((member.shard, _key(member.place)), []).append(member)
        elif extension in (".cls", ".json"):
            labels.setdefault((member.shard, _key(member.place)), {})[extension] = member
    found, bare = Samples(), ""
    for key, mine in pictures.items():
        picture, beside = _plain(mine), labels.get(key, {})
        label, why = _label(beside, read, f"{path}: label of {mine[0].name}")
        if label is None:
            bare = bare or why or f"{path}: {mine[0].name} has no label beside it (.cls or .json with the same key)"
        elif picture is None:
            raise UserError(f"{path}: {mine[1].name}: a second picture under the same key")
        else:
            found.pictures.append(picture)
            found.labels.append(label)
    if not found.pictures:
        return Samples(why=bare if labels else "")
    if bare:
        raise UserError(bare)
    alone = [beside[".cls"].name for key, beside in labels.items() if key not in pictures and ".cls" in beside]
    if alone:
        found.notes.append(
            f"{path}: {counted(len(alone), 'label')} without a picture that is read, left out: {some(alone)}"
        )
    return found


def _key(name: str) -> str:
    base = name.rsplit("/", 1)[-1]
    dot = base.find(".")
    return name[: len(name) - len(base) + dot] if dot > 0 else name


def _plain(pictures: list[Member]) -> Member | None:
    """The one picture of a key; of several the one whose name is the key and an extension; None if that is not one."""
    plain = [m for m in pictures if os.path.splitext(m.place)[0] == _key(m.place)] if len(pictures) > 1 else pictures
    return plain[0] if len(plain) == 1 else None


def _label(beside: dict[str, Member], read: Callable[[Member], bytes], where: str) -> tuple[str | None, str]:
    """A picture's label, or None and why."""
    why = ""
    for extension in (".cls", ".json"):
        if extension in beside:
            value, why = _value(decode_text(read(beside[extension]), where).text.strip(), where)
            if not why:
                return one_label(value, where), ""
    return None, why


def _value(text: str, where: str) -> tuple[Any, str]:
    """What a label file says: its text, or of JSON a string, or the field that holds the label."""
    if text[:1] not in ("{", "[", '"'):
        return text, ""
    try:
        value = parse_json(text, where)
    except UserError as error:
        return (text, "") if text[0] == "[" and len(text) < 256 else (None, str(error))
    if not isinstance(value, dict):
        return value, ""
    name = next((name for name in _FIELDS if name in value), None)
    return (None, f"{where}: no field 'label' or 'cls' in it") if name is None else (value[name], "")
