"""Settings from facts, never from a stopwatch: what the machine does, what the run will compute.

A machine is a value, so a made-up one can be asked too; every choice says by which values it was made.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..spec.cost import cost
from ..spec.errors import UserError
from ..spec.net import Spec
from ..spec.recipe import Recipe
from ..spec.rule import MOST
from ..spec.text import counted
from .device import is_here
from .machine import MEASURE, Rates, known_rates
from .processor import Processor, cores, read_processor
from .settings import Precision, Settings

WORTH = 1.2  # bf16 must do this many times the work of fp32 to be chosen on a CPU
COMPILE_SECONDS = 32  # what compilation costs once, measured on two cores: 25 to 49 in six trials
NARROW = 300  # multiply-adds for each activation, below which a network counts as narrow
WIDE_CORE = 170.0  # GFLOP/s of a core; a faster one waits for memory in wider networks too
SUSTAINED = 0.9  # of the matrix rate: what the eager step of a wide network reaches (AMD Zen 4, bf16)
FUSED_BYTES = 14.0  # memory traffic that compilation saves for each activation: 0.7 ns at the 20 GB/s of AMD Zen 4
MOST_SAVED = 0.3  # of a step
ASSUMED_SAVED = 0.15  # of a step on a GPU, in inference, or where the allocator gives every page back
GPU_RATE = 2e4  # GFLOP/s in training, assumed
NARROW_GPU_RATE = 3.4e3  # of narrow networks, which wait for kernels to start: ResNet-20 eager, 13,000 images/s (H200)
NARROW_GPU_SAVED = 0.6  # of such a step: compiled it does 41,000 images/s there
UNKNOWN = Rates(1, {"fp32": 80.0}, bandwidth=10.0)  # a core that nobody measured


@dataclass(frozen=True)
class Machine:
    """What decides how a run computes."""

    processor: Processor
    threads: int  # logical processors for each process of the run, or what OMP_NUM_THREADS asks for
    asked: bool = False  # whether OMP_NUM_THREADS asks
    rates: Rates | None = None  # None: nobody measured this kind of processor with so many threads
    compiler: bool = False  # torch.compile can build its CPU kernels
    capability: tuple[int, int] | None = None  # of the GPU
    cores: int | None = None  # logical processors that are here, where known
    ignored: str = ""  # what OMP_NUM_THREADS says where that is no number of threads
    whole: bool = True  # whether `threads` is what `doctor --measure` takes by itself

    @property
    def measure(self) -> str:
        """The command that measures the rates which are missing."""
        return MEASURE if self.whole else f"OMP_NUM_THREADS={self.threads} {MEASURE}"


@dataclass(frozen=True)
class Workload:
    """What a run will compute, summed over the forward passes of all its planned pictures."""

    macs: float  # multiply-adds
    activations: float  # elements that convolutions put out
    training: bool = True  # backward too
    endless: bool = False  # this over and over: what is measured stands for a run of any length

    def seconds(self, gigaflops: float) -> float:
        """How long its multiply-adds take: two operations each, backward twice what forward is."""
        return (6 if self.training else 2) * self.macs / (gigaflops * 1e9)


def planned_workload(spec: Spec, recipe: Recipe, images: int, size: int) -> Workload:
    """What all forward passes of a run's training will compute, at full size."""
    return workload(spec, size, recipe.total_steps(images) * recipe.batch_size)


def workload(spec: Spec, size: int, pictures: float, *, training: bool = True) -> Workload:
    """What the forward passes of this many pictures compute."""
    price = cost(spec, size)
    return Workload(price.macs * pictures, price.activations * pictures, training)


def this_machine(*, world: int = 1, device: str = "cpu") -> Machine:
    """The machine as one of `world` processes has it that computes on `device`."""
    processor, asked, shared, capability = read_processor(), asked_threads(), world, None
    if device.startswith("cuda"):
        import torch

        shared, capability = max(torch.cuda.device_count(), 1), torch.cuda.get_device_capability(device)
    here = cores()
    count = asked or max(here // shared, 1)
    return Machine(
        processor, count, asked is not None, known_rates(processor, count, here), has_compiler(), capability, here,
        "" if asked else os.environ.get("OMP_NUM_THREADS", ""), count == here,
    )  # fmt: skip


def asked_threads() -> int | None:
    """What OMP_NUM_THREADS asks for, torch's own convention; None where it is not set to a number of threads."""
    value = os.environ.get("OMP_NUM_THREADS", "")
    number = int(value) if value.isdecimal() and len(value) < 10 else 0
    return number if 1 <= number <= MOST else None


def has_compiler() -> bool:
    """Whether torch.compile can build its CPU kernels here."""
    return shutil.which(os.environ.get("CXX", "g++")) is not None


def decide(
    workload: Workload,
    *,
    device: str | None = None,
    precision: Precision | None = None,
    tuned_allocator: bool = False,
    world: int = 1,
    machine: Machine | None = None,
) -> Settings:
    """Settings for a run that does this `workload` on `machine`, by default this one; `source` in them says why.

    bf16 is chosen on a CPU where it does `WORTH` times the work of fp32, compilation where it saves more time than it
    costs; `precision` and OMP_NUM_THREADS overrule. Raises `UserError` for a GPU that is not here and for fp16 without.
    """
    device = _device(device)
    if precision == "fp16" and not device.startswith("cuda"):
        raise UserError("precision fp16 needs a GPU; on a CPU use bf16 or fp32")
    machine = machine or this_machine(world=world, device=device)
    chosen, why = (precision, f"{precision}: asked for") if precision else _precision(machine, device)
    threads, shared = _threads(machine, device)
    eager = Settings(device=device, precision=chosen, threads=threads, tuned_allocator=tuned_allocator)
    compiled, how = _compilation(machine, eager, workload)
    return replace(eager, compile=compiled, source=f"{why}; {how}; {shared}")


def settings_here(settings: Settings, workload: Callable[[], Workload], *, world: int = 1) -> Settings:
    """The `settings` of a run that was begun elsewhere, as far as this machine can follow them.

    On a device that is here they stay as they are, but for a compiler that is missing; else all is chosen anew, the
    precision only where it needs a GPU. Only then is the `workload` counted.
    """
    gpu = settings.device.startswith("cuda")
    if is_here(settings.device) and (gpu or settings.precision != "fp16"):
        return replace(settings, compile=settings.compile and has_compiler())
    if gpu and is_here("cuda"):  # the second GPU, where there is but one
        return replace(settings, device="cuda")
    kept = None if settings.autocast == "fp16" else settings.autocast
    chosen = decide(workload(), precision=kept, tuned_allocator=settings.tuned_allocator, world=world)
    source = chosen.source.replace("asked for", "as the run was begun", 1) if kept else chosen.source
    return replace(chosen, workers=settings.workers, loader=settings.loader, source=source)


def _device(name: str | None) -> str:
    import torch

    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"device is {name}, but torch sees no GPU; use cpu")
    return name


