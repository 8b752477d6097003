"""What a network costs: parameters, multiply-adds and activations of every layer, by arithmetic over the expanded spec.

Conventions of the papers: "FLOPs" are multiply-adds (P1 3.3) of convolutions and FC layers; BN counts gamma and beta
but no running statistics; activations are the elements that convolutions put out. One picture; no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from .errors import UserError
from .net import BlockSpec, NetSpec, Spec
from .stem import ConvSpec
from .vgg import VggSpec


@dataclass(frozen=True)
class LayerCost:
    """One layer with weights; `name` is its place in the built network."""

    name: str
    kind: Literal["conv", "norm", "fc"]
    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    groups: int
    output_size: int  # side of its output map in pixels; 1 for an FC layer
    parameters: int
    macs: int
    activations: int  # elements of its output


@dataclass(frozen=True)
class Cost:
    """All layers in the order in which a picture meets them, a block's shortcut last."""

    layers: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        """Trained numbers, all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions and FC layers, for one picture."""
        return sum(layer.macs for layer in self.layers)

    @property
    def activations(self) -> int:
        """Elements that all convolutions put out, for one picture."""
        return sum(layer.activations for layer in self.layers if layer.kind == "conv")


def cost(spec: Spec, image_size: int | None = None) -> Cost:
    """The cost of a square picture of `image_size` pixels a side (None: the spec's own)."""
    size = spec.image_size if image_size is None else image_size
    if size < 1:
        raise UserError(f"image_size is {size}; it must be at least 1 pixel")
    return Cost(tuple(_vgg(spec, size) if isinstance(spec, VggSpec) else _residual(spec, size)))


def _residual(spec: NetSpec, size: int) -> Iterator[LayerCost]:
    stem = spec.resolved_stem
    *lead, last = stem.convs
    for number, conv in enumerate(lead, 1):
        yield (layer := _conv(f"stem.lead.conv{number}", conv, size))
        size = layer.output_size
        yield _norm(f"stem.lead.norm{number}", conv.out_channels, size)
    yield (layer := _conv("stem.conv", last, size))
    size = _strided(layer.output_size, last.pool)
    if stem.norms[-1]:
        yield _norm("stem.norm", last.out_channels, size)
    size = _strided(size, 2) if stem.window else size
    for block in spec.blocks():
        yield from _block(block, size)
        size = _strided(size, block.stride)
    channels = spec.stage_channels[-1]
    if spec.activation == "pre":
        yield _norm("norm", channels, size)
    yield _fc("head.fc", channels, spec.num_classes)


def _block(block: BlockSpec, size: int) -> Iterator[LayerCost]:
    inner = size
    for number, (conv, norm) in enumerate(zip(block.convs, block.norms, strict=True), 1):
        layer = _conv(f"{block.name}.conv{number}", conv, inner)
        if block.activation == "pre" and norm:
            yield _norm(f"{block.name}.norm{number}", norm, inner)
        yield layer
        inner = _strided(layer.output_size, conv.pool)
        if block.activation == "post" and norm:
            yield _norm(f"{block.name}.norm{number}", norm, inner)
    if block.gate_channels:
        gated, hidden = block.gated_channels or block.out_channels, block.gate_channels
        for name, channels, out in (("fc1", gated, hidden), ("fc2", hidden, gated)):
            fc = _fc(f"{block.name}.gate.{name}", channels, out, bias=block.gate_bias)
            yield replace(fc, macs=fc.macs * inner**2) if block.gate_everywhere else fc
    if block.shortcut == "projection":
        yield _conv(f"{block.name}.shortcut.conv", block.projection, _strided(size, block.projection.pool))
        if block.projection_norm:
            yield _norm(f"{block.name}.shortcut.norm", block.out_channels, inner)


def _vgg(spec: VggSpec, size: int) -> Iterator[LayerCost]:
    for s, stage in enumerate(spec.convs()):
        for i, (in_channels, out_channels) in enumerate(stage):
            yield _conv(f"stages.{s}.{i}.conv", ConvSpec(in_channels, out_channels, 3), size, bias=True)
            if spec.batch_norm:
                yield _norm(f"stages.{s}.{i}.norm", out_channels, size)
        size //= 2
    if size < 1:
        raise UserError(
            f"image_size is too small for {spec.name}; it must be at least {2 ** len(spec.stage_convs)} pixels"
        )
    *hidden, last = spec.fc_layers()
    for number, (in_features, out_features) in enumerate(hidden, 1):
        yield _fc(f"head.fc{number}", in_features, out_features)
    yield _fc("head.fc", *last)


def _conv(name: str, conv: ConvSpec, size: int, *, bias: bool = False) -> LayerCost:
    out = _strided(size, conv.stride)
    weights = conv.out_channels * (conv.in_channels // conv.groups) * conv.kernel**2
    return LayerCost(
        name,
        "conv",
        conv.in_channels,
        conv.out_channels,
        conv.kernel,
        conv.stride,
        conv.groups,
        output_size=out,
        parameters=weights + (conv.out_channels if bias else 0),
        macs=weights * out**2,
        activations=conv.out_channels * out**2,
    )


def _norm(name: str, channels: int, size: int) -> LayerCost:
    return LayerCost(name, "norm", channels, channels, 1, 1, 1, size, 2 * channels, 0, channels * size**2)


def _fc(name: str, in_features: int, out_features: int, *, bias: bool = True) -> LayerCost:
    macs = in_features * out_features
    parameters = macs + (out_features if bias else 0)
    return LayerCost(name, "fc", in_features, out_features, 1, 1, 1, 1, parameters, macs, out_features)


def _strided(size: int, stride: int) -> int:
    """Side of the map after a stride: every kernel here is padded so that only the stride shrinks it."""
    return -(-size // stride)
