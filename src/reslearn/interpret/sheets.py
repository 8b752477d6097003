"""What a network's layers look like from inside: the filters of its first convolution, and the maps of one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..engine.scorer import TorchScorer
from ..nets.net import Net
from .class_maps import members_of

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MapSheet:
    """The strongest channels of one layer: their numbers, and their maps (K, h, w) in 0..1 of the strongest place."""

    layer: str
    channels: tuple[int, ...]
    of: int  # channels that the layer has
    maps: Floats


def first_filters(net: nn.Module) -> Floats:
    """(K, k, k, 3) in 0..1: the filters of the first convolution as colours; grey is 0. Of an ensemble, the first
    member's."""
    convs = [module for module in members_of(net)[0][1].modules() if isinstance(module, nn.Conv2d)]
    weight = convs[0].weight.detach().float().cpu()
    largest = weight.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12)
    colours = (weight / largest / 2 + 0.5).permute(0, 2, 3, 1)
    colours = colours if colours.shape[3] == 3 else colours.mean(3, keepdim=True).expand(-1, -1, -1, 3)
    return np.ascontiguousarray(colours.numpy())


def feature_sheets(scorer: TorchScorer, image: Tensor, *, most: int = 12) -> list[MapSheet]:
    """Of one prepared picture, uint8 (3, S, S): the stem's map (of nets that have one) and the map that each stage ends
    with, the `most` strongest channels of each, by their mean. Of an ensemble, the first member's."""
    net = members_of(scorer.net)[0][1]
    with scorer.ready():
        x = scorer.normalise(image[None].to(scorer.device)).to(memory_format=torch.channels_last)
        maps = {name: value[0].float().cpu() for name, value in net.features(x).items() if value.ndim == 4}
    return [_sheet(name, maps[name], most) for name in sheet_layers(net, list(maps))]


def sheet_layers(net: Net, names: list[str]) -> list[str]:
    """The stem and the last layer of each stage, of all `names` that have a map."""
    last = {name.rpartition(".")[0] if name.count(".") == 2 else name: name for name in names if name != "norm"}
    return list(last.values())


def _sheet(layer: str, map_: Tensor, most: int) -> MapSheet:
    positive = map_.relu()
    strongest = positive.mean((1, 2)).argsort(descending=True)[:most]
    shown = positive[strongest]
    shown = shown / shown.amax((1, 2), keepdim=True).clamp(min=1e-12)
    return MapSheet(layer, tuple(strongest.tolist()), len(map_), shown.numpy())
