"""Networks side by side, layer by layer, in the manner of P1's figure 3: one column each, maps of one size level."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from ...report.diagram import Box, Item, Label, Look, Scene, Wire, box_width, text_width
from ...spec.cost import LayerCost, cost
from ...spec.net import BlockSpec, NetSpec, Spec
from ...spec.stem import ConvSpec
from ...spec.vgg import VggSpec
from .pen import Head
from .words import Words, conv_text

PITCH, HEIGHT = 22.0, 15.0  # from one box to the next, and its own
FEW = 12  # equal blocks in a row that are all drawn; of more, the first two
WIDEST = 140.0  # column that the words above it may ask for
BULGE = 15.0  # how far a shortcut leaves its column
LOOKS: tuple[Look, ...] = ("s1", "s2", "s3", "s4", "s5")


@dataclass(frozen=True)
class Layer:
    """One box of a column."""

    text: str
    size: int  # side of the map that it gives
    key: str  # where it stands in the net, such as `stages.0.1.conv2`
    title: str
    look: Look = "s0"
    block: BlockSpec | None = None  # whose layer it is
    ends: bool = False  # the last layer of its block


def networks(specs: Sequence[Spec], heads: Sequence[Head], words: Words) -> Scene:
    """The drawing of one or more networks."""
    columns = [list(layers(spec, words)) for spec in specs]
    sizes = sorted({layer.size for column in columns for layer in column}, reverse=True)
    columns = [[_coloured(layer, sizes) for layer in column] for column in columns]
    rows = {size: max(sum(layer.size == size for layer in column) for column in columns) for size in sizes}
    width = max(
        box_width([layer.text for column in columns for layer in column]),
        *(text_width(head.name, 10) for head in heads),
        *(min(text_width(change, 8) + 8, WIDEST) for head in heads for change in head.changes),
    )
    tops, y = {}, 42.0 + 11 * max(len(head.lines(width)) for head in heads)
    for size in sizes:
        tops[size] = y
        y += rows[size] * PITCH + 7
    margin = max(text_width(words.size, 8), 16) + 8
    pitch = width + BULGE + 9
    items: list[Item] = [Label(margin / 2, tops[sizes[0]] - 12, words.size, size=8, muted=True)]
    for size in sizes:
        items.append(Label(margin / 2, tops[size] + HEIGHT / 2, str(size), size=8, muted=True))
    for number, (spec, head, column) in enumerate(zip(specs, heads, columns, strict=True)):
        middle = margin + number * pitch + width / 2
        items += [Label(middle, 12, head.name, size=10, bold=True), Label(middle, 25, _summary(spec, words), size=8)]
        lines = enumerate(head.lines(width))
        items += [Label(middle, 36 + 11 * line, text, size=8, muted=True) for line, text in lines]
        items += _column(column, middle, width, tops)
    total = margin + len(specs) * pitch + 2
    if any(isinstance(item, Wire) and item.dotted for item in items):
        items.append(Label(total / 2, y + 5, words.dotted, size=8, muted=True))
        y += 14
    return Scene(total, y + 4, ", ".join(head.text for head in heads), tuple(items), words.language)


def _coloured(layer: Layer, sizes: Sequence[int]) -> Layer:
    """Convolutions of one size of map in one colour, whatever their network."""
    return replace(layer, look=LOOKS[sizes.index(layer.size) % 5]) if layer.look == "s1" else layer


def _summary(spec: Spec, words: Words) -> str:
    macs = cost(spec).macs
    return f"{words.layers.format(spec.depth)}, " + (
        f"{macs / 1e9:.1f} GMACs" if macs >= 1e9 else f"{macs / 1e6:.0f} MMACs"
    )


def layers(spec: Spec, words: Words) -> Iterator[Layer]:
    """The boxes of a network's column, from the picture to the classes."""
    side = spec.image_size
    yield Layer(words.image, side, "", f"{words.image}, {side}×{side}×{spec.in_channels}", "paper")
    yield from _vgg(spec, words) if isinstance(spec, VggSpec) else _residual(spec, words)


def _vgg(spec: VggSpec, words: Words) -> Iterator[Layer]:
    counted = {layer.name: layer for layer in cost(spec).layers}
    size = spec.image_size
    for stage, convs in enumerate(spec.convs()):
        for index, (_, channels) in enumerate(convs):
            key = f"stages.{stage}.{index}.conv"
            size = counted[key].output_size
            yield Layer(f"3×3 {words.conv}, {channels}", size, key, key, "s1")
        size //= 2
        yield Layer(f"{words.max_pool}, /2", size, "", words.max_pool, "paper")
    for layer in cost(spec).layers:
        if layer.kind == "fc":
            yield Layer(f"{words.fc} {layer.out_channels}", 1, layer.name, layer.name)


