"""One block of a network, with its layers, channels and shortcut: P1's figures 2 and 5, P2's 2 and 4, P4's 3; of a
ResNeXt all forms of P3's figure 3. Panels of half a page, or of a whole one where parallel paths need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ...report.diagram import Item, Label, Scene, Sign, Wire
from ...spec.errors import UserError
from ...spec.net import BlockSpec, NetSpec, Spec
from .network import changes_shape
from .paths import split
from .pen import GAP, HALF, PAGE, Head, Panel, Pen, moved, step_width
from .steps import Chains, Describer, Step
from .words import Words

BETWEEN = 14.0  # one row of panels and the next


def blocks(specs: Sequence[Spec], heads: Sequence[Head], words: Words) -> Scene:
    """Of one network its usual block and the one that changes the shape, and of a ResNeXt the three equal forms of the
    usual one; of several networks one block each. Raises `UserError` for a net without blocks."""
    panels: list[Panel] = []
    lines = max(len(head.lines(HALF)) for head in heads)  # so that neighbours begin at one height
    for spec, head in zip(specs, heads, strict=True):
        if not isinstance(spec, NetSpec):
            raise UserError(f"{spec.name} has no residual blocks; draw it without --block")
        panels += _panels(spec, head, words, lines=lines, alone=len(specs) == 1)
    width = PAGE if len(panels) > 1 or panels[0].width > HALF else HALF
    items: list[Item] = []
    y = -BETWEEN
    for row in _rows(panels):
        y, x = y + BETWEEN, (width - sum(panel.width for panel in row)) / 2
        for panel in row:
            items += [moved(item, x, y) for item in panel.items]
            x += panel.width
        y += max(panel.height for panel in row)
    return Scene(width, y, ", ".join(head.text for head in heads), tuple(items), words.language)


def _rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """The panels in rows of a page's width."""
    rows: list[list[Panel]] = []
    for wide, run in groupby(panels, key=lambda panel: panel.width > HALF):
        found = list(run)
        step = 1 if wide else 2
        rows += [found[i : i + step] for i in range(0, len(found), step)]
    return rows


def _panels(spec: NetSpec, head: Head, words: Words, *, lines: int, alone: bool) -> list[Panel]:
    usual, changing = chosen(spec)
    grouped = len(usual.convs) == 3 and usual.convs[1].groups > 1
    forms = grouped and not usual.gate_channels and usual.shortcut == "identity"
    if not alone:
        found = split(usual, head, words, until=3) if forms else panel(spec, usual, head, words, lines=lines)
        return [found]
    paths = [split(usual, head, words, until=3), split(usual, head, words, until=2)] if forms else []
    whole = panel(spec, usual, head, words, lines=lines, form="(c)" if forms else "")
    rest = [] if changing is None else [panel(spec, changing, head, words, lines=lines)]
    return [*paths, whole, *rest]


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


@dataclass(frozen=True)
class Places:
    """Where in a panel its chains stand, and how wide it is for that."""

    width: float
    middle: float
    side: float
    gate: float


def _places(chains: Chains) -> Places:
    """From left to right the layers, gates beside them, the shortcut; all in the middle of half a page, if it holds
    them."""
    layers = [step for step in [*chains.before, *chains.main, *chains.after] if not step.inner]
    gates = [step for step in [*chains.before, *chains.main, *chains.side, *chains.after] if step.inner]
    main, gate, side = (_half(steps) for steps in (layers, gates, [step for step in chains.side if not step.inner]))
    beside = main + 5 + gate if gates else 0.0  # from the layers' middle to the gate's
    if not chains.joined:
        way, right = 0.0, max(main, beside + gate)
    else:
        way = max(beside + gate + 7, main + 8 + side, 98.0 if not gates else 0.0)
        right = way + max(side, 5.0)
    width = HALF if main + right <= HALF - 4 else PAGE
    middle = (width - main - right) / 2 + main
    return Places(width, middle, middle + way, middle + beside)


def _half(steps: Sequence[Step]) -> float:
    """Half of what the widest of the boxes needs."""
    return max((step_width(step) for step in steps), default=0.0) / 2


def panel(spec: NetSpec, block: BlockSpec, head: Head, words: Words, *, lines: int = 0, form: str = "") -> Panel:
    """A block as its steps."""
    chains = Describer(spec, block, words).chains()
    at = _places(chains)
    pen, beside = Pen(), at.gate - at.middle
    y = pen.head(head, block, words, at.width, form, lines)
    pen.items.append(Label(at.middle, y, f"x, {words.channels.format(block.in_channels)}", size=8))
    y = pen.chain(chains.before, at.middle, y + 6, beside)
    y = _ways(pen, chains, words, at, y, block) if chains.joined else pen.chain(chains.main, at.middle, y, beside)
    y = pen.chain(chains.after, at.middle, y, beside)
    pen.items.append(Wire(((at.middle, y), (at.middle, y + GAP + 1))))
    pen.items.append(Label(at.middle, y + GAP + 8, f"y, {words.channels.format(block.out_channels)}", size=8))
    return Panel(at.width, y + GAP + 16, tuple(pen.items))


def _ways(pen: Pen, chains: Chains, words: Words, at: Places, y: float, block: BlockSpec) -> float:
    """The two ways of the signal and the + where they meet; returns where that ends."""
    middle, side, split_at = at.middle, at.side, y + 5
    pen.items.append(Wire(((middle, y), (middle, split_at)), arrow=False))
    end = pen.chain(chains.main, middle, split_at, at.gate - middle)
    free, until = pen.room(split_at, end)  # what stands on the shortcut keeps clear of gates
    key = f"{block.name}.shortcut"
    title, dotted = f"{key}: {block.shortcut}", changes_shape(block)
    below = split_at
    if chains.side:
        boxes = Pen()
        height = boxes.chain(chains.side, side, free, at.gate - side) - free
        down = max((until - free - height) / 2, 0.0)
        start = ((middle, split_at), (side, split_at), (side, free + down + 1))
        pen.items.append(Wire(start, dotted, False, key, title))
        pen.items += [moved(item, 0, down) for item in boxes.items]
        below = free + down + height
    else:
        pen.items.append(Label(side - 5, (free + until) / 2, words.identity, "end", 8))
    meet = max(end, below) + 11
    pen.items.append(Wire(((middle, end), (middle, meet - 5))))
    begun = ((side, below),) if chains.side else ((middle, split_at), (side, split_at))
    pen.items.append(Wire((*begun, (side, meet), (middle + 5, meet)), dotted, True, key, title))
    pen.items.append(Sign(middle, meet, "+", f"{block.name}.add", words.addition))
    return meet + 5
