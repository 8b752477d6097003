"""The page of `explain`: from what was found to the values that `report.explained` draws."""

from __future__ import annotations

import html
import os
from collections.abc import Iterable

from ...interpret.faithfulness import LEAST, Against, Faithfulness
from ...predictor.answers import UNKNOWN
from ...report.explained import Bar, ClassRow, ExplainPage, Sheet, Shot, Tile, render_explained
from ...report.heat import overlay, shown, tiles
from ...report.pages import encoded, percent
from ...report.values import Fact, Grid, Table
from ...runtime.environment import command_line, environment
from ...runtime.replacing import write_page
from ..class_looks import CLASSES, ClassLook, Like
from ..explaining import Explained, PictureMap
from .tables import environment_table

BARS = 3
METHODS = {
    "cam": "what each place of the last map adds to the class's logit (class activation map)",
    "gradcam": "channels of a map, weighted by the gradient of the class's logit (Grad-CAM)",
    "guided": "guided gradients of the class's logit by every pixel (captum)",
    "occlusion": "how far the class's logit falls when a window is painted in the mean colour",
    "integrated-gradients": "what each pixel adds on the way from the mean colour to the picture (captum)",
}
TESTS = (
    "Deletion paints the pixels that a map holds most telling in the mean colour, insertion brings them back into a "
    "blurred picture. A score is the mean probability of the class on the way; random maps are as coarse as these. "
    f"Maps are believed that gain at least {LEAST} over random ones in both, beyond doubt; where classes are known, "
    "only those of a network that is right more often than naming the largest class would be."
)


def write_explained(path: str | os.PathLike[str], done: Explained) -> None:
    """Write the page to `path`, where nothing is or another page of ours."""
    write_page(path, render_explained(explained_page(done)))


def explained_page(done: Explained) -> ExplainPage:
    """What the page shows, as plain values."""
    test = done.faithfulness
    bad = test is not None and not test.beats_chance
    layers = ", ".join(done.layers)
    return ExplainPage(
        name=f"{done.network}: what speaks for a class",
        summary=f"{done.model}{f' on {done.data}' if done.data else ''}",
        warning=test.verdict() if test is not None and bad else "",
        verdict=() if test is None or bad else (test.verdict(),),
        facts=tuple(_facts(done)),
        tiles=tuple(map(_tile, done.pictures)),
        tiles_note=_tiles_note(done),
        nearest_note="" if done.neighbours_of is None else (
            "Below each picture, the training pictures whose features are nearest to its own, with the cosine between "
            f"them ({done.neighbours_of})."
        ),
        tests=None if test is None else _tests(test),
        curves=None if test is None else test.curves,
        classes=tuple(map(_class_row, done.classes)),
        classes_note=f"Of {done.looked:,} pictures. Left, the mean of a class's pictures under the mean of their maps "
        "for it; then the pictures whose features are most and least like the mean of their class, with the cosine."
        + (f" The first {CLASSES} classes are shown." if len(done.classes) == CLASSES else ""),
        sheets=tuple(_sheets(done)),
        command=command_line(),
        tables=(
            Table(title="Maps", rows=(("method", done.method), ("what", METHODS[done.method]), ("layer", layers))),
            Table(title="Sealed file", rows=(("path", str(done.model)), ("sha256", done.sha256))),
            environment_table(environment()),
        ),
    )  # fmt: skip


def in_notebook(one: PictureMap) -> str:
    """A picture, the heat over it, and what it is of."""
    tile = _tile(one)
    both = "".join(
        f'<img alt="{html.escape(shot.alt)}" width="160" src="{encoded(shot.data)}">'
        for shot in (tile.picture, tile.heat)
    )
    said = html.escape(f"{one.label} {percent(one.probability)}")
    return f'<div style="display:flex;flex-wrap:wrap;gap:6px;align-items:center">{both}<b>{said}</b></div>'


