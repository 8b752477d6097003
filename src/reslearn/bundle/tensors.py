"""Do the tensors of a file fit its header? Names and shapes of its specs, kinds and values that a network can have."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ..nets.build import create_model
from ..spec.errors import UserError
from ..spec.net import NetSpec, Spec
from .header import Bundle
from .rules import MEAN_IMAGE, OTHER_TENSORS, SEEN

Build = Callable[..., nn.Module]  # makes the blocks of a spec with a `variant`
FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def check_tensors(tensors: Mapping[str, Tensor], bundle: Bundle, where: str, *, build: Build | None) -> None:
    """Raise `UserError` unless these are the tensors that the header's specs need, in shape and kind, and no other.

    Costs nothing that the header alone could make large: before any network is laid out, each member has tensors.
    """
    for name, tensor in tensors.items():
        check_values(name, tensor, where)
    _check_counts(sorted(tensors), bundle, where)
    expected = _expected(bundle, where, build)
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise UserError(f"{where}: tensor {name} is missing; the tensors are not those of its spec")
        tensor = tensors[name]
        if name not in expected:
            if name.startswith(SEEN) and tensor.dim() == 1 and tensor.dtype in INTEGERS:
                continue
            raise UserError(f"{where}: tensor {name} belongs to no network of its spec")
        wanted = expected[name]
        if tensor.shape != wanted.shape:
            raise UserError(
                f"{where}: tensor {name} has shape {tuple(tensor.shape)}, its spec needs {tuple(wanted.shape)}"
            )
        kinds, words = (FLOATS, "floats") if wanted.is_floating_point() else (INTEGERS, "integers")
        if tensor.dtype not in kinds:
            raise UserError(f"{where}: tensor {name} is {str(tensor.dtype)[6:]}, its spec needs {words}")
    if bundle.preprocess.mean_image is not None:
        digest = hashlib.sha256(tensors[MEAN_IMAGE].float().contiguous().numpy().tobytes()).hexdigest()
        if digest != bundle.preprocess.mean_image:
            raise UserError(f"{where}: tensor {MEAN_IMAGE} is not the mean image that its preprocessing names")


def check_values(name: str, tensor: Tensor, where: str) -> None:
    """Raise `UserError` for NaN, infinity, or a variance below zero."""
    if tensor.dtype not in FLOATS:
        return
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise UserError(
            f"{where}: tensor {name} holds NaN or infinity ({bad:,} of {tensor.numel():,} numbers), "
            "the weights of a training that diverged; take an earlier checkpoint"
        )
    if name.endswith("running_var") and bool((tensor < 0).any()):
        raise UserError(f"{where}: tensor {name} holds a variance below zero; the weights are damaged")


def _check_counts(names: list[str], bundle: Bundle, where: str) -> None:
    """A spec cannot ask for more blocks than there are tensors to fill them. `names` are sorted."""
    names = [name for name in names if not name.startswith(OTHER_TENSORS)]
    for member in bundle.members:
        end = member.prefix + chr(0x10FFFF)
        there = bisect_left(names, end) - bisect_left(names, member.prefix)
        if there == 0:
            raise UserError(f"{where}: no tensor has the prefix {member.prefix!r} of a member; the file is not ours")
        if _blocks(member.spec) > there:
            raise UserError(f"{where}: its spec has more blocks than the file has tensors; the file is not ours")


def _blocks(spec: Spec) -> int:
    return sum(spec.stage_blocks if isinstance(spec, NetSpec) else spec.stage_convs)


def _expected(bundle: Bundle, where: str, build: Build | None) -> dict[str, Tensor]:
    """Name -> a tensor without memory of the right shape and kind. A spec is laid out once, however many have it."""
    laid_out: dict[Spec, Mapping[str, Tensor]] = {}
    try:
        with torch.device("meta"):
            for spec in {member.spec for member in bundle.members}:
                laid_out[spec] = create_model(spec, build=build).state_dict()
    except (UserError, RuntimeError, TypeError, OverflowError) as error:
        raise UserError(f"{where}: its spec cannot be built: {error}".splitlines()[0]) from None
    expected = {
        member.prefix + name: tensor for member in bundle.members for name, tensor in laid_out[member.spec].items()
    }
    if bundle.preprocess.mean_image is not None:
        side = bundle.preprocess.size
        expected[MEAN_IMAGE] = torch.empty(len(bundle.preprocess.mean), side, side, device="meta")
    return expected
