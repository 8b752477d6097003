"""Networks as tables for people, in the manner of Table 1 of arXiv 1512.03385."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..spec.cost import Cost, cost
from ..spec.net import BlockSpec, NetSpec, Spec, spec_to_json
from ..spec.stem import ConvSpec
from ..spec.text import shown
from ..spec.vgg import VggSpec
from .output import put, put_renderable

Row = tuple[str, str, str]  # layer name, output size, what it is


def print_catalogue(specs: list[Spec]) -> None:
    """One line per network: depth, parameters, multiply-adds at its own picture size."""
    table = Table("model", box=box.SIMPLE_HEAD)
    for title in ("depth", "parameters", "multiply-adds", "picture"):
        table.add_column(title, justify="right", no_wrap=True)
    for spec in specs:
        counted = cost(spec)
        table.add_row(spec.name, str(spec.depth), f"{counted.parameters:,}", _giga(counted.macs), str(spec.image_size))
    put_renderable(table)


def print_network(spec: Spec, counted: Cost, size: int) -> None:
    """Stages with output sizes and blocks, the totals, and every field of the spec."""
    table = Table("layer", "output", escape(shown(spec.name)), box=box.SIMPLE_HEAD)
    for row in _vgg_rows(spec, size) if isinstance(spec, VggSpec) else _residual_rows(spec, counted):
        table.add_row(*row)
    put_renderable(table)
    put(
        f"depth {spec.depth}, parameters {counted.parameters:,}, multiply-adds {_giga(counted.macs)}, "
        f"activations {counted.activations:,}, picture {size}x{size}"
    )
    fields = {key: value for key, value in spec_to_json(spec).items() if key not in ("kind", "name")}
    text = "  ".join(f"{key}={_plain(value)}" for key, value in fields.items())
    put_renderable(Text(shown(text)), style="dim")


def _residual_rows(spec: NetSpec, counted: Cost) -> Iterator[Row]:
    sizes = {layer.name: layer.output_size for layer in counted.layers}
    stem = spec.resolved_stem
    yield "conv1", _square(sizes["stem.conv"]), "\n".join(_conv(conv) for conv in stem.convs)
    if (side := stem.window or stem.convs[-1].pool) > 1:
        yield "", _square(-(-sizes["stem.conv"] // 2)), f"{side}x{side} max-pool, stride 2"
    for stage, blocks in groupby(spec.blocks(), key=lambda block: block.stage):
        members = list(blocks)
        last = members[-1]
        side = sizes[f"{last.name}.conv{len(last.convs)}"]
        yield f"conv{stage + 2}_x", _square(side), _stage(members)
    yield "", "1x1", f"global average pool, {spec.num_classes}-d FC"


def _stage(blocks: list[BlockSpec]) -> str:
    """The blocks in brackets, as the paper draws them, and what happens on the shortcuts."""
    first, usual = blocks[0], blocks[-1]
    lines = [_conv(conv, stride=False) for conv in usual.convs]
    if usual.gate_channels:
        lines.append(f"SE, {usual.gate_channels}")
    width = max(map(len, lines))
    rows = [f"\\[{line:<{width}}]" for line in lines]
    rows[len(rows) // 2] += f" x {len(blocks)}"
    notes = []
    if first.stride > 1:
        pool = first.convs[0].pool
        notes.append(f"{pool}x{pool} max-pool" if pool > 1 else f"stride {first.stride}")
    if first.shortcut != usual.shortcut:
        notes.append(f"first shortcut: {first.shortcut}")
    if notes:
        rows[-1] += "  " + ", ".join(notes)
    return "\n".join(rows)


def _conv(conv: ConvSpec, *, stride: bool = True) -> str:
    text = f"{conv.kernel}x{conv.kernel}, {conv.out_channels}"
    if conv.groups > 1:
        text += f", C={conv.groups}"
    if conv.dilation > 1:
        text += f", dilation {conv.dilation}"
    return text + (f", stride {conv.stride}" if stride and conv.stride > 1 else "")


def _vgg_rows(spec: VggSpec, size: int) -> Iterator[Row]:
    for number, (count, channels) in enumerate(zip(spec.stage_convs, spec.stage_channels, strict=True), 1):
        size //= 2
        norm = ", BN" if spec.batch_norm else ""
        yield f"conv{number}_x", _square(size), f"\\[3x3, {channels}{norm}] x {count}, 2x2 max-pool"
    *hidden, last = spec.fc_layers()
    pool = "average pool to 7x7" if hidden else "global average pool"
    yield "", "1x1", ", ".join([pool, *(f"{out}-d FC" for _, out in [*hidden, last])])


def _square(side: int) -> str:
    return f"{side}x{side}"


def _giga(macs: int) -> str:
    return f"{macs / 1e9:.2f} G" if macs >= 1e9 else f"{macs / 1e6:.1f} M"


def _plain(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
