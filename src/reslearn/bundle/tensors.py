"""Do the tensors of a file fit its header? Names and shapes of its specs, kinds and values that a network can have."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Mapping

import torch
from torch import Tensor

from ..data.parts.known import SELECTED, TRAINED
from ..nets.build import create_model
from ..nets.values import check_kind, check_values
from ..runtime.container import MEAN_IMAGE
from ..spec.errors import UserError
from ..spec.net import NetSpec, Spec
from .header import Bundle, Member


def check_tensors(tensors: Mapping[str, Tensor], bundle: Bundle, where: str) -> None:
    """Raise `UserError` unless these are the tensors that the header's specs need, in shape and kind, and no other.

    A header alone costs nothing: a network is laid out once its member has tensors enough, and the first member that
    does not fit ends it.
    """
    for name, tensor in tensors.items():
        check_values(name, tensor, where, variance=name.endswith("running_var"))
    names = sorted(tensors)
    left = set(names)
    laid_out: dict[Spec, Mapping[str, Tensor]] = {}
    for member in bundle.members:
        _check_count(names, member, where)
        if member.spec not in laid_out:
            laid_out[member.spec] = _layout(member.spec, where)
        for name, wanted in laid_out[member.spec].items():
            _check_tensor(member.prefix + name, tensors, wanted, where)
            left.remove(member.prefix + name)
    if bundle.preprocess.mean_image is not None:
        side = bundle.preprocess.size
        wanted = torch.empty(len(bundle.preprocess.mean), side, side, device="meta")
        _check_tensor(MEAN_IMAGE, tensors, wanted, where)
        left.remove(MEAN_IMAGE)
        digest = hashlib.sha256(tensors[MEAN_IMAGE].float().contiguous().numpy().tobytes()).hexdigest()
        if digest != bundle.preprocess.mean_image:
            raise UserError(f"{where}: tensor {MEAN_IMAGE} is not the mean image that its preprocessing names")
    filters = _filters(bundle)
    for name in sorted(left | filters.keys()):
        if name not in tensors:
            raise UserError(f"{where}: tensor {name} is missing; its header says that it is there")
        if not _is_filter(tensors[name], filters.get(name)):
            raise UserError(f"{where}: tensor {name} belongs to no network of its spec")


def _filters(bundle: Bundle) -> dict[str, int]:
    """The names and lengths of the filters of seen pictures that the header promises."""
    seen = bundle.seen
    lengths = {} if seen is None else {TRAINED: seen.trained, SELECTED: seen.selected}
    return {name: length for name, length in lengths.items() if length}


def _is_filter(tensor: Tensor, length: int | None) -> bool:
    """Whether this is a sorted filter of that length; None: no filter is promised."""
    if tensor.dim() != 1 or tensor.dtype != torch.int64 or length != len(tensor):
        return False
    return bool((tensor[1:] > tensor[:-1]).all())


def _check_count(names: list[str], member: Member, where: str) -> None:
    """A spec cannot ask for more blocks than there are tensors to fill them. `names` are sorted."""
    there = bisect_left(names, member.prefix + chr(0x10FFFF)) - bisect_left(names, member.prefix)
    if there == 0:
        raise UserError(f"{where}: no tensor has the prefix {member.prefix!r} of a member; the file is not ours")
    blocks = sum(member.spec.stage_blocks if isinstance(member.spec, NetSpec) else member.spec.stage_convs)
    if blocks > there:
        raise UserError(f"{where}: its spec has more blocks than the file has tensors; the file is not ours")


def _layout(spec: Spec, where: str) -> Mapping[str, Tensor]:
    """Name -> a tensor without memory, of the right shape and kind."""
    try:
        with torch.device("meta"):
            layout: Mapping[str, Tensor] = create_model(spec).state_dict()
            return layout
    except (UserError, RuntimeError, TypeError, OverflowError) as error:
        raise UserError(f"{where}: its spec cannot be built: {error}".splitlines()[0]) from None


def _check_tensor(name: str, tensors: Mapping[str, Tensor], wanted: Tensor, where: str) -> None:
    if name not in tensors:
        raise UserError(f"{where}: tensor {name} is missing; the tensors are not those of its spec")
    tensor = tensors[name]
    if tensor.shape != wanted.shape:
        raise UserError(f"{where}: tensor {name} has shape {tuple(tensor.shape)}, its spec needs {tuple(wanted.shape)}")
    check_kind(name, tensor, wanted, where)
