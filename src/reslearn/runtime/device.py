"""Devices, and the contexts that settings ask for: autocast, threads, memory format."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ..spec.choices import Engine
from ..spec.errors import UserError
from .settings import Settings

if TYPE_CHECKING:
    import torch


def present(name: str | None, engine: Engine | None = None) -> str:
    """`name`; without one, a GPU where torch sees one, else `cpu`. Raises `UserError` for a device that is not here.

    Engines other than torch and its compiler compute on the CPU: `UserError` for another device.
    """
    import torch

    if engine not in (None, "torch", "compiled"):
        if name not in (None, "cpu"):
            raise UserError(f"--engine {engine} computes on the CPU here; leave --device {name} out, or use torch")
        return "cpu"
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name)
    except RuntimeError:
        raise UserError(f"device is '{name}'; valid: cpu, cuda, cuda:0, cuda:1, ...") from None
    if kind.type == "cuda" and (kind.index or 0) >= torch.cuda.device_count():
        raise UserError(f"device is {name}, but torch sees {torch.cuda.device_count()} GPUs; use cpu")
    if kind.type not in ("cpu", "cuda"):
        raise UserError(f"device is '{name}'; valid: cpu, cuda, cuda:0, cuda:1, ...")
    return name


def is_here(name: str) -> bool:
    """Whether a device is here."""
    try:
        present(name)
    except UserError:
        return False
    return True


def check_settings(settings: Settings) -> Settings:
    """`settings`. Raises `UserError` where they ask for a device that is not here, or fp16 without a GPU."""
    present(settings.device)
    if settings.precision == "fp16" and not settings.device.startswith("cuda"):
        raise UserError("precision is fp16; that needs a GPU, on a CPU use bf16 or fp32")
    return settings


def autocast(settings: Settings) -> contextlib.AbstractContextManager[object]:
    """The context in which the forward pass runs under `settings.precision`."""
    import torch

    if settings.autocast == "fp32":
        return contextlib.nullcontext()
    dtype = torch.bfloat16 if settings.autocast == "bf16" else torch.float16
    return torch.autocast(torch.device(settings.device).type, dtype)


def weight_type(settings: Settings) -> torch.dtype:
    """The type of weights and of normalised pictures."""
    import torch

    return torch.float64 if settings.precision == "fp64" else torch.float32


def memory_format(settings: Settings) -> torch.memory_format:
    """channels_last where the settings ask for it."""
    import torch

    return torch.channels_last if settings.channels_last else torch.contiguous_format
