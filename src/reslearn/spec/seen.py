"""What a score says of the pictures it was taken on: how many of them had the model seen, and how is that known?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

KnownBy = Literal["content", "names", "nothing"]  # the weakest last


@dataclass(frozen=True)
class Seen:
    """How many of the pictures that were scored were trained on, and how many something was chosen on.

    None where that is not known. A number beside `nothing` is what one of several sources knows: at least so many.
    """

    trained: int | None = None
    selected: int | None = None
    known_by: KnownBy = "nothing"

    @classmethod
    def counted(cls, trained: int, selected: int, known_by: KnownBy) -> Seen:
        """Numbers that were counted; with `nothing`, a zero is not known."""
        sure = known_by != "nothing"
        return cls(trained if sure else trained or None, selected if sure else selected or None, known_by)

    def to_json(self) -> dict[str, Any]:
        """The three keys of every score."""
        return {"trained": self.trained, "selected": self.selected, "known_by": self.known_by}

    @property
    def worth_saying(self) -> bool:
        """Whether a person must be told: something was seen, or it is not known."""
        return bool(self.trained or self.selected) or self.known_by == "nothing"

    def __str__(self) -> str:
        said = [f"{n:,} {what}" for n, what in ((self.trained, "trained on"), (self.selected, "selected on")) if n]
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
    """`seen` of a score as it was written; nothing is known of a score of before, which has none."""
    if not isinstance(value, dict) or value.get("known_by") not in get_args(KnownBy):
        return Seen()
    return Seen(value.get("trained"), value.get("selected"), value["known_by"])


def weakest(grades: Iterable[KnownBy]) -> KnownBy:
    """The one of them that promises least; `content` where there are none."""
    order: tuple[KnownBy, ...] = get_args(KnownBy)
    return max(grades, key=order.index, default="content")


def summed(scores: Sequence[Seen]) -> Seen:
    """Of scores of different pictures: the sums, known as well as the weakest."""
    trained, selected = (sum(getattr(one, name) or 0 for one in scores) for name in ("trained", "selected"))
    return Seen.counted(trained, selected, weakest(one.known_by for one in scores))
