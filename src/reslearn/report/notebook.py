"""Figures and numbers in a notebook's cell: they take the notebook's own colours, light or dark."""

from __future__ import annotations

import html
from collections.abc import Iterable

from matplotlib.figure import Figure

from .ink import INK, PIXELS, to_page_svg

# No grey can be read on white and on black: what is muted is the notebook's own colour, let through in part.
_MUTED = "color-mix(in srgb,currentColor 72%,transparent)"
_COLOURS = INK | {"ink": "currentColor", "muted": _MUTED, "line": "rgba(128,128,128,.35)"}
STYLE = ";".join(f"--{name}:{colour}" for name, colour in _COLOURS.items())  # of whatever holds a figure


def cell(headline: str, facts: Iterable[tuple[str, str]] = (), figures: Iterable[tuple[str, Figure]] = ()) -> str:
    """HTML of a cell: a line in bold, facts as (name, value), and figures with their titles side by side."""
    rows = "".join(
        f'<tr><td style="text-align:left;opacity:.7">{html.escape(name)}</td>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for name, value in facts
    )
    drawn = "".join(
        f'<div style="flex:1 1 300px;min-width:0;max-width:{max(440, round(0.9 * PIXELS * figure.get_figwidth()))}px">'
        f"{to_page_svg(figure, title)}</div>"
        for title, figure in figures
    )
    return (
        f'<div style="{STYLE}"><b>{html.escape(headline)}</b><table>{rows}</table>'
        f'<div style="display:flex;flex-wrap:wrap;gap:16px">{drawn}</div></div>'
    )
