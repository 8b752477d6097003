"""Checkpoints: one safetensors file each, its name carrying the step and the checksum of its contents.

Written atomically, verified on load; the two newest are kept, and a damaged one falls back to the one before.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from ..runtime.container import read_safetensors
from ..runtime.files import write_atomic
from ..spec.errors import UserError
from .schedule import RateState
from .update import Update

KEEP = 2
_NAME = re.compile(r"(step|best)-\d{9}-[0-9a-f]{16}\.safetensors")


@dataclass
class Progress:
    """How far a run has come; with the tensors, everything a resume needs."""

    step: int = 0  # optimiser steps done
    lr: float = 0.0  # of the last one
    seconds: float = 0.0  # in the training loop, over all resumes
    images_per_second: float = 0.0  # median of the newest steps
    metrics_bytes: int = 0  # length of metrics.jsonl that belongs to these steps
    epoch_loss: float = 0.0  # sums over the unfinished epoch
    epoch_wrong: int = 0
    epoch_images: int = 0
    best_error: float | None = None  # provisional, on validation, in percent
    best_epoch: float | None = None
    best_file: str | None = None  # its weights, when the recipe selects the best
    stopped_early: bool = False
    run: str = ""  # of which run these are the steps; not told by older ones
    seen: RateState = field(default_factory=RateState)  # what the learning rate depends on besides the step
    best_loss: float | None = None  # where `best_error` was seen; not told by older ones

    @property
    def epoch_error(self) -> float:
        """Training error in percent over the unfinished epoch so far."""
        return 100 * self.epoch_wrong / self.epoch_images


def save(folder: Path, update: Update, progress: Progress) -> Path:
    """Write a checkpoint of this instant and drop what is no longer needed."""
    tensors = {f"net.{name}": tensor for name, tensor in update.net.state_dict().items()}
    if update.average is not None:
        tensors |= {f"average.{name}": tensor for name, tensor in update.average.state_dict().items()}
    for index, slots in update.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{slot}": torch.as_tensor(value) for slot, value in slots.items()}
    metadata = {"progress": json.dumps(asdict(progress)), "scaler": json.dumps(update.scaler.state_dict())}
    path = _write(folder, f"step-{progress.step:09d}", tensors, metadata)
    keep = {progress.best_file, *(old.name for old in _newest_first(folder)[:KEEP])}
    for old in folder.glob("*.safetensors"):
        if old.name not in keep:
            old.unlink()
    return path


def save_best(folder: Path, net: nn.Module, step: int, run: str = "") -> str:
    """Write the weights alone, as the best so far; returns the file's name."""
    return _write(folder, f"best-{step:09d}", dict(net.state_dict()), {"progress": json.dumps({"run": run})}).name


def load_best(folder: Path, name: str, net: nn.Module) -> None:
    """Put the best weights back into `net`."""
    found = _read(folder / name)
    if found is None:
        raise OSError(f"{folder / name} is damaged: the best weights of this run are lost")
    net.load_state_dict(found[0])


def load_newest(folder: Path, update: Update, run: str = "") -> Progress | None:
    """Restore the newest intact checkpoint into `update`; None where there is none to go on from.

    Raises `UserError` for one of another run than `run`, which was trained on other pictures.
    """
    for path in _newest_first(folder):
        found = _read(path)
        if found is None:
            warnings.warn(f"{path} is damaged; going back to the checkpoint before it", stacklevel=2)
            continue
        tensors, metadata = found
        values = json.loads(metadata["progress"])
        if run and values.get("run", "") not in ("", run):  # earlier releases did not say whose they are
            raise UserError(f"{path}: a checkpoint of another run; put this run's own back, or train anew")
        update.net.load_state_dict(_under("net.", tensors))
        if update.average is not None:
            update.average.load_state_dict(_under("average.", tensors))
        progress = Progress(**values | {"seen": RateState(**values["seen"])})
        _restore_optimiser(update.optimiser, tensors, progress.lr)
        if scale := json.loads(metadata["scaler"]):  # of fp16 alone; the run may have gone on in fp16 since
            update.scaler.load_state_dict(scale)
        return progress
    return None


def any_intact(folder: Path) -> bool:
    """Whether there is a checkpoint to go on from."""
    return any(True for _ in _intact(folder))


def newest_step(folder: Path) -> int:
    """The step of the newest intact checkpoint; 0 where there is none."""
    return next((int(json.loads(metadata["progress"])["step"]) for _, metadata in _intact(folder)), 0)


def run_of(path: Path) -> str | None:
    """Which run a file is an intact checkpoint of, "" where it does not tell; None for any other file."""
    found = _read(path) if path.is_file() and _NAME.fullmatch(path.name) else None
    if found is None:
        return None
    return str(json.loads(found[1].get("progress", "{}")).get("run", ""))


def _intact(folder: Path) -> Iterator[tuple[dict[str, torch.Tensor], dict[str, Any]]]:
    """Tensors and metadata of the checkpoints that can be gone on from, the newest first."""
    return (found for path in _newest_first(folder) if (found := _read(path)) is not None)


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], lr: float) -> None:
    """Fill the optimiser's slots, each in the memory format of its parameter."""
    for group in optimiser.param_groups:
        group["rate_of_buffers"] = lr
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for name, tensor in tensors.items():
        kind, index, slot = [*name.split(".", 2), "", ""][:3]
        if kind == "optimiser":
            parameter = parameters[int(index)]
            like = torch.empty_like(parameter) if tensor.shape == parameter.shape else torch.empty_like(tensor)
            optimiser.state[parameter][slot] = like.copy_(tensor)


def _write(folder: Path, stem: str, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> Path:
    content = safetensors.torch.save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata)
    path = folder / f"{stem}-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    folder.mkdir(exist_ok=True)
    write_atomic(path, content)
    return path


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Tensors and metadata, or None unless the contents match the checksum in the name."""
    try:
        content, metadata = read_safetensors(path)
    except (FileNotFoundError, UserError):
        return None
    if hashlib.sha256(content).hexdigest()[:16] != path.stem.rpartition("-")[2]:
        return None
    return safetensors.torch.load(content), metadata


def _newest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*.safetensors"), reverse=True)
