"""How good is a network? Logits of every picture once, in fp32 unless told otherwise, then float64 arithmetic on them.

pictures = the split that is asked for
labels   = the pictures' classes, carried over to the network's by name
logits   = net(normalise(resize(picture))) of each, gathered by picture
numbers  = metrics of (logits, labels)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.dataset import Dataset, Indices
from ..data.loaders import eval_batches
from ..data.memory import part
from ..data.sources import open_data
from ..runtime.settings import Precision
from ..spec.errors import UserError, check_choice
from ..spec.preprocess import Preprocess
from . import metrics
from .classes import class_map

Logits = NDArray[np.float32]


class Header(Protocol):
    """The part of a sealed file's header that evaluation reads."""

    @property
    def preprocess(self) -> Preprocess: ...
    @property
    def classes(self) -> tuple[str, ...] | None: ...
    @property
    def num_classes(self) -> int: ...


class Sealed(Protocol):
    """What `reslearn.load` returns, as far as evaluation is concerned."""

    @property
    def net(self) -> nn.Module: ...
    @property
    def bundle(self) -> Header: ...
    @property
    def mean_image(self) -> Tensor | None: ...


@dataclass(frozen=True)
class Evaluation:
    """Scores of one network on one set of pictures, and what they belong to. Errors are in percent."""

    images: int
    top1: float
    top5: float | None  # None under 6 classes
    top1_error: float
    top5_error: float | None
    loss: float  # mean cross-entropy in nats
    top1_interval: tuple[float, float]  # 95 %, Wilson
    protocol: str
    precision: Precision
    preprocess_hash: str
    logits: Logits  # (N, C)
    labels: Indices  # (N,) in the network's classes

    def to_json(self) -> dict[str, Any]:
        """Every number, without the logits."""
        value = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("logits", "labels")}
        return value | {"top1_interval": list(self.top1_interval)}


def evaluate(
    loaded: Sealed,
    data: Dataset | str | os.PathLike[str],
    *,
    split: str | None = None,
    protocol: str = "1-crop",
    precision: Precision = "fp32",
    batch_size: int = 256,
    device: str = "cpu",
    workers: int = 0,
) -> Evaluation:
    """Score a loaded model on `data`, or on the part of it named `split`.

    Without `split`: `test` where the data declares one, all of it where it declares none. Raises `UserError` for data
    that declares other splits only, is empty, or has a class that the model does not know.
    """
    check_choice("protocol", protocol, ("1-crop",))
    pictures = chosen_part(data if not isinstance(data, (str, os.PathLike)) else open_data(data), split)
    to_model = class_map(loaded.bundle.classes, pictures.classes, loaded.bundle.num_classes)
    logits, labels = predict_logits(
        loaded.net,
        pictures,
        loaded.bundle.preprocess,
        precision=precision,
        batch_size=batch_size,
        device=device,
        workers=workers,
        mean_image=loaded.mean_image,
    )
    return score(logits, to_model[labels], loaded.bundle.preprocess, protocol=protocol, precision=precision)


def evaluate_net(
    net: nn.Module, dataset: Dataset, preprocess: Preprocess, *, precision: Precision = "fp32", device: str = "cpu"
) -> Evaluation:
    """1-crop scores of a network whose classes are the data's own, as training ends with."""
    logits, labels = predict_logits(net, dataset, preprocess, precision=precision, device=device)
    return score(logits, labels, preprocess, precision=precision)


def chosen_part(data: Dataset, split: str | None) -> Dataset:
    """The pictures that `split` means; without one, `test`, or the whole of data that declares no splits."""
    if split is None and data.splits and "test" not in data.splits:
        have = ", ".join(sorted(data.splits))
        raise UserError(f"{data.path or 'the data'}: it declares {have} and no test; name one with --split")
    return part(data, "test" if split is None and data.splits else split)


def predict_logits(
    net: nn.Module,
    dataset: Dataset,
    preprocess: Preprocess,
    *,
    precision: Precision = "fp32",
    batch_size: int = 256,
    device: str = "cpu",
    workers: int = 0,
    mean_image: Tensor | None = None,
) -> tuple[Logits, Indices]:
    """Logits (N, C) float32 and labels (N,) of every picture once, in the data's order whatever order they come in."""
    if len(dataset) == 0:
        raise UserError(f"{dataset.path or 'the data'}: no pictures to evaluate")
    rows: list[Logits] = []
    places: list[Indices] = []
    with evaluating(net, precision, device):
        for indices, images, _ in eval_batches(
            dataset,
            preprocess=preprocess,
            batch_size=batch_size,
            device=device,
            workers=workers,
            mean_image=mean_image,
        ):
            rows.append(net(images.to(memory_format=torch.channels_last)).float().cpu().numpy())
            places.append(indices)
    return gather(rows, places, len(dataset)), np.asarray(dataset.labels)


def gather(rows: list[Logits], places: list[Indices], count: int) -> Logits:
    """Put batches of rows back into the data's order; every picture must be there exactly once."""
    at = np.concatenate(places)
    if not np.array_equal(np.sort(at), np.arange(count)):
        raise RuntimeError(f"{len(at)} predictions of {count} pictures: each must be predicted once")
    values = np.concatenate(rows)
    gathered = np.empty_like(values)
    gathered[at] = values
    return gathered


def score(
    logits: Logits, labels: Indices, preprocess: Preprocess, *, protocol: str = "1-crop", precision: Precision = "fp32"
) -> Evaluation:
    """The numbers of one set of predictions."""
    place = metrics.ranks(logits, labels)
    images, right1, right5 = len(labels), int((place < 1).sum()), int((place < 5).sum())
    has_top5 = logits.shape[1] > 5
    return Evaluation(
        images=images,
        top1=right1 / images,
        top5=right5 / images if has_top5 else None,
        top1_error=100 * (images - right1) / images,
        top5_error=100 * (images - right5) / images if has_top5 else None,
        loss=float(metrics.losses(logits, labels).mean()),
        top1_interval=metrics.wilson_interval(right1, images),
        protocol=protocol,
        precision=precision,
        preprocess_hash=preprocess.hash(),
        logits=logits,
        labels=labels,
    )


@contextlib.contextmanager
def evaluating(net: nn.Module, precision: Precision, device: str) -> Iterator[None]:
    """Evaluation mode without gradients, under `precision`: fp32 means fp32, with no TF32 inside. Restored after."""
    check_choice("precision", precision, ("fp32", "bf16", "fp16"))
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    modes = [(module, module.training) for module in net.modules()]
    matmul, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    try:
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        net.to(device).eval()
        with torch.inference_mode(), torch.autocast(torch.device(device).type, dtype, enabled=precision != "fp32"):
            yield
    finally:
        for module, training in modes:
            module.training = training
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = tf32
