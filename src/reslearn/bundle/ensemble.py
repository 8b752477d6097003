"""Sealed files put together into one: members of any architecture, their classes brought into one order by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from ..data.parts.known import FORGOTTEN, Known, union
from ..runtime.container import MEAN_IMAGE
from ..spec.errors import UserError
from ..spec.names import spelling
from ..spec.preprocess import Preprocess
from .file import known_of, read_tensors, whole_since, write_sealed
from .header import Bundle, Member
from .rules import OTHER_TENSORS

HEAD = ("head.fc.weight", "head.fc.bias")  # the rows of these are classes


def seal_ensemble(
    out: str | os.PathLike[str],
    paths: Sequence[str | os.PathLike[str]],
    *,
    weights: Sequence[float] | None = None,
    combine: str = "softmax",
    selected: Known | None = None,
    forget: bool = False,
    **fields: Any,
) -> Bundle:
    """Seal the models at `paths` as one file; members of weight 0 are left out. `fields` are further header fields.

    It recognises the pictures that any member does, and those of `selected`; none with `forget`.
    Raises `UserError` for members whose preprocessing differs, whose classes are not the same set of names, or that
    are ensembles themselves of another kind of average.
    """
    weights = [1.0] * len(paths) if weights is None else list(weights)
    chosen = [(path, weight) for path, weight in zip(paths, weights, strict=True) if weight > 0]
    opened = [(str(path), *read_tensors(path)) for path, _ in chosen]
    first = opened[0][1]
    members: list[Member] = []
    tensors: dict[str, Tensor] = {}
    for (path, bundle, its_tensors), (_, weight) in zip(opened, chosen, strict=True):
        check_fit(opened[0][0], first, path, bundle)
        if len(bundle.members) > 1 and bundle.combine != combine:
            raise UserError(f"{path}: an ensemble averaging {bundle.combine} cannot be a member of one of {combine}")
        order = reordering(first.classes, bundle.classes)
        total = sum(member.weight for member in bundle.members)
        for member in bundle.members:
            prefix = f"{len(members)}."
            members.append(Member(member.spec, prefix, weight * member.weight / total))
            tensors |= _renamed(its_tensors, member.prefix, prefix, order)
    if MEAN_IMAGE in opened[0][2]:
        tensors[MEAN_IMAGE] = opened[0][2][MEAN_IMAGE]
    if any((one.data or {}).get("selected_on") == "test" for _, one, _ in opened):
        fields["data"] = (fields.get("data") or {}) | {"selected_on": "test"}
    bundle = Bundle(
        members=tuple(members),
        preprocess=first.preprocess,
        classes=first.classes,
        combine=combine,  # type: ignore[arg-type]
        sealed_whole_since=max((whole for _, one, _ in opened if (whole := whole_since(one))), default=None),
        **fields,
    )
    seen = [known_of(one, its_tensors) for _, one, its_tensors in opened]
    known = FORGOTTEN if forget else union([*seen, *([] if selected is None else [selected])])
    return write_sealed(out, tensors, bundle, known)


def check_fit(first_path: str, first: Bundle, path: str, bundle: Bundle) -> None:
    """Raise `UserError` unless both models can be members of one file."""
    if bundle.preprocess != first.preprocess:
        how = _differences(first.preprocess, bundle.preprocess)
        raise UserError(
            f"{path} prepares pictures otherwise than {first_path} ({how}); one file holds one preprocessing: "
            "train the members alike, or leave one out"
        )
    reordering(first.classes, bundle.classes, first_path, path)
    if bundle.num_classes != first.num_classes:
        raise UserError(f"{path} has {bundle.num_classes} classes, {first_path} {first.num_classes}")


def reordering(
    wanted: Sequence[str] | None, given: Sequence[str] | None, first_path: str = "the first", path: str = "the other"
) -> list[int] | None:
    """Where each wanted class stands among the given ones; None where the order is the same or has no names."""
    if wanted is None or given is None:
        return None
    wanted, given = [spelling(name) for name in wanted], [spelling(name) for name in given]
    if wanted == given:
        return None
    more, less = sorted(set(given) - set(wanted)), sorted(set(wanted) - set(given))
    if more or less:
        parts = ([f"knows {', '.join(more[:5])}"] if more else []) + ([f"lacks {', '.join(less[:5])}"] if less else [])
        raise UserError(f"{path} has other classes than {first_path}: it {' and '.join(parts)}")
    return [given.index(name) for name in wanted]


def _renamed(tensors: dict[str, Tensor], old: str, new: str, order: list[int] | None) -> dict[str, Tensor]:
    renamed = {}
    for name, tensor in tensors.items():
        if name.startswith(OTHER_TENSORS) or not name.startswith(old):
            continue
        bare = name[len(old) :]
        renamed[new + bare] = tensor[torch.tensor(order)] if order is not None and bare in HEAD else tensor
    return renamed


def _differences(one: Preprocess, other: Preprocess) -> str:
    a, b = asdict(one), asdict(other)
    return ", ".join(f"{name} {a[name]} and {b[name]}" for name in a if a[name] != b[name])
