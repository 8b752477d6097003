"""Where in a file a network stands: under which keys and prefix, in which layout, plain or averaged, its head."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor

from ..spec.choices import Prefer
from ..spec.errors import UserError, check_choice, some
from ..spec.net import Spec
from .heads import FileHead, find_head, is_head, is_projection
from .layouts import LAYOUTS, READ, spellings, why_not
from .state_files import Contents, State, equal

HEAD = "head.fc"
COUNTER = "num_batches_tracked"  # which old files lack
# The first convolution of a deep stem, of the other stems, and of a VGG.
FIRST = ("stem.lead.conv1.weight", "stem.conv.weight", "stages.0.0.conv.weight")
MAIN = ("state_dict", "model_state_dict", "model", "net", "state")  # keys under which trainers put what they train

_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged?|avg|polyak|shadow)([._]|$)")
_FOLLOWS = re.compile(r"(^|[._])(encoder_k|momentum_\w+|target_\w+)\.")  # moving averages in self-supervised training
# What stands beside a network and is no part of it: a loss's class weights, and self-supervised training's own.
_BESIDE = re.compile(
    r"(\w+\.)*n_averaged$|((module|model|net|network)\.)*(\w*(criterion|loss)\w*|optimi[sz]er\w*|preprocess\.mean_image|seen"
    r"|queue\w*|prototypes|predictor|\w*(projector|projection|projection_head)|encoder_k|momentum_\w+|target_\w+)(\.|$)"
)
_SILENT = re.compile(r"(\w+\.)*n_averaged$|preprocess\.mean_image$|seen\.|optimi[sz]er")


@dataclass(frozen=True)
class Place:
    """One network in a file: the tensors of `groups[group]` whose names begin with `prefix`."""

    group: str
    prefix: str
    layout: str
    averaged: bool

    def __str__(self) -> str:
        words = [f"`{part}`" for part in (self.group, self.prefix.rstrip(".")) if part]
        return " / ".join(words) or "the outermost names"


@dataclass(frozen=True)
class Found:
    """The tensors of one network under our names, as the file has them; `names` are the file's."""

    tensors: State
    names: dict[str, str]
    place: Place
    head: FileHead
    notes: tuple[str, ...]


def find(contents: Contents, spec: Spec, expected: State, prefer: Prefer | None = None) -> Found:
    """The network `spec`, whose state dict is like `expected`, among the tensors of a file.

    `prefer` says which of plain and averaged weights to take; without it the plain ones, or those that there are.
    Raises `UserError` that says what the file holds where that is another network, several, or none.
    """
    check_choice("prefer", prefer, (None, *get_args(Prefer)))
    tables = {layout: _table(expected, spec, layout) for layout in READ}
    places = _places(contents, spec, expected, tables)
    whole = [place for place in places if _is_whole(contents, place, places, tables[place.layout], expected)]
    place, notes = _choose(contents, whole or places[:1], prefer)  # what the first lacks or has besides will be named
    table = tables[place.layout]
    inside, around = _inside(contents, place, places, table), _around(contents, place, places)
    if clash := sorted(inside.keys() & around.keys()):
        raise UserError(f"{contents.where}: has {clash[0]} both under {place} and beside it; save one network alone")
    rest = {name: tensor for name, tensor in (around | inside).items() if not _BESIDE.match(name)}
    if left := sorted(name for name in around | inside if name not in rest and not _SILENT.match(name)):
        notes.append(f"leaves out {some(left)}, no part of the network")
    head = find_head(rest, projection=is_projection(f"{place.group}.{place.prefix}"), where=contents.where)
    names = {table[bare]: bare for bare in _under(contents, place) if bare in table}
    lacks = [name for name in expected if name not in names and not name.startswith("head.")]
    called = {ours: theirs for theirs, ours in table.items()}
    missing = sorted(called[name] for name in lacks if not name.endswith(COUNTER))
    beside = sorted(rest.keys() - head.names)
    if said := [f"{what} {some(names)}" for what, names in (("lacks", missing), ("has besides", beside)) if names]:
        raise UserError(f"{contents.where} ({place.layout} layout): {' and '.join(said)}; is it another network's?")
    names |= {f"{HEAD}.{leaf}": name for leaf, name in (("weight", head.weight), ("bias", head.bias)) if name}
    tensors = {ours: (rest | _under(contents, place))[theirs] for ours, theirs in names.items()}
    for ours, tensor in tensors.items():
        if tensor.is_meta or tensor.layout != torch.strided:
            what = "has no values (it is on the meta device)" if tensor.is_meta else "is sparse; save it as .to_dense()"
            raise UserError(f"{contents.where}: {names[ours]} {what}")
    return Found(tensors, names, place, head, tuple(notes))


