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
    area: tuple[float, float] = (0.08, 1.0)  # random-resized: share of the picture's area
    ratio: tuple[float, float] = (3 / 4, 4 / 3)  # random-resized: width over height
    scale: tuple[int, int] = (256, 480)  # scale: the shorter side is drawn from this range, ends included
    resize: Literal["antialias", "aliased"] = "antialias"  # of training crops; evaluation is always antialiased
    flip: Literal["none", "random", "alternating"] = "none"
    policy: Literal["none", "rand", "trivial"] = "none"  # RandAugment 1909.13719, TrivialAugment 2103.10158
    policy_ops: int = 2  # RandAugment: operations per picture
    policy_magnitude: int = 9  # RandAugment: 0 to 30
    jitter: float = 0.0  # brightness, contrast and saturation factors in [1 - jitter, 1 + jitter], order drawn
    pca: float = 0.0  # AlexNet's colour noise: std of the three draws; the papers use 0.1
    erase: float = 0.0  # probability of random erasing (1708.04896)
    mixup: float = 0.0  # alpha of MixUp's Beta distribution; 0 is off
    cutmix: float = 0.0  # alpha of CutMix's; with both on, each pair draws one of them
    repeats: int = 1  # how often a sample appears in an epoch's batches (batch augmentation, 1901.09335)
    sampler: Literal["shuffle", "balanced"] = "shuffle"  # balanced: every class equally often

    def __post_init__(self) -> None:
        check_choice("crop", self.crop, ("none", "pad", "random-resized", "scale"))
        check_choice("flip", self.flip, ("none", "random", "alternating"))
        for name in ("pad", "jitter", "pca", "mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise UserError(f"augment.{name} is {getattr(self, name)}; it must not be negative")
        if not 0 <= self.erase <= 1:
            raise UserError(f"augment.erase is {self.erase}; it is a probability in [0, 1]")
        if not 0 <= self.policy_magnitude <= 30:
            raise UserError(f"augment.policy_magnitude is {self.policy_magnitude}; it lies in 0..30")
        if self.repeats < 1 or self.policy_ops < 1:
            raise UserError("augment.repeats and augment.policy_ops must be at least 1")
        for name in ("area", "ratio", "scale"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise UserError(f"augment.{name} is {low}, {high}; it needs 0 < low <= high")


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
