"""From a name or a spec to a network or a backbone."""

from __future__ import annotations

import os
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..runtime.addresses import spelled
from ..runtime.notes import note_once
from ..spec.catalogue import get_spec
from ..spec.choices import Prefer
from ..spec.errors import UserError
from ..spec.net import Spec, VggSpec
from ..spec.published import best_known, named_weights
from .resnet import ResNet
from .state_files import Contents
from .variants import build_variant
from .vgg import Vgg
from .weights import Fitted, adapted_spec, fit_contents, load_weights


def create_model(
    name_or_spec: str | Spec,
    num_classes: int | None = None,
    weights: str | os.PathLike[str] | None = None,
    *,
    prefer: Prefer | None = None,
    **changed_fields: Any,
) -> nn.Module:
    """The network of that name or spec, in training mode, with `.spec`; also under `torch.device("meta")`.

    `changed_fields` replace fields of the spec (`shortcut="A"`). `weights` is a file of ours or of another package
    (`nets.weights`), an address (`runtime.addresses`), or "default", the best that is known by name; its head is
    dropped where the class count differs. `prefer` ("plain" or "ema") chooses where it holds plain and averaged
    weights; without it the plain ones are taken. What was chosen, changed or left out is said on standard error.
    Raises `UserError` for unknown names and fields, for values that no network has, and for weights that do not fit.
    """
    if num_classes is not None:
        changed_fields["num_classes"] = num_classes
    net = _built(get_spec(name_or_spec, **changed_fields))
    if weights is not None:
        named = named_weights(spelled(weights), cast(Spec, net.spec))
        if named != spelled(weights):
            note_once(f"{weights}: {named}, {best_known(named)}")
        for note in load_weights(net, named, prefer=prefer).notes:
            note_once(f"{named}: {note}")
    return net


def model_from_contents(
    name_or_spec: str | Spec, contents: Contents, *, prefer: Prefer | None = None, **changed_fields: Any
) -> tuple[nn.Module, Fitted]:
    """The network exactly as a file holds it, its class count and input channels included, and how it was read."""
    with torch.device("meta"):
        skeleton = create_model(name_or_spec, **changed_fields)
    net = create_model(adapted_spec(contents, skeleton, prefer))
    fitted = fit_contents(contents, net, prefer=prefer)
    net.load_state_dict({**net.state_dict(), **fitted.state})
    return net, fitted


def _built(spec: Spec) -> nn.Module:
    """The network of a spec. Raises `UserError` for one that no memory holds."""
    try:
        return _of_its_kind(spec)
    except (RuntimeError, MemoryError, OverflowError, TypeError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"network {spec.name}: it cannot be built here ({reason:.200}); choose a smaller one") from None


def _of_its_kind(spec: Spec) -> nn.Module:
    """The network of a spec, its `variant` honoured."""
    if isinstance(spec, VggSpec):
        if spec.variant is not None:
            raise UserError(f"{spec.name}: a VGG has no variants; found {spec.variant!r}")
        return Vgg(spec)
    return ResNet(spec) if spec.variant is None else build_variant(spec, spec.variant)


class Backbone(nn.Module):
    """A network without its head: (B, C, H, W) -> one map per stage, shallow to deep.

    `channels` and `strides` (input pixels per map pixel) of each map are known without running it. The last map of a
    pre-activation net has had the closing BN-ReLU; a VGG's maps have been pooled.
    """

    def __init__(self, net: ResNet | Vgg):
        super().__init__()
        self.spec = net.spec
        self.channels = net.spec.stage_channels
        self.strides = net.spec.stage_strides
        net.head = None  # type: ignore[assignment]
        self.net = net

    def forward(self, x: Tensor) -> list[Tensor]:
        return self.net.stage_maps(x)


def create_backbone(
    name_or_spec: str | Spec, weights: str | os.PathLike[str] | None = None, **changed_fields: Any
) -> Backbone:
    """`create_model` without the head. `output_stride=16` or 8 keeps the last maps large, for dense tasks."""
    return Backbone(cast(ResNet, create_model(name_or_spec, weights=weights, **changed_fields)))
