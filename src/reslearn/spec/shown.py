"""Values in a notebook: a network as a table of its stages, a recipe as one of its fields."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from .codec import field_paths

if TYPE_CHECKING:
    from .net import NetSpec
    from .recipe import Recipe
    from .vgg import VggSpec


def network_html(spec: NetSpec | VggSpec) -> str:
    """Stages with their output at the network's own picture size, blocks and channels; the totals; the other fields."""
    from .cost import cost

    total = cost(spec)
    head = (
        f"<b>{html.escape(spec.name)}</b>: depth {spec.depth}, {total.parameters:,} parameters, "
        f"{total.macs / 1e9:.3g} G multiply-adds at {spec.image_size} × {spec.image_size}"
    )
    told = {"name", "stage_blocks", "stage_channels", "stage_convs"}
    fields = [(name, value) for name, value in field_paths(spec).items() if name not in told and value is not None]
    rest = "  ".join(f"{name}={value}" for name, value in fields)
    return f"{head}{_table(*_rows(spec))}<div style='opacity:.7;font-size:12px'>{html.escape(rest)}</div>"


def recipe_html(recipe: Recipe) -> str:
    """Where it is from, where it departs from that, and the fields that are not as a recipe has them by itself."""
    plain = {**field_paths(type(recipe)("", "", iterations=1)), "iterations": None}
    told = {"name", "source", "departures"}
    rows = [
        (name, str(value)) for name, value in field_paths(recipe).items() if value != plain[name] and name not in told
    ]
    departures = "".join(f"<li>{html.escape(one)}</li>" for one in recipe.departures)
    return (
        f"<b>{html.escape(recipe.name)}</b>: {html.escape(recipe.source)}{f'<ul>{departures}</ul>' * bool(departures)}"
        f"{_table(('field', 'value'), rows)}"
    )


def _rows(spec: NetSpec | VggSpec) -> tuple[Sequence[str], Iterable[Sequence[str]]]:
    if not hasattr(spec, "blocks"):
        each = zip(spec.stage_convs, spec.stage_channels, strict=True)
        return ("stage", "convolutions", "channels"), [(str(i), str(n), str(c)) for i, (n, c) in enumerate(each, 1)]
    sides, rows = spec.stage_strides, []
    for stage, blocks in groupby(spec.blocks(), key=lambda block: block.stage):
        members = list(blocks)
        convs = ", ".join(
            f"{conv.kernel}×{conv.kernel} {conv.out_channels}" + (f" C={conv.groups}" if conv.groups > 1 else "")
            for conv in members[-1].convs
        )
        side = -(-spec.image_size // sides[stage])
        first = members[0].shortcut if members[0].shortcut != members[-1].shortcut else ""
        rows.append((f"conv{stage + 2}_x", f"{side} × {side}", f"[{convs}] × {len(members)}", first))
    return ("stage", "output", "blocks", "first shortcut"), rows


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th style='text-align:left'>{html.escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
