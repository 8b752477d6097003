"""From a name or a spec to a network."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from torch import nn

from ..spec.catalogue import get_spec
from ..spec.errors import UserError
from ..spec.net import Spec, VggSpec
from .resnet import ResNet
from .vgg import Vgg

Build = Callable[[Any], nn.Module]


def build_net(spec: Spec) -> nn.Module:
    """The network of a spec that needs no variant."""
    if spec.variant is not None:
        raise UserError(
            f"{spec.name} needs the variant {spec.variant!r}, an ablation of a paper: use `reslearn paper run`"
        )
    return Vgg(spec) if isinstance(spec, VggSpec) else ResNet(spec)


def create_model(
    name_or_spec: str | Spec,
    num_classes: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    *,
    build: Build | None = None,
    **changed_fields: Any,
) -> nn.Module:
    """The network of that name or spec, in training mode, with `.spec`; also under `torch.device("meta")`.

    `changed_fields` replace fields of the spec (`shortcut="A"`). `weights` is a file that `nets.weights` reads; its
    head is dropped where the class count differs. `build` makes the net of a spec whose `variant` is set.
    Raises `UserError` for unknown names and fields, for values no network has, and for weights that do not fit.
    """
    if num_classes is not None:
        changed_fields["num_classes"] = num_classes
    spec = get_spec(name_or_spec, **changed_fields)
    net = (build or build_net)(spec)
    return net
