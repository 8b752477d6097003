"""The facts of a machine that a run's last bits depend on; a resume elsewhere is refused, or allowed by name."""

from __future__ import annotations

import platform

import torch

from ..runtime.process_group import World
from ..runtime.processor import read_processor
from ..spec.errors import UserError
from .records.run import RunRecord


def numerics(world: World) -> dict[str, str]:
    """The facts of this machine that a run's last bits depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    kernels = torch.backends.cpu.get_cpu_capability()
    return {
        "torch": torch.__version__.partition("+")[0],
        "processor": f"{platform.machine()} {kernels} {read_processor().bf16_kind}".strip(),
        "gpu": gpu,
        "processes": str(world.size),
    }


def check_numerics(record: RunRecord, world: World, allowed: bool) -> None:
    """Stop a resume whose arithmetic would differ from the run's, unless that is allowed.

    With another number of processes the global batches, their order and their augmentation stay what they were;
    which samples are normalised together, and the last bits, do not.
    """
    then, now = record.environment.get("numerics"), numerics(world)
    if not isinstance(then, dict):
        then = {}
    changed = [f"{name} was {then[name]}, is {now[name]}" for name in now if name in then and then[name] != now[name]]
    if changed and not allowed:
        raise UserError(
            f"this machine's arithmetic differs from the run's: {'; '.join(changed)}; the same pictures would be seen "
            f"in the same order, but with other last bits: --allow-different-numerics goes on"
        )
