"""One block of a network, with its layers, channels and shortcut: P1's figures 2 and 5, P2's 2 and 4, P3's 1 and 3,
P4's 3. Panels of half a page, or of a whole one where a gate or parallel paths need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...report.diagram import Box, Item, Label, Look, Scene, Sign, Wire, box_width
from ...spec.errors import UserError
from ...spec.net import BlockSpec, NetSpec, Spec
from .network import changes_shape
from .steps import Chains, Describer, Step
from .words import Words

PAGE, HALF = 390.0, 195.0
GAP = 9.0  # between a box and the next
LOOKS: dict[str, Look] = {"conv": "s1", "norm": "norm", "act": "act", "scale": "s3", "dropout": "note", "pool": "s2",
                          "gate": "gate"}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One block, drawn from its own upper left corner."""

    width: float
    height: float
    items: tuple[Item, ...]


def blocks(specs: Sequence[Spec], words: Words) -> Scene:
    """Of one network its usual block and the one that changes the shape, and of a ResNeXt the three equal forms of the
    usual one; of several networks one block each. Raises `UserError` for a net without blocks."""
    panels: list[Panel] = []
    for spec in specs:
        if not isinstance(spec, NetSpec):
            raise UserError(f"{spec.name} has no residual blocks; draw it without --block")
        panels += _panels(spec, words, alone=len(specs) == 1)
    items: list[Item] = []
    x = y = tallest = 0.0
    for panel in panels:
        if x + panel.width > PAGE + 1e-6:
            x, y, tallest = 0.0, y + tallest + 14, 0.0
        items += [_moved(item, x, y) for item in panel.items]
        x, tallest = x + panel.width, max(tallest, panel.height)
    width = PAGE if len(panels) > 1 or panels[0].width > HALF else HALF
    return Scene(width, y + tallest, ", ".join(spec.name for spec in specs), tuple(items), words.language)


def _panels(spec: NetSpec, words: Words, *, alone: bool) -> list[Panel]:
    usual, changing = chosen(spec)
    forms = (
        usual.convs[1].groups > 1 and len(usual.convs) == 3 and not usual.gate_channels
        if len(usual.convs) > 1
        else False
    )
    if not alone:
        return [split(spec, usual, words, until=3) if forms else panel(spec, usual, words)]
    found = [split(spec, usual, words, until=3), split(spec, usual, words, until=2)] if forms else []
    found.append(panel(spec, usual, words, form="(c)" if forms else ""))
    return found if changing is None else [*found, panel(spec, changing, words)]


def chosen(spec: NetSpec) -> tuple[BlockSpec, BlockSpec | None]:
    """The first block that keeps its signal's shape (in a net with gates in some blocks, one that has a gate), and the
    first behind it that changes it."""
    every = spec.blocks()
    gated = [block for block in every if block.gate_channels] or every
    kept = [block for block in gated if not changes_shape(block)]
    whole = [block for block in kept if block.norms[0] is not None]  # a pre-activation net's first block lacks its BN
    usual = (whole or kept or gated)[0]
    changed = [b for b in every if changes_shape(b) and b is not usual]
    later = [block for block in changed if block.stage > 0]
    return usual, next(iter([*later, *changed]), None)


class Pen:
    """Draws chains of steps from top to bottom."""

    def __init__(self) -> None:
        self.items: list[Item] = []

    def chain(self, steps: Sequence[Step], x: float, y: float, gate_side: float) -> float:
        """The boxes of `steps` around `x`, below `y`; gates stand `gate_side` beside them. Returns where they end."""
        for step in steps:
            y = self.gate(step, x, y, gate_side) if step.inner else self.box(step, x, y)
        return y

    def box(self, step: Step, x: float, y: float) -> float:
        """One step, and the wire that leads into it."""
        self.items.append(Wire(((x, y), (x, y + GAP))))
        width = max(box_width(step.lines), 56.0)
        made = Box(x, y + GAP, width, step.lines, LOOKS[step.kind], step.key, step.key or step.lines[0])
        self.items.append(made)
        return y + GAP + made.height

    def gate(self, step: Step, x: float, y: float, side: float) -> float:
        """A gate: its boxes beside the chain, and the × where it rescales the signal."""
        beside, split = x + side, y + 5
        self.items.append(Wire(((x, split), (beside, split), (beside, split + 3)), arrow=False))
        end = self.chain(step.inner, beside, split + 2, 0)
        meet = end + 9
        near = x + (5 if side > 0 else -5)
        self.items += [
            Wire(((x, y), (x, meet - 5))),
            Wire(((beside, end), (beside, meet), (near, meet))),
            Sign(x, meet, "×", step.key, step.key),
        ]
        return meet + 5


