"""The page of `explain --layers`: a figure and a table of each measurement."""

from __future__ import annotations

import os
from collections.abc import Iterable

from matplotlib.figure import Figure

from ...report.explained import ExplainPage, bars_figure, render_explained
from ...report.values import Fact, Grid, Table
from ...runtime.environment import command_line, environment
from ...runtime.replacing import write_page
from ...spec.text import counted
from ..layers import Layers
from .tables import environment_table

CALLED = {"responses": "Layer responses", "gradients": "Gradient norms", "branches": "|F| / |x|", "lesion": "Lesions"}


def write_layers(path: str | os.PathLike[str], done: Layers) -> None:
    """Write the page to `path`, where nothing is or another page of ours."""
    write_page(path, render_explained(layers_page(done)))


def layers_page(done: Layers) -> ExplainPage:
    """What the page shows, as plain values."""
    return ExplainPage(
        name=f"{done.network}: what its layers do",
        summary=f"{done.model} on {done.data}: {counted(done.pictures, 'picture')}",
        facts=tuple(_facts(done)),
        figures=tuple(_figures(done)),
        figures_note="Every layer in its order. " + " ".join(
            f"{CALLED[name]}: not here, {reason}." for name, reason in done.absent.items()
        ),
        grids=tuple(_grids(done)),
        command=command_line(),
        tables=(
            Table(title="Sealed file", rows=(("path", str(done.model)), ("sha256", done.sha256))),
            environment_table(environment()),
        ),
    )  # fmt: skip


def _facts(done: Layers) -> Iterable[Fact]:
    if done.responses:
        mean = sum(one.std for one in done.responses) / len(done.responses)
        yield Fact(label="mean response", value=f"{mean:.3f}", note=f"standard deviation, {len(done.responses)} layers")
    if done.branches:
        mean = sum(one.ratio for one in done.branches) / len(done.branches)
        yield Fact(
            label="mean |F| / |x|",
            value=f"{mean:.3f}",
            note=f"{counted(len(done.branches), 'block')} with identity shortcuts",
        )
    if done.lesion is not None and done.lesion.dropped:
        name, worst = max(done.lesion.dropped, key=lambda one: one[1])
        yield Fact(
            label="right, intact",
            value=f"{100 - done.lesion.intact:.1f} %",
            note=counted(done.lesion_pictures, "picture"),
        )
        yield Fact(label="most telling block", value=name, note=f"without it {100 - worst:.1f} % are right")


def _figures(done: Layers) -> Iterable[tuple[str, str, Figure]]:
    if done.responses:
        series = {"measured": [one.std for one in done.responses], "by BN": [one.closed_form for one in done.responses]}
        figure = bars_figure([one.layer for one in done.responses], series, "standard deviation")
        yield "Layer responses", "after BN, before the ReLU or the addition (1512.03385, figure 7)", figure
    if done.branches:
        figure = bars_figure(
            [one.block for one in done.branches], {"ratio": [one.ratio for one in done.branches]}, "|F| / |x|"
        )
        yield "|F| / |x|", "how much each block with an identity shortcut adds to what it is given", figure
    if done.gradients:
        series = {"by weights": [max(one.weight, 1e-38) for one in done.gradients],
                  "by outputs": [max(one.signal, 1e-38) for one in done.gradients]}  # fmt: skip
        figure = bars_figure([one.layer for one in done.gradients], series, "norm of the loss's gradient", log=True)
        yield "Gradient norms", "of the loss on one batch, in training mode, for every convolution", figure
    if done.lesion is not None and done.lesion.dropped:
        dropped = done.lesion.dropped
        series = {"error": [error for _, error in dropped]}
        figure = bars_figure([name for name, _ in dropped], series, "error, %", marked=done.lesion.intact)
        yield "Lesions", "top-1 error with one block removed; dashed: the whole network (1605.06431)", figure


def _grids(done: Layers) -> Iterable[Grid]:
    if done.responses:
        yield Grid(
            title="Layer responses",
            columns=("layer", "deviation", "by BN"),
            rows=tuple((one.layer, f"{one.std:.4f}", f"{one.closed_form:.4f}") for one in done.responses),
        )
    if done.branches:
        yield Grid(
            title="|F| / |x|",
            columns=("block", "ratio"),
            rows=tuple((one.block, f"{one.ratio:.4f}") for one in done.branches),
        )
    if done.gradients:
        yield Grid(
            title="Gradient norms",
            columns=("convolution", "by weights", "by outputs"),
            rows=tuple((one.layer, f"{one.weight:.3g}", f"{one.signal:.3g}") for one in done.gradients),
        )
    if done.lesion is not None:
        yield Grid(
            title="Lesions",
            columns=("block removed", "right", "against intact"),
            rows=tuple(
                (name, f"{100 - error:.2f} %", f"{done.lesion.intact - error:+.2f}")
                for name, error in done.lesion.dropped
            ),
        )
