"""The context in which a network answers: evaluation mode, on a device, at a precision; all put back afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import nn

from ..spec.errors import check_choice
from .settings import PRECISIONS, Precision
from .switches import exact_fp32, held


def device_of(net: nn.Module) -> str:
    """Where a network's parameters are."""
    return str(next((parameter.device for parameter in net.parameters()), torch.device("cpu")))


@contextlib.contextmanager
def evaluating(net: nn.Module, precision: Precision, device: str) -> Iterator[None]:
    """Evaluation mode without gradients on `device`, under `precision`: fp32 means fp32, with no TF32 inside.

    Modes, device and the process's switches are put back after; several threads may be inside at once.
    """
    check_choice("precision", precision, PRECISIONS)
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    narrow = torch.autocast(torch.device(device).type, dtype, enabled=precision != "fp32")
    with exact_fp32(), held((net, device), lambda: _ready(net, device)), torch.inference_mode(), narrow:
        yield


def _ready(net: nn.Module, device: str) -> Callable[[], None]:
    """Put `net` on `device`, in evaluation mode; what is returned puts it back."""
    home, modes = device_of(net), [(module, module.training) for module in net.modules()]
    net.to(device).eval()

    def put_back() -> None:
        for module, training in modes:
            module.training = training
        net.to(home)

    return put_back
