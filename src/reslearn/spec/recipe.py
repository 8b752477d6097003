"""How a network is trained: one frozen value. Named ones stand in `recipes.py`, each with its source and departures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from .errors import UserError, check_choice


@dataclass(frozen=True)
class Augment:
    """What training does to pictures. Every draw is a function of (seed, purpose, position)."""

    crop: Literal["none", "pad", "random-resized", "scale"] = "none"
    pad: int = 4  # pixels on each side before a `pad` crop
    border: Literal["zero", "reflect"] = "zero"
    flip: Literal["none", "random", "alternating"] = "none"


@dataclass(frozen=True)
class Recipe:
    """Everything about training that is not the network, the data or the machine. Exactly one budget is given."""

    name: str
    source: str  # paper and section
    departures: tuple[str, ...] = ()  # where this differs from its source, aloud

    epochs: float | None = None
    iterations: int | None = None
    images: int | None = None

    batch_size: int = 128  # global: over all processes and accumulation steps
    optimizer: Literal["sgd"] = "sgd"
    lr: float = 0.1  # at its peak
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay: Literal["all", "weights"] = "all"  # weights: convolution and FC kernels alone

    schedule: Literal["step", "one-cycle", "constant"] = "step"
    milestones: tuple[float, ...] = ()  # fractions of the budget
    gamma: float = 0.1  # factor at each milestone
    warmup: float = 0.0  # one-cycle: fraction of the budget until the peak
    final_lr: float = 0.0  # one-cycle: lr at the end

    label_smoothing: float = 0.0
    augment: Augment = field(default_factory=Augment)
    image_size: int | None = None  # None: the network's own

    select: Literal["last", "best"] = "last"  # which weights are sealed; best: on validation
    bn_statistics: Literal["moving", "exact"] = "moving"
    validate_every: float = 1.0  # epochs
    checkpoint_every: float = 60.0  # seconds; a checkpoint is also written at each validation

    def __post_init__(self) -> None:
        if sum(b is not None for b in (self.epochs, self.iterations, self.images)) != 1:
            raise UserError(f"recipe {self.name}: give exactly one of epochs, iterations, images")
        check_choice("select", self.select, ("last", "best"))
        check_choice("schedule", self.schedule, ("step", "one-cycle", "constant"))
        if self.batch_size < 1:
            raise UserError(f"batch_size is {self.batch_size}; it must be at least 1")

    def total_steps(self, epoch_length: int) -> int:
        """Optimiser steps of the whole budget, for an epoch of `epoch_length` positions; at least 1."""
        if self.iterations is not None:
            return max(self.iterations, 1)
        images = self.images if self.images is not None else (self.epochs or 0) * epoch_length
        return max(-int(-images // self.batch_size), 1)