def _precision(machine: Machine, device: str) -> tuple[Precision, str]:
    """The precision that nobody asked for, and why."""
    if device.startswith("cuda"):
        capable = machine.capability or (0, 0)
        choice: Precision = "bf16" if capable >= (8, 0) else "fp16" if capable >= (7, 0) else "fp32"
        return choice, f"{choice}: a GPU of capability {capable[0]}.{capable[1]}"
    rates = machine.rates
    if rates is None:
        what = f"{counted(machine.threads, 'thread')} of {machine.processor.kind}"
        return "fp32", f"fp32: nobody measured {what}; `{machine.measure}` does"
    gain = rates.gain("bf16")
    if gain is None:
        return "fp32", f"fp32: bf16 was not measured ({rates.source})"
    choice = "bf16" if gain >= WORTH else "fp32"
    return choice, f"{choice}: bf16 does {gain:.2f} times the work of fp32 ({rates.source})"


def _compilation(machine: Machine, eager: Settings, workload: Workload) -> tuple[bool, str]:
    """Whether compilation pays, and why."""
    if not machine.compiler:
        return False, "eager: no C++ compiler"
    if workload.endless:
        share = saved_seconds(eager, workload, machine.rates, seconds=1.0)
        worth, what = share > 0, f"{100 * share:.0f} % of a long run" if share else "nothing"
    else:
        saved = saved_seconds(eager, workload, machine.rates)
        worth, what = saved > COMPILE_SECONDS, f"{saved:.0f} s, costs {COMPILE_SECONDS}"
    return worth, f"{'compiled' if worth else 'eager'}: compiling saves {what}"


def _threads(machine: Machine, device: str) -> tuple[int, str]:
    """Threads of one process, and why."""
    if machine.asked:
        beyond = machine.cores is not None and machine.threads > machine.cores
        more = f", more than the {machine.cores} cores: they wait for each other" if beyond else ""
        return machine.threads, f"{counted(machine.threads, 'thread')}: OMP_NUM_THREADS{more}"
    if machine.rates is not None and machine.rates.threads < machine.threads and device == "cpu":
        return machine.rates.threads, f"{counted(machine.rates.threads, 'thread')}: one a core does more than two"
    why = f" (OMP_NUM_THREADS={machine.ignored[:20]!r} is no number of threads)" if machine.ignored else ""
    return machine.threads, f"{counted(machine.threads, 'thread')}: the cores of a process{why}"


def saved_seconds(settings: Settings, workload: Workload, rates: Rates | None, seconds: float | None = None) -> float:
    """Seconds that compilation saves of the `seconds` that `workload` takes without it, by default by the rates.

    It fuses what follows a convolution. On a CPU whose allocator keeps its pages only narrow networks have enough of
    that beside their multiply-adds: ResNet-20 (216 for each activation) gains a tenth; wide ones (700 and more) gain
    nothing and pooled ones lose, unless a core multiplies so fast that they wait for memory all the same. A GPU starts
    some hundred small kernels for each step of a narrow network; fused, they are a third.
    """
    if settings.device.startswith("cuda"):
        narrow = workload.training and workload.macs < NARROW * workload.activations
        rate, share = (NARROW_GPU_RATE, NARROW_GPU_SAVED) if narrow else (GPU_RATE, ASSUMED_SAVED)
        return share * (seconds or workload.seconds(rate))
    rates = rates or UNKNOWN.scaled(settings.threads)
    matrix = rates.matrix.get(settings.autocast, rates.matrix["fp32"])
    expected = workload.seconds(SUSTAINED * matrix)
    if not settings.tuned_allocator or not workload.training:
        return ASSUMED_SAVED * (seconds or expected)
    if workload.macs >= NARROW * max(matrix / rates.threads / WIDE_CORE, 1) * workload.activations:
        return 0.0
    bandwidth = rates.bandwidth or UNKNOWN.scaled(rates.threads).bandwidth or 1.0
    share = FUSED_BYTES * workload.activations / (bandwidth * 1e9) / max(expected, 1e-9)
    return min(share, MOST_SAVED) * (seconds or expected)
