"""Which of a file's tensors are a classifier: one FC layer, whatever its trainer called it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..spec.errors import UserError
from .state_files import State

_AROUND = r"(?:(?:module|model|net|network|\d+)\.)*"
_WORDS = "fc|linear|heads?|cls|classifiers?|logits?|outputs?|output_layer|out|predictions?|last_linear"
_HEAD = re.compile(rf"({_AROUND}(?:{_WORDS}|\w+_(?:head|fc|classifier))\d*)\.")
_PROJECTION = re.compile(
    r"proj|queue|prototype|predictor|momentum|encoder_[qk]|(^|[._])(online|target)_", re.IGNORECASE
)


@dataclass(frozen=True)
class FileHead:
    """The classifier of a file: `weight` and `bias` are its names there; without either there is none to use.

    `why` says, as half a sentence, why what the file has instead cannot be used.
    """

    weight: str | None = None
    bias: str | None = None
    names: frozenset[str] = frozenset()  # all that belongs to a head, used or not
    why: str = ""


def find_head(state: State, *, projection: bool, where: str) -> FileHead:
    """The head among the tensors of `state` that are no part of the body.

    `projection` says that self-supervised training made the file: what stands there is no classifier then.
    Raises `UserError` where there are several heads.
    """
    roots: dict[str, list[str]] = {}
    for name in state:
        if match := _HEAD.match(name):
            roots.setdefault(match[1], []).append(name)
    numbered = {re.sub(r"\d+$", "", root) for root in roots}  # fc1, fc2: the layers of one head
    if len(numbered) > 1:
        raise UserError(f"{where}: has several heads ({', '.join(sorted(roots))}); save the network with one of them")
    names = frozenset(name for inside in roots.values() for name in inside)
    if not names:
        return FileHead(why="the file has none")
    weights = [name for name in names if name.endswith(".weight") and state[name].dim() in (2, 4)]
    first = min(names)
    if projection or _PROJECTION.search(first):
        return FileHead(names=names, why=f"{first} is of a projection that self-supervised training threw away")
    if len(weights) == 1 and names <= {weights[0], bias := weights[0].removesuffix("weight") + "bias"}:
        return FileHead(weights[0], bias if bias in names else None, names)
    return FileHead(names=names, why=f"the file's is not one FC layer ({', '.join(sorted(names)[:3])})")


def is_head(name: str) -> bool:
    """Whether a tensor of that name, which is no part of the body, belongs to a head."""
    return _HEAD.match(name) is not None


def is_projection(place: str) -> bool:
    """Whether a prefix such as `encoder_q.` tells of self-supervised training."""
    return _PROJECTION.search(place) is not None