def _facts(done: Explained) -> Iterable[Fact]:
    yield Fact(label="method", value=done.method, note=METHODS[done.method])
    yield Fact(label="layer", value=", ".join(dict.fromkeys(done.layers)), note="that the maps are from")
    test = done.faithfulness
    if test is not None:
        for name, gain in (("deletion", test.random.deletion_gain), ("insertion", test.random.insertion_gain)):
            yield Fact(
                label=f"gain in {name}",
                value=f"{gain.mean:+.3f}",
                note="; ".join(filter(None, ("over random maps", gain.between))),
            )


def _tiles_note(done: Explained) -> str:
    of = f"{len(done.pictures):,} of {done.found:,} pictures, evenly over all. " if (
        len(done.pictures) + len(done.unread) < done.found
    ) else ""  # fmt: skip
    bad = f" {len(done.unread):,} could not be read." if done.unread and not done.data else ""
    return (
        f"{of}Each as the network reads it, and with heat where it speaks for the class in bold; heat is "
        f"scaled in every picture on its own.{bad}"
    )


def _tile(one: PictureMap) -> Tile:
    named = [answer for answer in one.predictions if answer.label != UNKNOWN or answer.index is not None]
    bars = [Bar(label=a.label, probability=a.probability, explained=a.index == one.index) for a in named[:BARS]]
    if not any(bar.explained for bar in bars):
        bars.append(Bar(label=one.label, probability=one.probability, explained=True))
    name = one.path or "a picture in memory"
    return Tile(
        picture=Shot(data=shown(one.image), alt=name),
        heat=Shot(data=overlay(one.image, one.heat), alt=f"heat where it speaks for {one.label}"),
        bars=tuple(bars),
        name=name,
        truth=one.truth or "",
        right=bool(named) and one.truth == named[0].label,
        nearest=tuple(map(_like, one.nearest)),
    )


def _like(one: Like) -> Shot:
    return Shot(
        data=shown(one.image),
        alt=f"{one.path}, {one.label}",
        label=one.label,
        note=f"{one.likeness:.3f}",
        title=one.path,
    )


def _class_row(one: ClassLook) -> ClassRow:
    return ClassRow(
        label=one.label,
        note=f"{one.pictures:,} picture{'s' if one.pictures > 1 else ''}",
        mean=Shot(data=overlay(one.mean_picture, one.mean_heat), alt=f"mean of {one.label} under its mean map"),
        most=tuple(map(_like, one.most)),
        least=tuple(map(_like, one.least)),
    )


def _tests(test: Faithfulness) -> Grid:
    draws = f", {test.draws} random maps each" if test.draws > 1 else ""
    beside = (
        "; beside it, its 95 % interval" if test.random.deletion_gain.between else ", and one picture has no interval"
    )
    return Grid(
        title="",
        note=f"{TESTS} On {test.pictures:,} picture{'s' if test.pictures > 1 else ''}{draws}, in {test.steps} steps; a "
        f"gain above 0 means that the maps are better{beside}.",
        columns=("", "deletion", "insertion", "gain in deletion", "95 %", "gain in insertion", "95 %"),
        rows=(
            ("the maps", f"{test.deletion:.3f}", f"{test.insertion:.3f}", "", "", "", ""),
            ("random maps", *_rival(test.random)),
            ("the centre", *_rival(test.centre)),
        ),
    )


def _rival(one: Against) -> tuple[str, ...]:
    gains = (one.deletion_gain, one.insertion_gain)
    cells = [cell for gain in gains for cell in (f"{gain.mean:+.3f}", gain.between)]
    return (f"{one.deletion:.3f}", f"{one.insertion:.3f}", *cells)


def _sheets(done: Explained) -> Iterable[Sheet]:
    side = done.filters.shape[1]
    yield Sheet(
        title="Filters of the first convolution",
        note=f"{len(done.filters)} filters of {side} × {side}",
        picture=Shot(data=tiles(done.filters, columns=16), alt=f"{len(done.filters)} filters"),
    )
    for sheet in done.sheets:
        side = sheet.maps.shape[1]
        yield Sheet(
            title=sheet.layer,
            note=f"the {len(sheet.channels)} strongest of {sheet.of} channels, {side} × {side}: "
            f"{', '.join(map(str, sheet.channels))}",
            picture=Shot(data=tiles(sheet.maps), alt=f"maps of {sheet.layer}"),
        )
