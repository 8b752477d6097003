"""One training batch, what both loaders are, and the last steps that they share: augment, normalise, mix, erase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ...spec.recipe import Augment
from ..augment.augment import augment_batch
from ..augment.mixing import erase, mix
from ..dataset import Indices
from ..preprocess import Normalise
from .sampling import EndlessOrder


@dataclass(frozen=True)
class Batch:
    """What the network trains on in one step, this rank's part.

    With MixUp or CutMix, `partner` holds the other picture's label and `share` the weight of a picture's own label:
    loss = share * CE(labels) + (1 - share) * CE(partner). Both are None otherwise.
    """

    images: Tensor  # float32 unless asked else, (b, 3, S, S), normalised, on the device
    labels: Tensor  # int64 (b,)
    positions: Indices  # int64 (b,), places in the endless sequence
    samples: Indices  # int64 (b,), indices into the training set
    partner: Tensor | None = None  # int64 (b,)
    share: Tensor | None = None  # (b,), of the images' type


@dataclass(frozen=True)
class Finisher:
    """From raw uint8 pictures of one size to a `Batch`; a pure function of positions, samples and epochs."""

    normalise: Normalise
    augment: Augment
    seed: int

    @property
    def device(self) -> torch.device:
        """Where batches are finished: where `normalise` lies."""
        return self.normalise.scale.device

    def __call__(self, images: Tensor, labels: Indices, positions: Indices, samples: Indices, epochs: Indices) -> Batch:
        """uint8 (b, 3, S, S) on the device to the batch the network sees."""
        augment = self.augment
        images = augment_batch(images, positions, augment=augment, seed=self.seed, samples=samples, epochs=epochs)
        x = self.normalise(images)
        y = torch.from_numpy(labels).to(x.device, non_blocking=True)
        partner = share = None
        if augment.mixup > 0 or augment.cutmix > 0:
            x, share = mix(x, positions, augment=augment, seed=self.seed)
            partner = y.view(-1, 2).flip(1).reshape(-1)
        if augment.erase > 0:
            x = erase(x, positions, probability=augment.erase, seed=self.seed)
        return Batch(x, y, positions, samples, partner, share)


class TrainLoader:
    """The endless sequence of training batches, this rank's part of it."""

    kind: Literal["resident", "streaming"]

    def __init__(self, sequence: EndlessOrder, finish: Finisher) -> None:
        self._sequence, self._finish = sequence, finish
        self.epoch_length = sequence.epoch_length  # M: positions in one epoch
        self.steps_per_epoch = -(-self.epoch_length // sequence.batch_size)  # until each of them was seen
        self.skipped: dict[str, str] = {}  # identity -> why another picture took its place

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps start ... stop - 1."""
        raise NotImplementedError