def _table(expected: Iterable[str], spec: Spec, layout: str) -> dict[str, str]:
    """The names that `layout` has for the tensors of the body -> ours."""
    table: dict[str, str] = {}
    for name in expected:
        layer, leaf = name.rsplit(".", 1)
        if layer != HEAD:
            table |= {f"{theirs}.{leaf}": name for theirs in spellings(layer, spec, layout)}
    return table


def _places(contents: Contents, spec: Spec, expected: State, tables: dict[str, dict[str, str]]) -> list[Place]:
    """Every place where at least half of the body stands, in the layout that fits best."""
    body = sum(not name.startswith(HEAD + ".") and not name.endswith(COUNTER) for name in expected)
    able = [layout for layout in READ if why_not(spec, layout, reading=True) is None]
    places, unable = [], ""
    for group, state in contents.groups.items():
        votes = _votes(state, tables)
        for prefix in dict.fromkeys(prefix for prefix, _ in votes):
            found = {layout: votes[prefix, layout] for layout in READ}
            best, better = max(able, key=found.__getitem__), max(LAYOUTS, key=found.__getitem__)
            if found[better] > found[best] and found[better] * 2 >= body:
                unable = f"looks like {better}'s layout, which cannot hold {spec.name}: {why_not(spec, better)}"
            elif found[best] * 2 >= body:
                places.append(Place(group, prefix, best, _is_averaged(contents, group, prefix)))
    if not places:
        names = [name for state in contents.groups.values() for name in state]
        first = next((name for name in names if not name.endswith(COUNTER)), names[0])
        unable = unable or f"{first} and the other names fit no known layout of {spec.name}"
        raise UserError(f"{contents.where}: {unable}")
    return places


def _votes(state: State, tables: dict[str, dict[str, str]]) -> Counter[tuple[str, str]]:
    """(prefix, layout) -> how many of the layout's names stand behind that prefix, batch counters left out."""
    votes: Counter[tuple[str, str]] = Counter()
    for name in state:
        parts = name.split(".")
        for i in range(len(parts) if parts[-1] != COUNTER else 0):
            rest = ".".join(parts[i:])
            prefix = name[: len(name) - len(rest)]
            votes.update((prefix, layout) for layout, table in tables.items() if rest in table)
    return votes


def _is_averaged(contents: Contents, group: str, prefix: str) -> bool:
    """Whether a moving average stands there, by its name, its counter, or the habit of the trainer that wrote it."""
    mmengine = {"ema_state_dict", "meta.mmengine_version"} <= contents.keys
    if (mmengine and group in ("state_dict", "ema_state_dict")) or "current_model_state" in contents.keys:
        return group == "state_dict"  # MMEngine and Lightning save the average under the plain name
    named = _AVERAGED.search(group) or _AVERAGED.search(prefix) or _FOLLOWS.search(prefix)
    return bool(named) or "n_averaged" in contents.groups[group]


def _is_whole(contents: Contents, place: Place, places: list[Place], table: dict[str, str], expected: State) -> bool:
    """Every tensor of the body is there in its shape, and nothing else under the prefix but a head."""
    there = {table[name]: tensor for name, tensor in _under(contents, place).items() if name in table}
    body = {name for name in expected if not name.startswith("head.") and not name.endswith(COUNTER)}
    shapes = all(_shape(tensor) == _shape(expected[name]) for name, tensor in there.items() if name not in FIRST)
    inside = _inside(contents, place, places, table)
    return shapes and body <= there.keys() and all(is_head(name) or _BESIDE.match(name) for name in inside)


def _shape(tensor: Tensor) -> tuple[int, ...]:
    """Without the trailing ones that make an FC layer a 1x1 convolution."""
    return tuple(tensor.shape[:2]) if tensor.shape[2:] == (1, 1) else tuple(tensor.shape)


