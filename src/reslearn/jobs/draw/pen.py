"""What draws the steps of a block from top to bottom, and the page that blocks are drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...report.diagram import Box, Item, Label, Look, Sign, Wire, box_width, text_width
from ...spec.net import BlockSpec
from .steps import Step
from .words import Words

PAGE, HALF = 390.0, 195.0
GAP = 9.0  # between a box and the next
LEAST = 50.0  # width of a box
LOOKS: dict[str, Look] = {"conv": "s1", "norm": "norm", "act": "act", "scale": "s3", "dropout": "note", "pool": "s2",
                          "gate": "gate"}  # fmt: skip


@dataclass(frozen=True)
class Panel:
    """One block, drawn from its own upper left corner."""

    width: float
    height: float
    items: tuple[Item, ...]


def moved(item: Item, dx: float, dy: float) -> Item:
    """The same thing elsewhere."""
    if isinstance(item, Wire):
        return replace(item, points=tuple((x + dx, y + dy) for x, y in item.points))
    return replace(item, x=item.x + dx, y=item.y + dy)


def step_width(step: Step) -> float:
    """How wide its box is, or the widest box of a gate."""
    return max(step_width(inner) for inner in step.inner) if step.inner else max(box_width(step.lines), LEAST)


@dataclass(frozen=True)
class Head:
    """What stands above a block: the network's name, which block it is, and how the network was changed."""

    name: str
    changes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As it was asked for."""
        return "+".join((self.name, *self.changes))

    def lines(self, width: float) -> tuple[str, ...]:
        """The changes in lines of a panel so wide; what is longer than a line is cut."""
        found: list[str] = []
        for change in self.changes:
            longer = f"{found[-1]}, {change}" if found else change
            if found and text_width(longer, 8) <= width - 8:
                found[-1] = longer
                continue
            while text_width(change, 8) > width - 8:
                change = change.removesuffix("…")[:-1] + "…"
            found.append(change)
        return tuple(found)


class Pen:
    """Draws chains of steps from top to bottom."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.gates: list[tuple[float, float]] = []  # where gates stand beside a chain: from, to

    def head(self, head: Head, block: BlockSpec, words: Words, width: float, form: str = "", lines: int = 0) -> float:
        """The words above a block, with room for so many `lines` of changes; returns where the block begins."""
        place = words.block.format(block.stage + 2, block.index + 1)
        self.items.append(Label(width / 2, 11, f"{form} {head.name}".strip(), size=10, bold=True))
        for number, line in enumerate((place, *head.lines(width))):
            self.items.append(Label(width / 2, 24 + 11 * number, line, size=8, muted=True))
        return 40 + 11 * max(lines, len(head.lines(width)))

    def chain(self, steps: Sequence[Step], x: float, y: float, gate_side: float) -> float:
        """The boxes of `steps` around `x`, below `y`; gates stand `gate_side` beside them. Returns where they end."""
        for step in steps:
            y = self.gate(step, x, y, gate_side) if step.inner else self.box(step, x, y)
        return y

    def box(self, step: Step, x: float, y: float) -> float:
        """One step, and the wire that leads into it."""
        self.items.append(Wire(((x, y), (x, y + GAP))))
        made = Box(
            x, y + GAP, step_width(step), step.lines, LOOKS[step.kind], step.key, step.key or " ".join(step.lines)
        )
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
        self.gates.append((y, meet))
        return meet + 5

    def room(self, top: float, bottom: float) -> tuple[float, float]:
        """The longest stretch between the two heights without a gate beside it."""
        edges = [top, *(edge for gate in self.gates for edge in gate if top <= edge <= bottom), bottom]
        return max(zip(edges[::2], edges[1::2], strict=True), key=lambda part: part[1] - part[0])
