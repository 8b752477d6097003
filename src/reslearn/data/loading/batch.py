"""One training batch, and the last steps that both loaders share: augment, normalise, mix, erase."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...spec.recipe import Augment
from ..augment.augment import augment_batch
from ..augment.mixing import erase, mix
from ..dataset import Indices
from ..preprocess import Normalise


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
    device: str

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
