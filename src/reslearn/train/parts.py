"""The pictures of a run as its network is shown them: batches to train on, and what is validated on meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor, nn

from ..data.augment.foreign import Transform, Transformed
from ..data.dataset import Dataset
from ..data.loaders import TrainLoader, fits, prepare, train_loader
from ..data.preprocess import Normalise
from ..engine.scorer import TorchScorer
from ..measure import metrics
from ..measure.evaluate import shared_scores
from ..measure.protocols import View
from ..measure.sharding import Share
from ..runtime.device import weight_type
from ..runtime.process_group import World
from ..spec.errors import UserError, some
from ..spec.recipe import Augment
from .events import Reading, Watch
from .pictures import RunPictures
from .records.run import RunRecord


@dataclass(frozen=True)
class Parts:
    """The pictures of a run, as its network is shown them."""

    loader: TrainLoader
    pictures: RunPictures
    normalise: Normalise


def check_trainable(train_data: Dataset, val_data: Dataset | None) -> None:
    """Raise `UserError` unless there are classes to tell apart, the same of both in one order: label 3 is one class."""
    if len(train_data.classes) < 2:
        names = ", ".join(train_data.classes) or "none"
        raise UserError(f"{train_data.path or 'the data'}: a classifier needs at least two classes; found {names}")
    if val_data is not None and tuple(val_data.classes) != tuple(train_data.classes):
        theirs, ours = (some(data.classes, 8) for data in (val_data, train_data))
        raise UserError(f"val_data has the classes {theirs}, train_data {ours}; give parts with the same, in one order")


def open_parts(
    record: RunRecord,
    pictures: RunPictures,
    mean_image: Tensor | None,
    world: World,
    watch: Watch | None,
    transform: Transform | None = None,
) -> Parts:
    """The endless sequence of training batches that this record describes, this process's part of it."""
    normalise = Normalise(record.preprocess, mean_image, dtype=weight_type(record.settings))
    loader = train_loader(
        pictures.train if transform is None else Transformed(pictures.train, transform),
        normalise=normalise.to(record.settings.device),
        augment=record.recipe.augment,
        batch_size=record.recipe.batch_size,
        seed=record.seed,
        world=world,
        workers=record.settings.workers,
        kind=record.settings.loader if transform is None else "streaming",  # its draws differ at every reading
        on_bad_file=record.on_bad_file,
        progress=(lambda done, total: watch(Reading(done, total))) if watch is not None and world.first else None,
    )
    return Parts(loader, pictures, normalise)


def provisional(record: RunRecord, data: Dataset, normalise: Normalise) -> Callable[[nn.Module], tuple[float, float]]:
    """Validation as it runs during training, in the training precision: net -> (loss, top-1 error in percent).

    The pictures are shared out among the processes, and every one returns the same.
    """
    labels = np.asarray(data.labels)
    share = Share.of(data)
    if fits(share.pictures, record.preprocess, Augment(), record.settings.device) and len(share.pictures):
        share = replace(share, pictures=prepare(share.pictures, record.preprocess))  # decoded once for all validations

    def validate(net: nn.Module) -> tuple[float, float]:
        settings = record.settings
        scorer = TorchScorer(net.eval(), normalise, precision=settings.autocast, device=settings.device)
        logits = shared_scores(scorer, share, [View("centre", record.preprocess)])["centre"]
        return float(metrics.loss(logits, labels)), 100 * (1 - float(metrics.accuracy(logits, labels)))

    return validate
