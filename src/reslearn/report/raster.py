"""A diagram as PNG, by day, drawn by Pillow in the font that the SVG file has inside."""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from .diagram import COLOURS, FONT, LINE, RADIUS, Box, Item, Label, Scene, Sign, Wire, corner, head, strokes

SCALE = 4  # pixels per unit
FINER = 2  # drawn so much larger and shrunk, for smooth edges
Points = Sequence[tuple[float, float]]


def to_png(scene: Scene) -> bytes:
    """The drawing as a file's bytes, four pixels to the unit (a drawing of 390 units prints at 130 mm with 300 dpi)."""
    zoom = SCALE * FINER
    size = (round(scene.width * zoom), round(scene.height * zoom))
    image = Image.new("RGB", size, COLOURS["paper"][0])
    pen = ImageDraw.Draw(image)
    for item in scene.items:
        _draw(pen, item, zoom)
    image = image.resize((size[0] // FINER, size[1] // FINER), Image.Resampling.LANCZOS)
    told, file = PngInfo(), io.BytesIO()
    told.add_text("Software", "reslearn")  # by which a later drawing knows that it may replace this one
    image.save(file, format="PNG", dpi=(300, 300), pnginfo=told)
    return file.getvalue()


def _draw(pen: ImageDraw.ImageDraw, item: Item, zoom: float) -> None:
    edge = COLOURS["edge"][0]
    if isinstance(item, Label):
        anchor = {"start": "lm", "middle": "mm", "end": "rm"}[item.anchor]
        colour = COLOURS["muted" if item.muted else "ink"][0]
        _write(pen, item.text, (item.x, item.y), item.size, zoom, anchor=anchor, colour=colour, bold=item.bold)
    elif isinstance(item, Box):
        left, right = item.x - item.width / 2, item.x + item.width / 2
        place = [zoom * v for v in (left, item.y, right, item.y + item.height)]
        pen.rounded_rectangle(place, radius=2 * zoom, fill=COLOURS[item.look][0], outline=edge, width=round(0.8 * zoom))
        for number, line in enumerate(item.lines):
            _write(pen, line, (item.x, item.y + 2 + LINE * (number + 0.5)), item.size, zoom)
    elif isinstance(item, Sign):
        place = [zoom * v for v in (item.x - RADIUS, item.y - RADIUS, item.x + RADIUS, item.y + RADIUS)]
        pen.ellipse(place, fill=COLOURS["paper"][0], outline=edge, width=round(zoom))
        for stroke in strokes(item):
            _line(pen, stroke, zoom, width=1.1)
    else:
        _wire(pen, item, zoom)


def _wire(pen: ImageDraw.ImageDraw, wire: Wire, zoom: float) -> None:
    points = list(_smooth(wire.points))
    if not wire.dotted:
        _line(pen, points, zoom, width=1.1)
    else:
        for x, y in _dots(points, step=3.0):
            pen.ellipse(
                [zoom * (x - 0.8), zoom * (y - 0.8), zoom * (x + 0.8), zoom * (y + 0.8)], fill=COLOURS["edge"][0]
            )
    if wire.arrow:
        pen.polygon([(zoom * x, zoom * y) for x, y in head(wire.points)], fill=COLOURS["edge"][0])


def _smooth(points: Points) -> list[tuple[float, float]]:
    found = [points[0]]
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        begin, end = corner(before, at, after)
        for i in range(9):
            t = i / 8
            found.append(tuple((1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c
                               for a, b, c in zip(begin, at, end, strict=True)))  # type: ignore[arg-type]  # fmt: skip
    return [*found, points[-1]]


def _dots(points: Points, step: float) -> list[tuple[float, float]]:
    found, left = [], 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        while left <= length and length > 0:
            found.append((x0 + (x1 - x0) * left / length, y0 + (y1 - y0) * left / length))
            left += step
        left -= length
    return found


def _line(pen: ImageDraw.ImageDraw, points: Points, zoom: float, *, width: float) -> None:
    pen.line(
        [(zoom * x, zoom * y) for x, y in points], fill=COLOURS["edge"][0], width=round(width * zoom), joint="curve"
    )


def _write(
    pen: ImageDraw.ImageDraw,
    text: str,
    at: tuple[float, float],
    size: float,
    zoom: float,
    *,
    anchor: str = "mm",
    colour: str = COLOURS["ink"][0],
    bold: bool = False,
) -> None:
    font = ImageFont.truetype(str(FONT), round(size * zoom))
    stroke = round(0.12 * zoom) if bold else 0
    pen.text((zoom * at[0], zoom * at[1]), text, font=font, anchor=anchor, fill=colour, stroke_width=stroke,
             stroke_fill=colour)  # fmt: skip