def panel(spec: NetSpec, block: BlockSpec, words: Words, form: str = "") -> Panel:
    """A block as its steps."""
    chains = Describer(spec, block, words).chains()
    wide = any(step.inner for step in [*chains.main, *chains.side, *chains.after])
    wide = wide or any(box_width(step.lines) > 80 for step in chains.side)
    width = PAGE if wide else HALF
    middle, side = (78.0, 322.0) if wide else (56.0, 154.0)
    if not chains.joined and not wide:
        middle = width / 2
    pen = Pen()
    y = _head(pen, spec, block, words, width, form)
    pen.items.append(Label(middle, y, f"x, {words.channels.format(block.in_channels)}", size=8))
    y = pen.chain(chains.before, middle, y + 6, 120)
    y = _ways(pen, chains, words, (middle, side), y, block)
    y = pen.chain(chains.after, middle, y, 120)
    pen.items.append(Wire(((middle, y), (middle, y + GAP + 1))))
    pen.items.append(Label(middle, y + GAP + 8, f"y, {words.channels.format(block.out_channels)}", size=8))
    return Panel(width, y + GAP + 16, tuple(pen.items))


def _head(pen: Pen, spec: NetSpec, block: BlockSpec, words: Words, width: float, form: str) -> float:
    place = words.block.format(block.stage + 2, block.index + 1)
    name = f"{form} {spec.name}".strip()
    pen.items += [Label(width / 2, 11, name, size=10, bold=True), Label(width / 2, 24, place, size=8, muted=True)]
    if spec.variant:
        pen.items.append(Label(width / 2, 35, spec.variant, size=8, muted=True))
        return 50
    return 40


def _ways(pen: Pen, chains: Chains, words: Words, at: tuple[float, float], y: float, block: BlockSpec) -> float:
    """The two ways of the signal and the + where they meet; returns where that ends."""
    middle, side = at
    if not chains.joined:
        return pen.chain(chains.main, middle, y, 120)
    split = y + 5
    pen.items.append(Wire(((middle, y), (middle, split)), arrow=False))
    end = pen.chain(chains.main, middle, split, 120)
    key = f"{block.name}.shortcut"
    title = f"{key}: {block.shortcut}"
    if chains.side:
        boxes = Pen()
        height = boxes.chain(chains.side, side, split, -120)
        top = max((end - height) / 2, 0.0)  # they stand in the middle of the way
        pen.items.append(
            Wire(((middle, split), (side, split), (side, split + top + 1)), changes_shape(block), False, key, title)
        )
        pen.items += [_moved(item, 0, top) for item in boxes.items]
        below = height + top
    else:
        below = split
        pen.items.append(Label(side - 5, (split + end) / 2, words.identity, "end", 8))
    meet = max(end, below) + 11
    pen.items.append(Wire(((middle, end), (middle, meet - 5))))
    start = ((side, below),) if chains.side else ((middle, split), (side, split))
    pen.items.append(Wire((*start, (side, meet), (middle + 5, meet)), changes_shape(block), True, key, title))
    pen.items.append(Sign(middle, meet, "+", f"{block.name}.add", words.addition))
    return meet + 5


def split(spec: NetSpec, block: BlockSpec, words: Words, *, until: int) -> Panel:
    """P3 figure 3: the grouped block as paths of their own until the third convolution (a), or until the second, whose
    outputs are then put side by side (b). Both compute what the grouped block does."""
    groups, form = block.convs[1].groups, "(a)" if until == 3 else "(b)"
    pen = Pen()
    y = _head(pen, spec, block, words, PAGE, form)
    middle, side, places = 160.0, 345.0, (50.0, 134.0, 268.0)
    pen.items.append(Label(middle, y, f"x, {words.channels.format(block.in_channels)}", size=8))
    top, end = y + 12, 0.0
    pen.items.append(Wire(((middle, y + 6), (middle, top)), arrow=False))
    for x, number in zip(places, (1, 2, groups), strict=True):
        pen.items.append(Wire(((middle, top), (x, top), (x, top + 4)), arrow=False))
        end = pen.chain(_path(block, words, number, until), x, top + 2, 0)
    pen.items.append(Label(201, (top + end) / 2, "…", size=12))
    pen.items.append(Label(201, (top + end) / 2 + 14, words.paths.format(groups), size=8))
    meet = end + 12
    for x in places:
        pen.items.append(Wire(((x, end), (x, meet), (middle + (5 if x > middle else -5), meet)), arrow=until == 3))
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


def _moved(item: Item, dx: float, dy: float) -> Item:
    if isinstance(item, Wire):
        return replace(item, points=tuple((x + dx, y + dy) for x, y in item.points))
    return replace(item, x=item.x + dx, y=item.y + dy)
