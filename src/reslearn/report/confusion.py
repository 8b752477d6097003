"""The confusion matrix as a figure, from two classes to a thousand."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..spec.text import shown
from .ink import INK, sheet
from .values import Counts, Floats

NUMBERED = 20  # a confusion matrix of more classes shows no numbers
NAMED = 40  # of more classes, no names either
VECTOR = 60  # of more classes, one picture instead of one rectangle per cell
MAX_SQUARES = 250  # of more classes, one square stands for several


def confusion_matrix(confusion: Counts, classes: tuple[str, ...]) -> Figure:
    """Rows are truth, columns prediction. Colour follows the share of the row: blue where right, red where wrong."""
    count, classes = len(classes), tuple(map(shown, classes))
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    side = 400 if count <= 12 else 520
    with sheet(side, side) as (figure, (axes,)):
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        _cells(axes, share)
        axes.set_xlim(-0.5, count - 0.5)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.xaxis.set_label_position("top")
        axes.xaxis.tick_top()
        axes.set(xlabel="predicted", ylabel="truth")
        axes.tick_params(size=0)
        _legend(figure)
        if count <= NAMED:
            size = 8.2 if count <= NUMBERED else 6
            longest = max(len(name) for name in classes)
            turned = longest * count > 55
            short = [name if len(name) <= 18 else name[:17] + "…" for name in classes]
            axes.set_xticks(range(count), short, rotation=90 if turned else 0, fontsize=size)
            axes.set_yticks(range(count), short, fontsize=size)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        if count <= NUMBERED:
            for row, column in zip(*np.nonzero(confusion), strict=True):
                text = str(confusion[row, column])
                axes.text(column, row, text, ha="center", va="center", fontsize=8.2 if len(text) < 4 else 6.5)
        return figure


def _legend(figure: Figure) -> None:
    """What the colours say."""
    from matplotlib.patches import Patch

    shown = [
        ("val", 1.0, "right"),
        ("val", 0.3, "right, less often"),
        ("wrong", 0.05, "wrong, rarely"),
        ("wrong", 0.6, "often"),
    ]
    figure.legend(
        handles=[
            Patch(facecolor=INK[colour], alpha=opacity(np.array(share), right=colour == "val").item(), label=label)
            for colour, share, label in shown
        ],
        title="share of a row's pictures",
        title_fontsize=7.2,
        fontsize=7.2,
        loc="outside lower left",
        ncols=4,
        alignment="left",
    )


def opacity(share: Floats, *, right: bool) -> Floats:
    """How strongly a cell is coloured, by its share of the row."""
    # A single mistake among hundreds must be seen: the square root lifts small shares.
    # At most so strong that the number on it can be read, by day and by night (contrast 4.5).
    alpha = 0.12 + 0.44 * share if right else np.where(share > 0, 0.08 + 0.5 * np.sqrt(share), 0)
    return np.asarray(alpha).clip(0, 0.58)


def _cells(axes: Axes, share: Floats) -> None:
    """The coloured squares; opacity carries the value, so that they sit on any background."""
    count = len(share)
    pooled = pool(share, -(-count // MAX_SQUARES))
    side = len(pooled)
    right = np.eye(side, dtype=bool)
    alpha = np.where(right, opacity(pooled, right=True), opacity(pooled, right=False))
    if side > VECTOR:
        rgba = np.empty((side, side, 4))
        rgba[..., :3] = _rgb("wrong")
        rgba[right, :3] = _rgb("val")
        rgba[..., 3] = alpha
        axes.imshow(rgba, interpolation="none", extent=(-0.5, count - 0.5, count - 0.5, -0.5))
        return
    from matplotlib.patches import Rectangle

    gap = 0.04 if count <= NAMED else 0.0
    for row, column in zip(*np.nonzero(alpha), strict=True):
        colour = INK["val" if row == column else "wrong"]
        corner = (column - 0.5 + gap, row - 0.5 + gap)
        size = 1 - 2 * gap
        axes.add_patch(Rectangle(corner, size, size, facecolor=colour, alpha=alpha[row, column], linewidth=0))


def pool(share: Floats, factor: int) -> Floats:
    """Shrink a (C, C) matrix of row shares by `factor`: the mean on the diagonal, elsewhere the largest of a block."""
    if factor == 1:
        return share
    side = -(-len(share) // factor)
    padded = np.zeros((side * factor, side * factor))
    padded[: len(share), : len(share)] = share * ~np.eye(len(share), dtype=bool)
    blocks: Floats = padded.reshape(side, factor, side, factor).max(axis=(1, 3))
    diagonal = np.array([part.mean() for part in np.split(share.diagonal(), range(factor, len(share), factor))])
    np.fill_diagonal(blocks, diagonal)
    return blocks


def _rgb(name: str) -> tuple[float, ...]:
    return tuple(int(INK[name][i : i + 2], 16) / 255 for i in (1, 3, 5))
