"""Damage for files: bytes changed, cut and doubled; values of JSON exchanged for what nobody expects there."""

from __future__ import annotations

import json
import random

STRANGE = [
    None, True, -1, 0, 1, 2, 10**18, 10**30, -1.5, 1e308, "", "x", "\x1b[2J\n", "é" * 2000, [], {}, [[]], [None],
    [1, 2], {"x": 1}, ["x"], "NaN", 3.0, "../..", "/dev/zero",
]  # fmt: skip
RAW = [b"1" * 5000, b"[" * 100_000, b"NaN", b"-Infinity", b"1e999", b'"\\ud800"', b"{}", b"\xff\xfe", b"\x00"]


def damaged_bytes(content: bytes, draw: random.Random) -> bytes:
    """One of: a few bits turned, a piece cut out, doubled, overwritten or the rest cut off."""
    data = bytearray(content)
    at, length = draw.randrange(len(data) + 1), draw.choice([1, 1, 2, 8, 64, 1000])
    kind = draw.choice(["flip", "cut", "double", "zero", "end", "insert", "digit"])
    if kind == "flip" and data:
        for _ in range(draw.choice([1, 1, 3])):
            data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    elif kind == "cut":
        del data[at : at + length]
    elif kind == "double":
        data[at:at] = data[at : at + length]
    elif kind == "zero":
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == "end":
        del data[at:]
    elif kind == "insert":
        data[at:at] = draw.choice(RAW)
    elif kind == "digit":
        digits = [i for i, byte in enumerate(data[:4000]) if 48 <= byte <= 57] or [0]
        data[draw.choice(digits) : draw.choice(digits) + 1] = draw.choice([b"9", b"-", b"7" * 5000, b"e9", b"0"])
    return bytes(data)


def damaged_value(value: object, draw: random.Random) -> object:
    """A copy of a JSON value with one of its parts exchanged, left out, renamed or doubled."""
    paths = list(_paths(value))
    path = draw.choice(paths)
    copy = json.loads(json.dumps(value))
    if not path:
        return draw.choice(STRANGE)
    *outer, last = path
    place = copy
    for key in outer:
        place = place[key]
    kind = draw.choice(["strange", "strange", "strange", "gone", "other", "deep"])
    if kind == "gone":
        del place[last]
    elif kind == "other" and isinstance(place, dict):
        place[f"{last}x"] = place.pop(last)
    elif kind == "other":
        place.insert(last, place[last])
    elif kind == "deep":
        place[last] = _deep(draw.choice([3, 500]))
    else:
        place[last] = draw.choice(STRANGE)
    return copy


def damaged_json(content: bytes, draw: random.Random) -> bytes:
    """Half of the time the bytes are damaged, else the value."""
    if draw.random() < 0.3:
        return damaged_bytes(content, draw)
    return json.dumps(damaged_value(json.loads(content), draw)).encode()


def damaged_lines(content: bytes, draw: random.Random) -> bytes:
    """JSON lines with one of them damaged, left out, doubled, or set elsewhere."""
    if draw.random() < 0.3:
        return damaged_bytes(content, draw)
    lines = content.splitlines(keepends=True)
    at = draw.randrange(len(lines))
    kind = draw.choice(["value", "value", "value", "gone", "double", "first"])
    if kind == "value":
        lines[at] = json.dumps(damaged_value(json.loads(lines[at]), draw)).encode() + b"\n"
    elif kind == "gone":
        del lines[at]
    elif kind == "double":
        lines.insert(at, lines[at])
    else:
        lines.insert(0, lines.pop(at))
    return b"".join(lines)


def _paths(value: object, path: tuple = ()) -> object:
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _paths(value[key], (*path, key))
    elif isinstance(value, list):
        for i in range(min(len(value), 40)):
            yield from _paths(value[i], (*path, i))


def _deep(levels: int) -> object:
    value: object = 0
    for _ in range(levels):
        value = [value]
    return value