def _residual(spec: NetSpec, words: Words) -> Iterator[Layer]:
    counted = {layer.name: layer for layer in cost(spec).layers}
    stem = spec.resolved_stem
    names = [f"stem.lead.conv{i}" for i in range(1, len(stem.convs))] + ["stem.conv"]
    for name, conv in zip(names, stem.convs, strict=True):
        size = counted[name].output_size
        yield Layer(conv_text(words, conv), size, name, name, "s1")
    if stem.window or stem.convs[-1].pool > 1:
        size = -(-size // 2)
        yield Layer(f"{words.max_pool}, /2", size, "", words.max_pool, "paper")
    for _, equal in groupby(spec.blocks(), key=lambda block: (block.stage, _shape(block))):
        run = list(equal)
        drawn = run if len(run) <= FEW else run[:2]
        for block in drawn:
            made = list(_block(block, counted, words, spec.variant, size))
            yield from made
            size = made[-1].size
        if left := run[len(drawn) :]:
            size = counted[f"{left[0].name}.conv1"].output_size
            place = f"{left[0].name}...{left[-1].name}"
            yield Layer(words.more.format(len(left)), size, place, place, "note")
    yield Layer(words.global_pool, 1, "", words.global_pool, "paper")
    yield Layer(f"{words.fc} {spec.num_classes}", 1, "head.fc", "head.fc")


def _shape(block: BlockSpec) -> str:
    """What makes two blocks of a stage equal."""
    return f"{[vars(conv) for conv in block.convs]} {block.shortcut} {block.gate_channels}"


def _block(
    block: BlockSpec, counted: dict[str, LayerCost], words: Words, variant: str | None, size: int
) -> Iterator[Layer]:
    """The block's layers; maps of `size` come into it."""
    found = []
    for number, conv in enumerate(block.convs, 1):
        name = f"{block.name}.conv{number}"
        text, title = conv_text(words, conv), _title(name, conv, words)
        found.append(Layer(text, counted[name].output_size, name, title, "s1", block))
    after: list[Layer] = []
    if block.gate_channels:
        text, key = f"{words.gate}, {block.gate_channels}", f"{block.name}.gate"
        gate = Layer(text, found[-1].size, key, key, "gate", block)
        if variant == "se_pre":
            found.insert(0, replace(gate, size=size))
        elif variant == "se_3x3":
            found.insert(len(found) - 1, gate)
        elif variant == "se_post":
            after = [replace(gate, block=None)]  # behind the addition
        elif variant != "se_identity":  # there it stands on the shortcut
            found.append(gate)
    yield from (*found[:-1], replace(found[-1], ends=True), *after)


def _title(name: str, conv: ConvSpec, words: Words) -> str:
    grouped = f", {words.groups.format(conv.groups)}" if conv.groups > 1 else ""
    return f"{name}: {conv.in_channels} → {conv.out_channels}{grouped}"


def _column(column: Sequence[Layer], middle: float, width: float, tops: dict[int, float]) -> Iterator[Item]:
    seen: dict[int, int] = {}
    places = []
    for layer in column:
        places.append(tops[layer.size] + seen.get(layer.size, 0) * PITCH)
        seen[layer.size] = seen.get(layer.size, 0) + 1
    for i in range(len(column) - 1):
        yield Wire(((middle, places[i] + HEIGHT), (middle, places[i + 1])))
    start = 0
    for i, (layer, y) in enumerate(zip(column, places, strict=True)):
        if layer.block is None:
            start = i
        elif layer.ends:
            if layer.block.shortcut != "none":
                yield _shortcut(layer.block, middle, width, places[start] + HEIGHT, y + HEIGHT)
            start = i
        yield Box(middle, y, width, (layer.text,), layer.look, layer.key, layer.title)


def changes_shape(block: BlockSpec) -> bool:
    """Whether a block's output has another shape than its input: where the papers draw a dotted shortcut."""
    return block.stride != 1 or block.in_channels != block.out_channels


def _shortcut(block: BlockSpec, middle: float, width: float, top: float, bottom: float) -> Wire:
    """From the wire above a block's first layer to the wire below its last one."""
    right = middle + width / 2 + BULGE
    leave, arrive = top + (PITCH - HEIGHT) * 0.35, bottom + (PITCH - HEIGHT) * 0.35
    points = ((middle, leave), (right, leave), (right, arrive), (middle, arrive))
    title = f"{block.name}.shortcut: {block.shortcut}, {block.in_channels} → {block.out_channels}"
    return Wire(points, changes_shape(block), key=f"{block.name}.shortcut", title=title)
