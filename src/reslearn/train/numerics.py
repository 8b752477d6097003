"""The facts of a machine that a run's last bits depend on: a resume elsewhere is refused, or allowed and noted."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from ..runtime.choice import planned_workload, settings_here
from ..runtime.notes import note
from ..runtime.process_group import World, from_environment
from ..runtime.processor import read_processor
from ..runtime.settings import Settings
from ..spec.errors import UserError
from . import checkpoint
from .records.crossval import RECORD as CROSSVAL
from .records.run import RunRecord
from .records.terms import Terms


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


def carried_on(folder: Path, record: RunRecord, world: World, allowed: bool) -> RunRecord:
    """The record of the run in `folder` as it goes on here: where the arithmetic differs, its notes say so from now on.

    With another number of processes the global batches, their order and their augmentation stay what they were;
    which samples are normalised together, and the last bits, do not. Raises `UserError` for a difference unless that
    is `allowed`.
    """
    then, here = record.environment.get("numerics"), numerics(world)
    then = then if isinstance(then, dict) else {}
    changed = [f"{name} was {then[name]}, is {here[name]}" for name in here if then.get(name, here[name]) != here[name]]
    before, settings = record.settings, followed(record, len(record.split.train), world)
    changed += [
        f"{name} was {getattr(before, name)}, is {getattr(settings, name)}"
        for name in ("device", "precision", "compile")
        if getattr(before, name) != getattr(settings, name)
    ]
    if not then and world.first:
        note(f"{folder}: its record does not say what computed it so far, so nothing could be compared")
    if not changed:
        return record
    told = "; ".join(changed)
    if not allowed:
        raise UserError(
            f"this machine's arithmetic differs from the run's: {told}; the same pictures would be seen in the same "
            f"order, but with other last bits: reslearn resume {_whole(folder)} --allow-different-numerics goes on"
        )
    steps = checkpoint.newest_step(folder / "checkpoints")
    mixed = f"of more than one arithmetic: after step {steps:,} {told}"
    if world.first:
        note(f"{folder}: goes on, though {told}")
    return replace(
        record,
        settings=settings,
        environment=record.environment | {"numerics": here},
        notes=(*record.notes, mixed) if steps else record.notes,
    )


def not_alike(runs: Mapping[str, RunRecord]) -> tuple[str, ...]:
    """For a person who compares runs: which of these, by name, went on elsewhere, and what they were computed with
    where that was not the same for all."""
    told = [f"{name} is {note}." for name, run in runs.items() for note in run.notes]
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        settings, facts = run.settings, run.environment.get("numerics")
        facts = facts if isinstance(facts, dict) else {}
        how = [settings.device, settings.precision, "compiled" if settings.compile else "eager"]
        how += [f"{fact} {value}" for fact, value in facts.items() if (fact, value) != ("gpu", "none")]
        groups.setdefault(", ".join(how), []).append(name)
    if len(groups) > 1:
        ways = "; ".join(f"{', '.join(names)}: {how}" for how, names in groups.items())
        told.append(f"Not all were computed alike. {ways}.")
    return tuple(told)


def _whole(folder: Path) -> Path:
    """What is resumed: the cross-validation of which `folder` is a fold, or else the run."""
    return folder.parent if (folder.parent / CROSSVAL).exists() else folder


def followed(terms: Terms, images: int, world: World | None = None) -> Settings:
    """The settings of a training on so many pictures, as far as this machine can follow them."""
    work = partial(planned_workload, terms.spec, terms.recipe, images, terms.preprocess.size)
    return settings_here(terms.settings, work, world=(world or from_environment()).size)
