"""How every figure looks: its colours, its type, its sheet, and the way into a page.

Figures are drawn in the colours of `INK`; inside a page each colour becomes a CSS variable, so light and dark need no
second drawing.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .fonts import find_letters, quietly

# CSS variable -> the colour used in files (and in the drawing, before a page replaces it).
INK = {
    "ink": "#1c1f23",
    "muted": "#69707a",
    "line": "#e1e4e8",
    "train": "#8b95a5",
    "val": "#0a66c8",
    "wrong": "#cf3f2b",
    "third": "#267d51",
    "fourth": "#8a5cc2",
}
PIXELS = 100  # per inch: figure sizes are CSS pixels / 100
WIDE = 460  # CSS pixels of a figure, beyond which its words would be too small on a phone

STYLE: Any = {  # matplotlib types its keys one by one
    "text.parse_math": False,  # a class named $x$ is no formula
    "svg.fonttype": "none",
    "svg.hashsalt": "reslearn",
    "figure.dpi": PIXELS,
    "font.family": ["DejaVu Sans"],
    "font.size": 8.2,  # points; 11.4 CSS pixels
    "text.color": INK["ink"],
    "axes.edgecolor": INK["line"],
    "axes.labelcolor": INK["muted"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": INK["line"],
    "grid.linewidth": 0.8,
    "xtick.color": INK["line"],
    "ytick.color": INK["line"],
    "xtick.labelcolor": INK["muted"],
    "ytick.labelcolor": INK["muted"],
    "ytick.major.size": 0,
    "xtick.major.size": 3,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.handlelength": 1.1,
    "legend.borderpad": 0,
    "legend.columnspacing": 1.2,
}


@contextmanager
def sheet(
    width: int, height: int, columns: int = 1, rows: int = 1, *, page: bool = False, **rest: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """A transparent figure of `width` x `height` CSS pixels in the house style, and its panels, row by row. Letters
    that the house's font lacks are looked for on this machine, but not for a `page` alone: there the browser does."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width / PIXELS, height / PIXELS), layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots(rows, columns, squeeze=False, **rest)
        for panel in axes.flat:
            panel.patch.set_alpha(0)
        yield figure, list(axes.flat)
        if not page:
            find_letters(figure)


def to_inline_svg(figure: Figure, title: str) -> str:
    """An `<svg>` element for an HTML page: scales with its box, follows the page's colours and fonts."""
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE), quietly():
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>\s*", "", text, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r'<g id="[^"]*">', "<g>", text)  # ids of groups would repeat from figure to figure
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    for name, colour in INK.items():
        text = text.replace(colour, f"var(--{name})")
    width = round(1.2 * figure.get_figwidth() * PIXELS)  # a little larger where there is room
    opening, _, body = text.partition(">")
    kept = re.findall(r'(?:xmlns(?::\w+)?|viewBox)="[^"]*"', opening)
    label = html.escape(title)
    head = f'<svg class="figure" role="img" aria-label="{label}" style="max-width:{width}px" {" ".join(kept)}>'
    return head + body.strip()


def to_page_svg(figure: Figure, title: str) -> str:
    """The same for a page of ours, where a wide figure is scrolled on a phone, not shrunk (`style.css`)."""
    svg, width = to_inline_svg(figure, title), figure.get_figwidth() * PIXELS
    if width <= WIDE:
        return svg
    least = f"min-width:{round(0.85 * width)}px;max-width:"
    return f'<div class="scroll drawn" style="overflow-x:auto">{svg.replace("max-width:", least, 1)}</div>'
