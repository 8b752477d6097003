"""How good is a network? Every picture is scored once, in fp32 unless told otherwise; the rest is float64 arithmetic.

pictures = the split that is asked for
labels   = the pictures' classes, carried over to the network's by name
logits   = net(normalise(resize(picture))) of each view, averaged as the protocol says
numbers  = metrics of (logits, labels)
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..data.dataset import Dataset, Indices
from ..data.loaders import eval_batches
from ..data.memory import part
from ..data.parts.known import Recogniser
from ..data.sources import open_data
from ..measure import metrics
from ..runtime.inference import device_of, evaluating
from ..runtime.process_group import joined
from ..runtime.settings import Precision
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from ..spec.seen import Seen
from .classes import class_map
from .kept import Kept
from .lookout import Lookout
from .protocols import View, parse_protocol
from .sealed import Sealed, check_width
from .sharding import Share, gather, gather_processes
from .views import combine_views, mean_for, score_views

Logits = NDArray[np.float32]


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
    top5_interval: tuple[float, float] | None
    protocol: str
    cost: float  # forward multiply-adds, in 1-crops
    precision: Precision
    preprocess_hash: str
    selected_on_test: bool  # something of the model was chosen by looking at test pictures
    seen: Seen  # of these pictures, by the model
    kept: bool  # nothing was scored anew, all came from the cache
    logits: Logits  # (N, C)
    labels: Indices  # (N,) in the network's classes

    def to_json(self) -> dict[str, Any]:
        """Every number, without the logits."""
        names = [name for name in self.__dataclass_fields__ if name not in ("kept", "logits", "labels")]
        values = {name: getattr(self, name) for name in names}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
        return plain | {"seen": self.seen.to_json()}


def evaluate(
    loaded: Sealed,
    data: Dataset | str | os.PathLike[str],
    *,
    split: str | None = None,
    protocol: str = "1-crop",
    precision: Precision = "fp32",
    cache: str | os.PathLike[str] | None = None,
    batch_size: int = 256,
    device: str | None = None,
    workers: int = 0,
    lookout: Lookout | None = None,
    recogniser: Recogniser | None = None,
) -> Evaluation:
    """Score a loaded model on `data`, or on the part of it named `split`.

    Without `split`: `test` where the data declares one, all of it where it declares none. `protocol` is a text of
    `protocols.py`; `cache` a folder where scores are kept and found again; `device` is where the network is unless
    given. `lookout` watches exactly these pictures, where more than this score depends on what was seen of them, and
    `recogniser` knows more of what this model has seen than its file. Inside a process group the pictures are shared
    out and every process returns the same. Raises `UserError` for data that declares other splits only, is empty, or
    has a class that the model does not know, for a `batch_size` below 1, where the network answers with what are no
    numbers, and what the lookout's rule raises.
    """
    if batch_size < 1:
        raise UserError(f"the batch size is {batch_size}; give --batch-size a number of at least 1")
    check_width(loaded.net, precision)
    pictures = chosen_part(open_data(data) if isinstance(data, (str, os.PathLike)) else data, split)
    to_model = class_map(loaded.bundle.classes, pictures.classes, loaded.bundle.num_classes)
    plan = parse_protocol(protocol, loaded.bundle.preprocess)
    options: dict[str, Any] = {"batch_size": batch_size, "device": device or device_of(loaded.net), "workers": workers}
    recogniser = recogniser or loaded.known
    lookout = lookout or Lookout(pictures, [recogniser])
    lookout.before()
    scores, kept = view_scores(loaded, lookout, plan.views, plan.preprocess, precision, cache, **options)
    logits = combine_views([scores[view.name] for view in plan.views], plan.average)
    metrics.check_answers(logits, precision)
    lookout.after()
    return score(
        logits,
        to_model[pictures.labels],
        plan.preprocess,
        protocol=plan.name,
        cost=plan.cost(loaded.bundle.preprocess.size),
        precision=precision,
        selected_on_test=(loaded.bundle.data or {}).get("selected_on") == "test",
        seen=lookout.seen(recogniser),
        kept=kept,
    )


def evaluate_net(
    net: nn.Module,
    dataset: Dataset,
    preprocess: Preprocess,
    *,
    precision: Precision = "fp32",
    device: str | None = None,
    workers: int = 0,
    mean_image: Tensor | None = None,
) -> Evaluation:
    """1-crop scores of a network whose classes are the data's own, as training ends with; shared out as `evaluate`."""
    options: dict[str, Any] = {"device": device, "workers": workers, "mean_image": mean_image}
    logits = shared_logits(net, Share.of(dataset), preprocess, precision=precision, **options)
    return score(logits, np.asarray(dataset.labels), preprocess, precision=precision)


