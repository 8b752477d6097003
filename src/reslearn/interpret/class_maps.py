"""Which places of a picture speak for a class: CAM (1512.04150), Grad-CAM (1610.02391), occlusion (1311.2901).

A map is signed, in the pixels of the prepared picture: above 0 a place speaks for the class. Where a network ends in a
mean and one linear layer, CAM and Grad-CAM at the last map are the same, what each place adds to the class's logit:
over the places of the last map it sums to the logit without its bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..bundle.combine import CombinedNet
from ..engine.program import class_layer
from ..engine.scorer import TorchScorer, at_once
from ..nets.net import Net, as_net
from ..spec.choices import MapMethod
from ..spec.errors import UserError, check_choice
from ..spec.vgg import VggSpec
from .map_layers import found_layer, is_read_by_head, map_layers, only_for
from .signals import hooked

BATCH = 32  # pictures of up to 256 pixels whose maps are made at once
Maker = Callable[[Net, Tensor, Tensor], Tensor]  # network, normalised (B, 3, S, S), classes (B,) -> (B, h, w)


@dataclass(frozen=True)
class MapPlan:
    """How maps of one model are made: `makers` and `layers` one for each member, with the members' weights."""

    method: MapMethod
    members: tuple[Net, ...]
    weights: tuple[float, ...]  # they sum to 1
    layers: tuple[str, ...]  # where each member's map comes from; `input` for those that look at the picture itself
    makers: tuple[Maker, ...]


def map_plan(net: nn.Module, size: int, *, method: MapMethod | None = None, layer: str | None = None) -> MapPlan:
    """How to explain pictures of `size` pixels: by `method` at `layer`.

    Without a method it is CAM where every member ends in a mean and one linear layer, else Grad-CAM. Raises `UserError`
    for a layer that a member has not, for a head that CAM does not fit, and where captum is needed and not installed.
    """
    if method is not None:
        check_choice("--method", method, get_args(MapMethod))
    weighted = members_of(net)
    members = tuple(member for _, member in weighted)
    chosen = method or ("gradcam" if layer else "cam" if all(has_cam(one, size) for one in members) else "gradcam")
    only_for(chosen, layer)
    layers = tuple(_layer(member, chosen, layer, size) for member in members)
    makers = tuple(_maker(chosen, at) for at in layers)
    return MapPlan(chosen, members, tuple(weight for weight, _ in weighted), layers, makers)


def members_of(net: nn.Module) -> list[tuple[float, Net]]:
    """The networks that answer as one, with their weights; a network on its own has weight 1."""
    if not isinstance(net, CombinedNet):
        return [(1.0, as_net(net, "explain"))]
    pairs = zip(net.weights, net.members, strict=True)
    return [(weight, as_net(member, "explain")) for weight, member in pairs if weight > 0]


def has_cam(net: Net, size: int) -> bool:
    """Whether a network has a class map of more than one place for pictures of `size` pixels."""
    try:
        _check_cam(net, size)
    except UserError:
        return False
    return True


def class_maps(scorer: TorchScorer, plan: MapPlan, images: Tensor, classes: Tensor) -> Tensor:
    """Maps (B, S, S) float32 on the CPU of `classes` (B,) int64, for prepared pictures, uint8 (B, 3, S, S).

    Every member's map is brought to the picture's size; the map of several is their mean by weight.
    """
    step = at_once(BATCH, *images.shape[2:])
    parts = []
    with with_gradients(scorer):
        for some, wanted in zip(torch.split(images, step), torch.split(classes, step), strict=True):
            x = scorer.normalise(some.to(scorer.device)).contiguous()
            total = torch.zeros(len(x), *x.shape[2:], dtype=torch.float64)
            for weight, net, maker in zip(plan.weights, plan.members, plan.makers, strict=True):
                own = maker(net, x, wanted.to(scorer.device)).detach().double().cpu()
                total += weight * enlarged(own, x.shape[2], x.shape[3])
            parts.append(total.float())
    return torch.cat(parts)


@contextmanager
def with_gradients(scorer: TorchScorer) -> Iterator[None]:
    """The network as it scores, on its device and in evaluation mode, but with gradients."""
    with scorer.ready(), torch.inference_mode(False), torch.enable_grad():
        yield