def _choose(contents: Contents, places: list[Place], prefer: Prefer | None) -> tuple[Place, list[str]]:
    """The place to read, and what to say about the others. Raises `UserError` where that is open."""
    where = contents.where
    plain, averaged = ([p for p in places if p.averaged == kind] for kind in (False, True))
    if prefer == "ema" and not averaged:
        raise UserError(f"{where}: holds no averaged weights ({plain[0]} are plain ones); leave out --prefer ema")
    if prefer == "plain" and not plain:
        raise UserError(f"{where}: holds averaged weights alone ({averaged[0]}); --prefer ema takes them")
    chosen, others = (averaged, plain) if prefer == "ema" or not plain else (plain, averaged)
    place, notes = _first(contents, chosen)
    kind, another, option = ("averaged", "plain", "plain") if place.averaged else ("plain", "averaged", "ema")
    if others:
        notes.append(f"takes the {kind} weights ({place}); the {another} ones are {others[0]}: --prefer {option}")
    elif place.averaged:
        notes.append(f"takes averaged weights ({place}): the file holds no plain ones")
    return place, notes


def _first(contents: Contents, places: list[Place]) -> tuple[Place, list[str]]:
    """Of several places of a kind: the one under a trainer's main key, or any where all hold the same values."""
    rank = {place: MAIN.index(place.group) if place.group in MAIN else len(MAIN) for place in places}
    first, *others = sorted(places, key=lambda place: rank[place])
    others = [other for other in others if not _same(_under(contents, first), _under(contents, other))]
    if any(rank[other] == rank[first] for other in others):
        raise UserError(
            f"{contents.where}: holds several networks that fit ({first} and {others[0]}); save the one you mean alone"
        )
    return first, [f"takes {first}, and leaves {other}, which fits as well" for other in others]


def _same(one: State, other: State) -> bool:
    return one.keys() == other.keys() and all(equal(tensor, other[name]) for name, tensor in one.items())


def _under(contents: Contents, place: Place) -> State:
    """The tensors of a place, without its prefix."""
    state, prefix = contents.groups[place.group], place.prefix
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _own(contents: Contents, place: Place, places: list[Place]) -> State:
    """The mapping of a place without the other networks in it; a network around it owns all that is not under it."""
    others = [p.prefix for p in places if p.group == place.group and p != place]
    around = any(place.prefix.startswith(prefix) for prefix in others)
    beside = tuple(prefix for prefix in others if not place.prefix.startswith(prefix))
    state = contents.groups[place.group]
    return {
        name: tensor
        for name, tensor in state.items()
        if not name.startswith(beside) and (name.startswith(place.prefix) or not around)
    }


def _inside(contents: Contents, place: Place, places: list[Place], table: dict[str, str]) -> State:
    """What stands under the prefix of a place and is no part of the body."""
    under = {
        n.removeprefix(place.prefix): t for n, t in _own(contents, place, places).items() if n.startswith(place.prefix)
    }
    return {name: tensor for name, tensor in under.items() if name not in table}


def _around(contents: Contents, place: Place, places: list[Place]) -> State:
    """What stands beside the prefix of a place, and in a mapping beside its own that is named like a head.

    The latter is `{"backbone": {...}, "head": {...}}`.
    """
    around: State = {}
    for name, tensor in _own(contents, place, places).items():
        if not name.startswith(place.prefix):
            seen = _relative(name, place.prefix)
            if seen in around:
                raise UserError(f"{contents.where}: has several of {seen} around {place}; save one network alone")
            around[seen] = tensor
    parent = place.group.rpartition(".")[0]
    for group, state in contents.groups.items():
        above, _, key = group.rpartition(".")
        if above == parent and group not in (place.group, parent) and is_head(f"{key}."):
            around |= {f"{key}.{name}": tensor for name, tensor in state.items()}
    return around


def _relative(name: str, prefix: str) -> str:
    """`name` as seen from the modules around that of `prefix`: beside `net.body.`, `net.fc.bias` is `fc.bias`."""
    while prefix:
        prefix = prefix.rstrip(".").rpartition(".")[0]
        if prefix and name.startswith(f"{prefix}."):
            return name.removeprefix(f"{prefix}.")
    return name
