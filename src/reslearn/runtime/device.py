"""Settings from facts, never from a stopwatch: CPU flags, GPU capability, cores, a C++ compiler, the planned work."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..spec.errors import UserError
from .settings import Precision, Settings

if TYPE_CHECKING:
    import torch

COMPILE_SECONDS = 32  # what compilation costs once, measured on two cores: 25 to 49 in six trials
NARROW = 300  # multiply-adds for each activation, below which a network counts as narrow
EAGER_FLOPS = {"amx_bf16": 3e11, "avx512_bf16": 1.5e11, "": 7e10}  # per core in training, measured on 32x32 nets


def cpu_flags() -> frozenset[str]:
    """The processor's feature flags as Linux names them; empty elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return frozenset(line.partition(":")[2].split())


def cores() -> int:
    """Processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def asked_threads() -> int | None:
    """What OMP_NUM_THREADS asks for, torch's own convention; None where it is not set to a number."""
    value = os.environ.get("OMP_NUM_THREADS", "")
    return int(value) if value.isdecimal() and int(value) else None


def has_compiler() -> bool:
    """Whether torch.compile can build its CPU kernels here."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def bf16_kind() -> str:
    """The fastest bf16 instruction set of this CPU: `amx_bf16`, `avx512_bf16`, or an empty string."""
    flags = cpu_flags()
    return next((kind for kind in ("amx_bf16", "avx512_bf16") if kind in flags), "")


@dataclass(frozen=True)
class Workload:
    """What a run will compute, summed over the forward passes of all its planned pictures."""

    macs: float  # multiply-adds
    activations: float  # elements that convolutions put out


def compilation_pays(settings: Settings, workload: Workload, seconds: float) -> bool:
    """Whether compilation can be had here and saves more than it costs, of `seconds` that the run takes without it."""
    return has_compiler() and seconds * compile_gain(settings, workload) > COMPILE_SECONDS


def compile_gain(settings: Settings, workload: Workload) -> float:
    """The part of an eager training step that compilation saves: measured on CPUs and 32x32 pictures, assumed for GPUs.

    It fuses what follows a convolution. On a CPU without AMX, where the allocator keeps its pages, only narrow networks
    have enough of that beside their multiply-adds: ResNet-20 (216 for each activation) gains 11 %; wide ones (700
    and more) gain nothing, and pooled ones lose.
    """
    if settings.device != "cpu" or not settings.tuned_allocator or bf16_kind() == "amx_bf16":
        return 0.15
    return 0.11 if workload.macs < NARROW * workload.activations else 0.0


def present(name: str | None) -> str:
    """`name`; without one, a GPU where torch sees one, else `cpu`. Raises `UserError` for a device that is not here."""
    import torch

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


def check_settings(settings: Settings) -> Settings:
    """`settings`. Raises `UserError` where they ask for a device that is not here, or fp16 without a GPU."""
    present(settings.device)
    if settings.precision == "fp16" and not settings.device.startswith("cuda"):
        raise UserError("precision is fp16; that needs a GPU, on a CPU use bf16 or fp32")
    return settings


def decide(
    workload: Workload,
    *,
    device: str | None = None,
    precision: Precision | None = None,
    tuned_allocator: bool = False,
    world: int = 1,
) -> Settings:
    """Settings for a run that does this `workload`.

    Compilation is chosen where the time it saves exceeds what it costs; `precision` overrides the rule.
    """
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda"):
        if not torch.cuda.is_available():
            raise UserError(f"device is {device}, but torch sees no GPU; use cpu")
        capable = torch.cuda.get_device_capability()
        choice: Precision = "bf16" if capable >= (8, 0) else "fp16" if capable >= (7, 0) else "fp32"
        rate, threads = 2e13, max(cores() // max(torch.cuda.device_count(), 1), 1)
    else:
        kind = bf16_kind()
        choice = "bf16" if kind else "fp32"
        threads = asked_threads() or max(cores() // world, 1)
        rate = EAGER_FLOPS[kind] * threads
    chosen = precision or choice
    if chosen == "fp16" and not device.startswith("cuda"):
        raise UserError("precision fp16 needs a GPU; on a CPU use bf16 or fp32")
    seconds = 6 * workload.macs / rate  # forward, and twice that for backward; two operations each
    eager = Settings(device=device, precision=chosen, threads=threads, tuned_allocator=tuned_allocator)
    return replace(eager, compile=compilation_pays(eager, workload, seconds))


def autocast(settings: Settings) -> contextlib.AbstractContextManager[object]:
    """The context in which the forward pass runs under `settings.precision`."""
    import torch

    if settings.precision == "fp32":
        return contextlib.nullcontext()
    dtype = torch.bfloat16 if settings.precision == "bf16" else torch.float16
    return torch.autocast(torch.device(settings.device).type, dtype)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Use `count` torch threads inside the block, and what there was before after it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def memory_format(settings: Settings) -> torch.memory_format:
    """channels_last where the settings ask for it."""
    import torch

    return torch.channels_last if settings.channels_last else torch.contiguous_format
