"""`reslearn.save`: networks that were trained in somebody's own loop, sealed as one file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..data.memory import Subset, part
from ..data.parts.keyed import Keyed
from ..data.parts.keys import Keys
from ..data.parts.known import NOTHING, Known
from ..data.sources import open_data
from ..runtime.notes import note
from ..runtime.replacing import sealed_target
from ..spec.errors import UserError, path_text, some
from ..spec.net import NetSpec, VggSpec
from ..spec.preprocess import Preprocess
from .file import save, unwrapped
from .header import Bundle, Member

Data = Dataset | str | os.PathLike[str]


def save_networks(
    path: str | os.PathLike[str],
    net_or_nets: nn.Module | Sequence[nn.Module],
    *,
    preprocess: Preprocess,
    classes: Sequence[str] | None = None,
    weights: Sequence[float] | None = None,
    combine: Literal["softmax", "logits"] = "softmax",
    mean_image: Tensor | None = None,
    train_data: Data | None = None,
    val_data: Data | None = None,
) -> Bundle:
    """Seal a network of `create_model`, or several that answer as one, in the file `path`; returns its header.

    `preprocess` is what the network reads pictures with, `classes` are the names of its outputs in their order. Several
    networks are averaged (`combine`) with `weights`, equal ones if absent. `mean_image`, (3, S, S) float32 in 0..1,
    takes the place of the mean in `preprocess`.

    The file recognises the pictures of `train_data` as trained on and those of `val_data` as selected on: of data that
    declares splits its `train` and `val`, of other data all. Give what the weights that training began with have seen,
    too. Without `train_data` the file says that nothing is known of it, and so does every score.

    Raises `UserError` for a network that is none of this package, for anything that `load` would refuse, such as NaN
    weights, and where something is there that is no sealed file.
    """
    path = path_text(path, "save takes the path of the file that it writes, then the network")
    if not isinstance(net_or_nets, (nn.Module, Sequence)):
        raise UserError(f"save takes a network of create_model, or a list of them; found {type(net_or_nets).__name__}")
    if sealed_target(path).exists():
        note(f"replaces {path}")
    nets = [unwrapped(net) for net in ([net_or_nets] if isinstance(net_or_nets, nn.Module) else net_or_nets)]
    if not isinstance(preprocess, Preprocess):
        raise UserError(f"preprocess is {preprocess!r}; give a reslearn.Preprocess, such as Preprocess(32, 32)")
    if classes is not None and (isinstance(classes, str) or not isinstance(classes, Iterable)):
        raise UserError(f"classes is {'the text ' * isinstance(classes, str)}{classes!r}; give a list of names")
    if weights is not None and len(weights) != len(nets):
        raise UserError(f"{len(weights)} weights for {len(nets)} networks; give one each")
    members = [
        Member(_spec_of(net), "" if len(nets) == 1 else f"{i}.", 1.0 if weights is None else weights[i])
        for i, net in enumerate(nets)
    ]
    if mean_image is not None:
        mean_image = mean_image.detach().cpu().float().contiguous()
        preprocess = replace(preprocess, mean_image=hashlib.sha256(mean_image.numpy().tobytes()).hexdigest())
    bundle = Bundle(
        members=tuple(members),
        preprocess=preprocess,
        classes=None if classes is None else tuple(classes),
        combine="logits" if len(nets) == 1 else combine,
    )
    known, about = _what_was_seen(train_data, val_data, bundle.classes)
    return save(path, nets, replace(bundle, data=about), mean_image=mean_image, known=known)


def _spec_of(net: nn.Module) -> NetSpec | VggSpec:
    spec = getattr(net, "spec", None)
    if not isinstance(spec, (NetSpec, VggSpec)):
        raise UserError(
            f"a {type(net).__name__} has no spec that says how to build it again; seal what create_model made"
        )
    return spec


def _what_was_seen(
    train_data: Data | None, val_data: Data | None, classes: Sequence[str] | None
) -> tuple[Known, dict[str, Any] | None]:
    """What recognises the pictures, and what the header says of the data. Other names than its `classes` are told."""
    trained, selected = _pictures(train_data, "train"), _pictures(val_data, "val")
    for name, data in (("train_data", trained), ("val_data", selected)):
        if data is not None and classes is not None and set(data.classes) != set(classes):
            theirs, ours = some(tuple(data.classes), 4), some(tuple(classes), 4)
            note(f"{name} has the classes {theirs}, the file {ours}: `classes` are the outputs' names in their order")
    if trained is None:
        return (NOTHING if selected is None else NOTHING.with_pictures(selected=_keys(selected))), None
    about = {"path": trained.path, "fingerprint": trained.fingerprint(), "train": len(trained)}
    about |= {} if selected is None else {"val": len(selected)}
    return Known().with_pictures(_keys(trained), None if selected is None else _keys(selected)), about


def _pictures(data: Data | None, name: Literal["train", "val"]) -> Dataset | None:
    if data is None:
        return None
    dataset = open_data(data) if isinstance(data, (str, os.PathLike)) else data
    if not dataset.splits or name in dataset.splits:
        return part(dataset, name) if dataset.splits else dataset
    if name == "val":
        have = ", ".join(sorted(dataset.splits))
        raise UserError(f"val_data: {dataset.path or 'the data'} declares {have} and no val; give a part of it")
    rest = np.setdiff1d(np.arange(len(dataset)), np.concatenate(list(dataset.splits.values())))
    return Subset(dataset, rest)


def _keys(pictures: Dataset) -> Keys:
    keyed = Keyed(pictures)
    keyed.recall()
    keyed.complete()
    keyed.remember()
    return keyed.rows
