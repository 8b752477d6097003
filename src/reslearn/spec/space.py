"""A space of settings to search, as it is typed: `lr=log:0.01..1`, `batch_size=16..128`, `weight_decay=1e-4,5e-4`.

A point of it is a text for each field, as `--set` takes it. Nothing here knows what a field means.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

from .errors import UserError

_SPAN = re.compile(r"(?P<log>log:)?(?P<low>[^.].*?|\.\d.*?)\.\.(?P<high>.+)")
FORMS = "log:0.01..1, 0.1..0.5, or values with commas between"
Point = dict[str, str]  # field -> text


@dataclass(frozen=True)
class Span:
    """Every number from `low` to `high`, whole ones alone with `whole`; evenly spread in the logarithm with `log`."""

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    def at(self, share: float) -> str:
        """The number at `share`, in [0, 1), of the way from low to high, in four digits."""
        if self.whole:
            number = math.floor(_between(self.low - 0.5, self.high + 0.5, share, self.log) + 0.5)
            return str(min(max(number, int(self.low)), int(self.high)))
        found = float(f"{_between(self.low, self.high, share, self.log):.4g}")
        return repr(min(max(found, self.low), self.high))

    def trials(self) -> list[str]:
        """Texts that show whether the field takes what lies in this span: its ends."""
        return [str(int(end)) if self.whole else repr(end) for end in (self.low, self.high)]


@dataclass(frozen=True)
class Choices:
    """One of a few values, each as it was typed."""

    name: str
    texts: tuple[str, ...]

    def at(self, share: float) -> str:
        """The value at `share`, in [0, 1), of the way through the list."""
        return self.texts[min(int(share * len(self.texts)), len(self.texts) - 1)]

    def trials(self) -> list[str]:
        """All of them."""
        return list(self.texts)


Axis = Span | Choices


def read_axis(name: str, text: str, *, several: bool = False, whole: bool = False) -> Axis | None:
    """What `--set name=text` asks to be searched; None where it is one value.

    `several` is for a field that takes several numbers itself: its values stand in brackets, `[0.5,0.75],[0.6]`.
    `whole` says that it takes whole numbers alone. Raises `UserError` for a span that is none.
    """
    where = f"--set {name}={text}"
    match = _SPAN.fullmatch(text)
    if text.startswith("log:") and match is None:
        raise UserError(f"{where}: log: is followed by a span, such as {name}=log:0.01..1")
    if match is not None and not several:
        low, high = (_number(match[end], where) for end in ("low", "high"))
        if low == high:
            raise UserError(f"{where}: its ends are one number; give {name}={match['low']} for it alone")
        if not low < high:
            raise UserError(f"{where}: a span goes from the lower to the higher number, such as {high:g}..{low:g}")
        if match["log"] and low <= 0:
            raise UserError(f"{where}: the logarithm needs numbers above 0; begin above 0, or leave log: out")
        if whole and not (low.is_integer() and high.is_integer()):
            raise UserError(f"{where}: {name} takes whole numbers alone, such as 16..64")
        return Span(name, low, high, log=bool(match["log"]), whole=whole)
    texts = _in_brackets(text) if several else [part.strip() for part in text.split(",")]
    if texts is None or len(texts) < 2:
        return None
    if "" in texts:
        raise UserError(f"{where}: nothing stands between two of its commas; the values to try are {FORMS}")
    known = [_meant(one) for one in texts]
    twice = [one for i, one in enumerate(texts) if known[i] in known[:i]]
    if twice:
        raise UserError(f"{where}: {twice[0]} is there twice; give each value once")
    return Choices(name, tuple(texts))


def size(axes: tuple[Axis, ...]) -> float:
    """How many points the space has; infinity where a number of it is not whole."""
    return math.prod(
        len(axis.texts) if isinstance(axis, Choices) else axis.high - axis.low + 1 if axis.whole else math.inf
        for axis in axes
    )


def every(axes: tuple[Axis, ...]) -> list[Point]:
    """All points of a finite space, the last axis changing fastest."""
    points: list[Point] = [{}]
    for axis in axes:
        texts = axis.texts if isinstance(axis, Choices) else [str(n) for n in range(int(axis.low), int(axis.high) + 1)]
        points = [point | {axis.name: text} for point in points for text in texts]
    return points


def _between(low: float, high: float, share: float, log: bool) -> float:
    if log:
        return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
    return low + share * (high - low)


def _number(text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise UserError(f"{where}: {text} is no number; the values to try are {FORMS}")
    return found


def _meant(text: str) -> float | str:
    """A number where a text is one: `0.1` and `0.10` are the same."""
    try:
        return float(text)
    except ValueError:
        return text.lower()


def _in_brackets(text: str) -> list[str] | None:
    """`[0.5,0.75],[0.6]` as the texts of its lists; None for anything else."""
    try:
        lists = json.loads(f"[{text.replace('(', '[').replace(')', ']')}]")
    except ValueError:
        return None
    if not all(isinstance(one, list) for one in lists):
        return None
    return [json.dumps(one, separators=(",", ":")) for one in lists]
