"""What the tensors of a network can be: floats that are numbers, variances that are not negative."""

from __future__ import annotations

import torch
from torch import Tensor

from ..spec.errors import UserError

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def check_kind(name: str, tensor: Tensor, wanted: Tensor, where: str) -> None:
    """Raise `UserError` unless `tensor` of the file `where` holds floats or integers as `wanted` does."""
    kinds, words = (FLOATS, "floats") if wanted.is_floating_point() else (INTEGERS, "integers")
    if tensor.dtype not in kinds:
        raise UserError(f"{where}: tensor {name} is {str(tensor.dtype)[6:]}, its network needs {words}")


def check_values(name: str, tensor: Tensor, where: str, *, variance: bool) -> None:
    """Raise `UserError` for NaN, infinity, or in a `variance` a number below zero, in a tensor of the file `where`."""
    if tensor.dtype not in FLOATS:
        return
    bad = tensor.numel() - int(torch.isfinite(tensor).sum())
    if bad:
        raise UserError(
            f"{where}: tensor {name} holds NaN or infinity ({bad:,} of {tensor.numel():,} numbers), "
            "the weights of a training that diverged; take an earlier checkpoint"
        )
    if variance and bool((tensor < 0).any()):
        raise UserError(f"{where}: tensor {name} holds a variance below zero; the weights are damaged")
