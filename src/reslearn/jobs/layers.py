"""`explain RUN --layers`: responses, gradient norms, |F| / |x| and lesions of a network, on its own pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..bundle.file import Loaded
from ..data.dataset import Dataset
from ..data.loaders import eval_batches
from ..data.memory import Subset
from ..engine.scorer import TorchScorer
from ..interpret.gradients import GradientNorm, gradient_norms
from ..interpret.lesion import Lesions, lesion_study
from ..interpret.responses import Response, layer_responses
from ..interpret.signals import Branch, branch_ratios
from ..measure import metrics
from ..measure.classes import class_map
from ..measure.views import predict_logits
from ..nets.net import Net, as_net
from ..spec.errors import UserError
from ..train.records.run import read_record
from .explaining import opened
from .looked_at import spread
from .subject import open_for, run_folder, subject_of, training_of

PICTURES = 1000  # that responses and |F| / |x| are of
GRADIENTS = 128
LESIONS = 500  # scored once for each block that is removed
T = TypeVar("T")


@dataclass(frozen=True)
class Layers:
    """What the layers of one network do. Where a measurement is not defined for it, its value is None and `absent` says
    why."""

    model: Path
    sha256: str
    network: str
    data: str
    pictures: int
    responses: tuple[Response, ...] | None
    gradients: tuple[GradientNorm, ...] | None
    branches: tuple[Branch, ...] | None
    lesion: Lesions | None
    lesion_pictures: int
    absent: dict[str, str]
    page: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        lesion = self.lesion
        return {
            "model": str(self.model), "sha256": self.sha256, "network": self.network, "data": self.data,
            "pictures": self.pictures,
            "responses": None if self.responses is None else [asdict(one) for one in self.responses],
            "gradients": None if self.gradients is None else [asdict(one) for one in self.gradients],
            "branches": None if self.branches is None else [asdict(one) for one in self.branches],
            "lesion": None if lesion is None else {
                "pictures": self.lesion_pictures, "intact": lesion.intact,
                "dropped": [list(one) for one in lesion.dropped],
            },
            "absent": self.absent, "page": None if self.page is None else str(self.page),
        }  # fmt: skip


def look_at_layers(
    model: Loaded | str | os.PathLike[str],
    data: str | os.PathLike[str] | Dataset | None = None,
    *,
    split: str | None = None,
    device: str | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Layers:
    """Measure the layers of `model` on `data`, its run's own pictures unless given; a page about it goes to `out`.

    Without `split` it is `test`, or `val` of a run without one, or everything. Raises `UserError` for an ensemble, and
    where there are no pictures.
    """
    loaded = opened(model, device)
    if len(loaded.bundle.members) > 1:
        raise UserError(f"{loaded.path}: an ensemble of several networks; name the run of one of them with --layers")
    net = as_net(loaded.net, "--layers")
    pictures, what = _pictures(loaded, data, split)
    scorer = TorchScorer(net, loaded.normalise)
    labels = class_map(loaded.bundle.classes, pictures.classes, loaded.bundle.num_classes)[np.asarray(pictures.labels)]
    few = Subset(pictures, spread(len(pictures), LESIONS))
    few_labels = labels[list(spread(len(pictures), LESIONS))]
    preprocess = loaded.bundle.preprocess

    def batches() -> Iterator[Tensor]:
        return eval_batches(pictures, preprocess, batch_size=64)

    def gradients() -> list[GradientNorm]:
        some = Subset(pictures, spread(len(pictures), GRADIENTS))
        wanted = torch.from_numpy(labels[list(spread(len(pictures), GRADIENTS))])
        images = torch.cat(list(eval_batches(some, preprocess, batch_size=GRADIENTS)))
        return gradient_norms(net, scorer.normalise(images.to(scorer.device)), wanted.to(scorer.device))

    def error(changed: Net) -> float:
        logits = predict_logits(TorchScorer(changed, loaded.normalise), few, preprocess)
        return 100 * (1 - metrics.accuracy(logits, few_labels))

    absent: dict[str, str] = {}
    responses = _tried("responses", absent, lambda: tuple(layer_responses(scorer, batches())))
    branches = _tried("branches", absent, lambda: tuple(branch_ratios(scorer, batches())))
    norms = _tried("gradients", absent, lambda: tuple(gradients()))
    lesion = _tried("lesion", absent, lambda: lesion_study(net, error))
    done = Layers(
        loaded.path, loaded.bundle.sha256, net.spec.name, what, len(pictures), responses, norms, branches, lesion,
        len(few), absent, None if out is None else Path(out),
    )  # fmt: skip
    if out is not None:
        from .pages.layers import write_layers

        write_layers(out, done)
    return done


def _tried(name: str, absent: dict[str, str], measure: Callable[[], T]) -> T | None:
    try:
        return measure()
    except UserError as error:
        absent[name] = str(error)
        return None


def _pictures(loaded: Loaded, data: str | os.PathLike[str] | Dataset | None, split: str | None) -> tuple[Dataset, str]:
    """At most `PICTURES` labelled pictures, and what they are of."""
    training = training_of(loaded)
    if data is None:
        folder = run_folder(loaded)
        own = None if folder is None or not (folder / "run.json").exists() else read_record(folder).data["path"]
        if own is None:
            raise UserError(f"{loaded.path}: not in a run folder that names its pictures; name DATA after the model")
        data = own
    dataset = open_for([loaded], data)
    if split is None and training is not None and dataset.fingerprint() == training.fingerprint:
        split = None if "test" in dataset.splits else "val" if training.split.val else None
    subject = subject_of(training, dataset, split, anyway=True)
    some = Subset(subject.pictures, spread(len(subject.pictures), PICTURES))
    return some, f"{dataset.path or 'pictures given from Python'}, {subject.split}"
