"""P3's figure 3: a block of grouped convolutions as paths of their own."""

from __future__ import annotations

from ...report.diagram import Label, Sign, Wire
from ...spec.net import BlockSpec
from .network import changes_shape
from .pen import PAGE, Head, Panel, Pen
from .steps import Step
from .words import Words


def split(block: BlockSpec, head: Head, words: Words, *, until: int) -> Panel:
    """P3 figure 3: the grouped block as paths of their own until the third convolution (a), or until the second, whose
    outputs are then put side by side (b). Both compute what the grouped block does."""
    groups, form = block.convs[1].groups, "(a)" if until == 3 else "(b)"
    pen = Pen()
    y = pen.head(head, block, words, PAGE, form)
    middle, side, places = 160.0, 345.0, (50.0, 134.0, 268.0) if groups > 2 else (50.0, 268.0)
    numbers = (1, 2, groups) if groups > 2 else (1, 2)
    pen.items.append(Label(middle, y, f"x, {words.channels.format(block.in_channels)}", size=8))
    top, end = y + 12, 0.0
    pen.items.append(Wire(((middle, y + 6), (middle, top)), arrow=False))
    for x, number in zip(places, numbers, strict=True):
        pen.items.append(Wire(((middle, top), (x, top), (x, top + 4)), arrow=False))
        end = pen.chain(_path(block, words, number, until), x, top + 2, 0)
    if groups > 2:
        pen.items.append(Label(201, (top + end) / 2, "…", size=12))
        pen.items.append(Label(201, (top + end) / 2 + 14, words.paths.format(groups), size=8))
    meet = end + 12
    reach = 5 if until == 3 else 0  # to the edge of the sum's circle, or to the wire that leads on
    for x in places:
        to = middle + (reach if x > middle else -reach)
        pen.items.append(Wire(((x, end), (x, meet), (to, meet)), arrow=until == 3))
    if until == 3:
        pen.items.append(Sign(middle, meet, "+", f"{block.name}.paths", words.sum))
        y = meet + 5
    else:
        y = pen.box(
            Step("scale", (f"{words.concatenate}, {block.convs[1].out_channels}",), f"{block.name}.paths"), middle, meet
        )
        last = block.convs[2]
        y = pen.box(Step("conv", (f"1×1 {words.conv}, {last.out_channels}",), f"{block.name}.conv3"), middle, y)
    join = y + 12
    pen.items.append(Wire(((middle, y), (middle, join - 5))))
    key, title = f"{block.name}.shortcut", f"{block.name}.shortcut: {block.shortcut}"
    points = ((middle, top), (side, top), (side, join), (middle + 5, join))
    pen.items.append(Wire(points, changes_shape(block), True, key, title))
    pen.items.append(Label(side - 5, (top + join) / 2, words.identity, "end", 8))
    pen.items.append(Sign(middle, join, "+", f"{block.name}.add", words.addition))
    pen.items.append(Wire(((middle, join + 5), (middle, join + 15))))
    pen.items.append(Label(middle, join + 22, f"y, {words.channels.format(block.out_channels)}", size=8))
    return Panel(PAGE, join + 30, tuple(pen.items))


def _path(block: BlockSpec, words: Words, number: int, until: int) -> list[Step]:
    """The convolutions of one path: its share of the first two, and all outputs of the third."""
    groups = block.convs[1].groups
    found = []
    for place, conv in enumerate(block.convs[:until], 1):
        out = conv.out_channels if place == 3 else conv.out_channels // groups
        text = f"{conv.kernel}×{conv.kernel} {words.conv}, {out}"
        found.append(Step("conv", (text,), f"{block.name}.conv{place}:{number}/{groups}"))
    return found