def chosen_part(data: Dataset, split: str | None) -> Dataset:
    """The pictures that `split` means; without one, `test`, or the whole of data that declares no splits: its `all`."""
    if split is not None and not data.splits:
        if split == "all":
            return data
        where = data.path or "DATA"
        raise UserError(
            f"{data.path or 'the data'}: it declares no splits, so there is no '{split}'; make some with "
            f"`reslearn data split {where} --ratio 8:1:1`, or take all its pictures with --split all"
        )
    if split is None and data.splits and "test" not in data.splits:
        have = ", ".join(sorted(data.splits))
        raise UserError(f"{data.path or 'the data'}: it declares {have} and no test; name one with --split")
    return part(data, "test" if split is None and data.splits else split)


def view_scores(
    loaded: Sealed,
    lookout: Lookout,
    views: tuple[View, ...],
    preprocess: Preprocess,
    precision: Precision,
    cache: str | os.PathLike[str] | None,
    **options: Any,
) -> tuple[dict[str, Logits], bool]:
    """The scores of each view, from `cache` where they are there, else computed by all processes and put there.

    Also whether all were there.
    """
    world, pictures = joined(), lookout.pictures
    kept = Kept(cache, loaded, pictures, preprocess, precision) if cache and world.first else None
    scores = world.tell(kept.read(views) if kept else {})  # all must agree on what is missing
    missing = [view for view in views if view.name not in scores]
    if not missing:
        return scores, True
    options |= {"mean_image": loaded.mean_image}
    share = Share.of(pictures)
    if [view.name for view in missing] == ["centre"]:  # as training ends with, to the last bit
        options["mean_image"] = mean_for(loaded.mean_image, preprocess.size, preprocess.size)
        found = {"centre": shared_logits(loaded.net, share, preprocess, precision=precision, **options)}
    else:
        found = {view.name: np.empty((0, loaded.bundle.num_classes), np.float32) for view in missing}
        if len(share.places):
            with evaluating(loaded.net, precision, options["device"]):
                found = score_views(loaded.net, share.pictures, missing, size=loaded.bundle.preprocess.size, **options)
        found = {name: gather_processes(share, rows) for name, rows in found.items()}
    if kept:
        lookout.writes(lambda: kept.add(missing, found))
    return scores | found, False


def predict_logits(
    net: nn.Module,
    dataset: Dataset,
    preprocess: Preprocess,
    *,
    precision: Precision = "fp32",
    batch_size: int = 256,
    device: str | None = None,
    workers: int = 0,
    mean_image: Tensor | None = None,
) -> tuple[Logits, Indices]:
    """Logits (N, C) float32 and labels (N,) of every picture once, in the data's order whatever order they come in."""
    if len(dataset) == 0:
        raise UserError(f"{dataset.path or 'the data'}: no pictures to evaluate")
    rows: list[Logits] = []
    places: list[Indices] = []
    device = device or device_of(net)
    batches = eval_batches(
        dataset,
        preprocess=preprocess,
        batch_size=batch_size,
        device=device,
        workers=workers,
        mean_image=mean_image,
        dtype=next((p.dtype for p in net.parameters()), torch.float32),
    )
    with evaluating(net, precision, device):
        for indices, images, _ in batches:
            rows.append(net(images.to(memory_format=torch.channels_last)).float().cpu().numpy())
            places.append(indices)
    return gather(rows, places, len(dataset)), np.asarray(dataset.labels)


def shared_logits(net: nn.Module, share: Share, preprocess: Preprocess, **options: Any) -> Logits:
    """`predict_logits` of all pictures, of which this process reads its `share`; every process returns all rows."""
    rows = np.empty((0, 0), np.float32)
    if len(share.places):  # fewer pictures than processes leave some without
        rows = predict_logits(net, share.pictures, preprocess, **options)[0]
    return gather_processes(share, rows)


def score(
    logits: Logits,
    labels: Indices,
    preprocess: Preprocess,
    *,
    protocol: str = "1-crop",
    cost: float = 1.0,
    precision: Precision = "fp32",
    selected_on_test: bool = False,
    seen: Seen = Seen(),  # noqa: B008 - a frozen value
    kept: bool = False,
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
        loss=metrics.loss(logits, labels),
        top1_interval=metrics.wilson_interval(right1, images),
        top5_interval=metrics.wilson_interval(right5, images) if has_top5 else None,
        protocol=protocol,
        cost=cost,
        precision=precision,
        preprocess_hash=preprocess.hash(),
        selected_on_test=selected_on_test,
        seen=seen,
        kept=kept,
        logits=logits,
        labels=labels,
    )
