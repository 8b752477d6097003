"""How a network is trained: one frozen value. Named ones stand in `recipes.py`, each with its source and departures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from ..spec import rule
from .departures import standing
from .errors import UserError


@dataclass(frozen=True)
class Augment:
    """What training does to pictures. Every draw is a function of (seed, purpose, position)."""

    crop: Literal["none", "pad", "random-resized", "scale"] = "none"
    pad: rule.Border = 4  # pixels on each side before a `pad` crop
    pad_share: rule.Share = 0.0  # or this share of the input's side, where that is more pixels
    border: Literal["zero", "reflect"] = "zero"
    area: rule.Area = (0.08, 1.0)  # random-resized: share of the picture's area
    ratio: rule.Range = (3 / 4, 4 / 3)  # random-resized: width over height
    scale: rule.Sides = (256, 480)  # scale: the shorter side is drawn from this range, ends included
    resize: Literal["antialias", "aliased"] = "antialias"  # of training crops; evaluation is always antialiased
    flip: Literal["none", "random", "alternating"] = "none"
    policy: Literal["none", "rand", "trivial"] = "none"  # RandAugment 1909.13719, TrivialAugment 2103.10158
    policy_ops: rule.Few = 2  # RandAugment: operations per picture
    policy_magnitude: rule.Magnitude = 9  # RandAugment: 0 to 30
    jitter: rule.Share = 0.0  # brightness, contrast and saturation factors in [1 - jitter, 1 + jitter], order drawn
    pca: rule.NotNegative = 0.0  # AlexNet's colour noise: std of the three draws; the papers use 0.1
    erase: rule.Share = 0.0  # probability of random erasing (1708.04896)
    mixup: rule.NotNegative = 0.0  # alpha of MixUp's Beta distribution; 0 is off
    cutmix: rule.NotNegative = 0.0  # alpha of CutMix's; with both on, each pair draws one of them
    repeats: rule.Few = 1  # how often a sample appears in an epoch's batches (batch augmentation, 1901.09335)
    sampler: Literal["shuffle", "balanced", "shards"] = "shuffle"  # balanced: every class equally often
    shard_window: rule.Count = 8  # shards: so many of them are shuffled together, one window after the other

    def __post_init__(self) -> None:
        rule.check_fields(self, "augment.")


@dataclass(frozen=True)
class Recipe:
    """Everything about training that is not the network, the data or the machine. Exactly one budget is given."""

    name: str = field(metadata=rule.DESCRIBES)
    source: str = field(metadata=rule.DESCRIBES)  # paper and section
    departures: tuple[str, ...] = field(
        default=(), metadata=rule.DESCRIBES
    )  # where this differs from its source, aloud

    # budget
    epochs: rule.Epochs | None = None
    iterations: rule.Steps | None = None
    images: rule.Images | None = None
    batch_size: rule.Batch = 128  # global: over all processes and accumulation steps
    accumulate: rule.Batch = 1  # parts of a batch that go forward and backward one after the other
    early_stop: rule.Positive | None = None  # epochs without a better validation error after which training ends

    # optimiser
    optimizer: Literal["sgd", "caffe-sgd", "adamw", "muon"] = "sgd"
    lr: rule.Positive = 0.1  # at its peak
    lr_batch: rule.Batch | None = None  # the batch size `lr` is meant for; it then scales with batch_size / lr_batch
    momentum: rule.BelowOne = 0.9
    nesterov: bool = False
    betas: rule.Betas = (0.9, 0.999)  # adamw
    weight_decay: rule.NotNegative = 1e-4
    decay: Literal["all", "weights"] = "all"  # weights: convolution and FC kernels alone
    fixed_norm: bool = False  # muon: each kernel is rescaled to norm sqrt(out) before its step; needs BN behind it
    clip_norm: rule.Positive | None = None  # of the whole gradient, L2
    ema_decay: rule.Inside | None = None  # per step, of an exponential moving average of the weights
    unfreeze: rule.Rising = ()  # fractions of the budget: the head trains from 0, one more stage from each
    layer_decay: rule.UpToOne = 1.0  # rates fall towards the stem: the head has `lr`, each part before this times less
    freeze_bn: bool = False  # batch norm keeps its statistics and its gamma and beta
    freeze_bn_below: rule.Batch | None = None  # so it does where fewer pictures than this are normalised together
    probe: bool = False  # the head begins as a linear probe on the weights' features; the run is compared with that

    # learning rate
    schedule: Literal["step", "plateau", "cosine", "one-cycle", "linear", "constant"] = "step"
    milestones: rule.RisingInside = ()  # step: fractions of the budget
    gamma: rule.Positive = 0.1  # step, plateau: factor at each drop
    patience: rule.Positive = 5.0  # plateau: epochs without a better validation error before a drop
    warmup: rule.BelowOne = 0.0  # fraction of the budget during which the rate rises linearly to `lr`
    final_lr: rule.NotNegative = 0.0  # one-cycle, cosine, linear: at the end
    hold_lr: rule.Positive | None = None  # the papers' warm-up: this rate for `hold_steps` or until `hold_error`
    hold_steps: rule.StepsOrNone = 0
    hold_error: rule.Percent | None = None  # percent, training error of the running epoch
    hold_depth: rule.Depth = 0  # shallower nets do without it

    # loss
    label_smoothing: rule.BelowOne = 0.0
    class_weights: Literal["none", "balanced"] = "none"

    # pictures
    augment: Augment = field(default_factory=Augment)
    image_size: rule.Side | None = None  # None: the network's own
    small_size: rule.Side | None = None  # pictures are shrunk to this side during the first `small_part` of the budget
    small_part: rule.Share = 0.0
    input_mean: Literal["channel", "pixel"] = "channel"  # pixel: P1's mean image of the training set, no division

    # batch normalisation
    bn_batch: rule.Pair | None = None  # samples normalised together, e.g. the papers' 64 and 32 per GPU
    bn_sync: bool = False  # over all processes
    bn_statistics: Literal["moving", "exact"] = "moving"  # exact: averaged over training batches at the end

    # bookkeeping
    select: Literal["last", "best", "ema"] = "last"  # which weights are sealed; best: on validation
    best_by: Literal["error", "loss"] = "error"  # which validation is the best; of few pictures the loss tells more
    validate_every: rule.Positive = 1.0  # epochs; at the end of one, so less than 1 means each
    checkpoint_every: rule.Positive = 60.0  # seconds; also at a best validation, and at the last step
    log_gradients: bool = False  # the gradient norm of every layer, once an epoch

    def __post_init__(self) -> None:
        """Raise `UserError` naming the field and what it must be when no training can follow this."""
        budgets = {"epochs": self.epochs, "iterations": self.iterations, "images": self.images}
        given = [f"{name}={value}".removesuffix(".0") for name, value in budgets.items() if value is not None]
        if len(given) != 1:
            raise UserError(f"give exactly one of epochs, iterations, images; found {' and '.join(given) or 'none'}")
        rule.check_fields(self)
        if self.batch_size % self.accumulate:
            raise UserError(f"batch_size is {self.batch_size}; it must be a multiple of accumulate ({self.accumulate})")
        if self.select == "ema" and self.ema_decay is None:
            raise UserError("select is 'ema'; it needs ema_decay, e.g. 0.999")
        if self.fixed_norm and self.optimizer != "muon":
            raise UserError(f"fixed_norm is true; {self.optimizer} does not have it: use false, or optimizer=muon")
        if self.bn_batch is not None and self.bn_sync:
            raise UserError("bn_batch and bn_sync exclude each other; set one of them")
        object.__setattr__(self, "departures", standing(self))  # `--set` may have cured some

    def _repr_html_(self) -> str:
        from .shown import recipe_html

        return recipe_html(self)

    @property
    def peak_lr(self) -> float:
        """`lr`, scaled linearly from `lr_batch` to the batch size where that is given (1706.02677)."""
        return self.lr * self.batch_size / self.lr_batch if self.lr_batch else self.lr

    def settled(self, processes: int) -> Recipe:
        """This recipe where so many processes share each batch: `freeze_bn` says then whether batch norm stands."""
        if self.freeze_bn or self.freeze_bn_below is None:
            return self
        together = self.batch_size // self.accumulate // (1 if self.bn_sync else processes)
        return replace(self, freeze_bn=min(together, self.bn_batch or together) < self.freeze_bn_below)

    @property
    def decides_on_validation(self) -> dict[str, str]:
        """The fields through which validation decides about weights, rate or end, each with a value that does not."""
        found = {"select": self.select == "best", "schedule": self.schedule == "plateau"}
        found["early_stop"] = self.early_stop is not None
        without = {"select": "last", "schedule": "cosine", "early_stop": "null"}
        return {name: without[name] for name, decides in found.items() if decides}

    def total_steps(self, epoch_length: int) -> int:
        """Optimiser steps of the whole budget, for an epoch of `epoch_length` positions; at least 1."""
        if self.iterations is not None:
            return max(self.iterations, 1)
        images = self.images if self.images is not None else (self.epochs or 0) * epoch_length
        return max(-int(-images // self.batch_size), 1)
