"""What a score says of the pictures it was taken on: how many of them had the model seen, and how is that known?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

KnownBy = Literal["content", "names", "nothing"]  # the weakest last


@dataclass(frozen=True)
class Seen:
    """How many of the pictures that were scored were trained on, and how many something was chosen on.

    None with `nothing`, where that is not known. What some of several sources know all the same is `at_least`, the two
    numbers in the same order: told in words and never written, for it is no count.
    """

    trained: int | None = None
    selected: int | None = None
    known_by: KnownBy = "nothing"
    at_least: tuple[int, int] = (0, 0)

    @classmethod
    def counted(cls, trained: int, selected: int, known_by: KnownBy) -> Seen:
        """Numbers that were counted; with `nothing` there are at least so many."""
        if known_by == "nothing":
            return cls(at_least=(trained, selected))
        return cls(trained, selected, known_by)

    def to_json(self) -> dict[str, Any]:
        """The three keys of every score."""
        return {"trained": self.trained, "selected": self.selected, "known_by": self.known_by}

    @property
    def worth_saying(self) -> bool:
        """Whether a person must be told: something was seen, or it is not known."""
        return bool(self.trained or self.selected) or self.known_by == "nothing"

    def __str__(self) -> str:
        said = [f"{n:,} {what}" for n, what in zip(_least(self), ("in training", "in selection"), strict=True) if n]
        if self.known_by == "nothing":
            return " and ".join(said) + " at least" if said else "not known: the model does not say what it has seen"
        by = " (known by their names alone)" if self.known_by == "names" else ""
        return (" and ".join(said) or "none of these pictures") + by


@dataclass(frozen=True)
class SeenHeader:
    """What the header of a sealed file says of its tensors `seen.trained` and `seen.selected`.

    They are filters, sorted: the first 8 bytes of every key of every picture, as int64.
    """

    known_by: KnownBy
    trained: int = 0  # numbers in the tensor, two and more to a picture
    selected: int = 0
    error: float = 0.0  # the chance that one key of a picture never seen is taken for a known one: n / 2^64
    decoder: int = 1  # the version of the decoder that the pixel keys belong to
    forgotten: bool = False  # --forget-pictures: the tensors are left out


def seen_from_json(value: Any) -> Seen:
    """`seen` of a score as it was written; nothing is known of scores of before, which have none, and damaged ones."""
    if not isinstance(value, dict) or value.get("known_by") not in get_args(KnownBy):
        return Seen()
    trained, selected = (value.get(name) for name in ("trained", "selected"))
    if type(trained) is not int or type(selected) is not int or min(trained, selected) < 0:
        return Seen()
    return Seen.counted(trained, selected, value["known_by"])


def weakest(grades: Iterable[KnownBy]) -> KnownBy:
    """The one of them that promises least; `content` where there are none."""
    order: tuple[KnownBy, ...] = get_args(KnownBy)
    return max(grades, key=order.index, default="content")


def summed(scores: Sequence[Seen]) -> Seen:
    """Of scores of different pictures: the sums, known as well as the weakest."""
    trained, selected = (sum(column) for column in zip(*map(_least, scores), strict=True)) if scores else (0, 0)
    return Seen.counted(trained, selected, weakest(one.known_by for one in scores))


def _least(seen: Seen) -> tuple[int, int]:
    known = seen.known_by != "nothing"
    return (seen.trained or 0, seen.selected or 0) if known else seen.at_least