def enlarged(maps: Tensor, height: int, width: int) -> Tensor:
    """(B, h, w) -> (B, height, width), linear between the middles of places."""
    return F.interpolate(maps[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]


def cam(net: Net, x: Tensor, classes: Tensor) -> Tensor:
    """(B, h, w): w_c . A(place) / places, with A the last map and w_c the class's row of the linear layer."""
    with torch.no_grad():
        last = net.stage_maps(x)[-1]
        rows = class_layer(net).weight[classes]
        return torch.einsum("bchw,bc->bhw", last, rows) / (last.shape[2] * last.shape[3])


def gradcam(net: Net, x: Tensor, classes: Tensor, layer: str) -> Tensor:
    """(B, h, w): the map A of `layer`, its channels weighted by the mean over places of d logit / d A. Grad-CAM's ReLU
    is left to who shows it."""
    if is_read_by_head(net, layer):  # no need to go back through the body
        with torch.no_grad():
            map_ = net.stage_maps(x)[-1]
        map_.requires_grad_()
        logits: Tensor = net.head(map_)
    else:
        kept: list[Tensor] = []
        with hooked([(net.get_submodule(layer), lambda _, __, output: kept.append(output))]):
            logits = net(x.detach().requires_grad_())
        [map_] = kept
    [gradient] = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), map_)
    return (gradient.mean((2, 3), keepdim=True) * map_.detach()).sum(1)


def occlusion(net: Net, x: Tensor, classes: Tensor) -> Tensor:
    """(B, S, S): how far the logit falls, on the mean over the windows that cover a pixel, when a window is painted in
    the mean colour. Windows are a quarter of the picture's side, half a window apart."""
    size = x.shape[-1]
    window, stride = windows(size)
    total, covered = x.new_zeros(len(x), *x.shape[2:]), x.new_zeros(*x.shape[2:])
    with torch.no_grad():
        before = net(x).gather(1, classes[:, None])[:, 0]
        for top in range(0, size - window + stride, stride):
            for left in range(0, size - window + stride, stride):
                place = slice(top, top + window), slice(left, left + window)
                hidden = x.clone()
                hidden[:, :, *place] = 0  # what is normalised to 0 is the mean
                total[:, *place] += (before - net(hidden).gather(1, classes[:, None])[:, 0])[:, None, None]
                covered[place] += 1
    return total / covered


def windows(size: int) -> tuple[int, int]:
    """Side and distance of the windows that hide parts of a picture of `size` pixels."""
    return max(size // 4, 1), max(size // 8, 1)


def grain(plan: MapPlan, scorer: TorchScorer, size: int) -> int:
    """Places a side that a map of `plan` really has: what random maps to compare it with are made of."""
    if plan.method == "occlusion":
        return max(size // windows(size)[1] - 1, 1)
    if plan.method not in ("cam", "gradcam"):
        return size
    sides: list[int] = []
    hooks = [] if plan.method == "cam" else [
        (net.get_submodule(at), lambda _, __, output: sides.append(output.shape[-1]))
        for net, at in zip(plan.members, plan.layers, strict=True) if not is_read_by_head(net, at)
    ]  # fmt: skip
    with scorer.ready(), hooked(hooks):
        for net, at in zip(plan.members, plan.layers, strict=True):
            one = scorer.normalise(torch.zeros(1, 3, size, size, dtype=torch.uint8).to(scorer.device))
            last = net.stage_maps(one)[-1]
            sides += [last.shape[-1]] if plan.method == "cam" or is_read_by_head(net, at) else []
    return max(sides)


def _check_cam(net: Net, size: int) -> None:
    try:
        class_layer(net)
    except UserError as error:
        raise UserError(f"--method cam: {error}; use --method gradcam") from None
    stride = net.spec.stage_strides[-1]
    places = size // stride if isinstance(net.spec, VggSpec) else -(-size // stride)
    if places <= 1:
        raise UserError(
            f"--method cam: at {size} x {size} pixels the last map of {net.spec.name} is one place, which says nothing "
            "of where; use --method gradcam"
        )


def _layer(net: Net, method: MapMethod, layer: str | None, size: int) -> str:
    if method == "cam":
        _check_cam(net, size)
        last = len(net.spec.stage_strides) - 1
        return f"stages.{last}" if isinstance(net.spec, VggSpec) else map_layers(net.spec)[-1]
    return found_layer(net, layer, size) if method == "gradcam" else "input"


def _maker(method: MapMethod, layer: str) -> Maker:
    if method == "cam":
        return cam
    if method == "gradcam":
        return lambda net, x, classes: gradcam(net, x, classes, layer)
    if method == "occlusion":
        return occlusion
    from .attributions import guided, integrated_gradients

    return guided if method == "guided" else integrated_gradients
