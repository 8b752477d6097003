"""Diagrams of boxes and lines, given as values, as one SVG file: its own font inside, light and dark, words as text.

Lengths are units of the drawing; at a width of 390 pixels a drawing of up to 390 units is shown at its own size. What
a box stands for is its `key` (`data-layer` in the file); its `title` is what a pointer or a screen reader is told.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from PIL import ImageFont

FONT = Path(__file__).parent / "fonts" / "reslearn-diagram.otf"
FAMILY, ROOT = "Reslearn Diagram", "reslearn-diagram"
SIZE = 9.0  # of ordinary text
LINE = 11.0  # from one line of a box to the next
Look = Literal["paper", "s0", "s1", "s2", "s3", "s4", "s5", "norm", "act", "gate", "note"]
# look -> colour by day, by night; `ink`, `muted`, `edge` are text, quiet text and lines
COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#14171a", "#eceef1"),
    "muted": ("#59616b", "#a9b1bb"),
    "edge": ("#59616b", "#98a1ac"),
    "paper": ("#ffffff", "#14171b"),
    "s0": ("#edf0f3", "#2b3138"),
    "s1": ("#d8e8f8", "#1d3854"),
    "s2": ("#d7f0e1", "#1b4332"),
    "s3": ("#fdeccb", "#4c3813"),
    "s4": ("#f6dcea", "#4b2440"),
    "s5": ("#e4dff8", "#352d5c"),
    "norm": ("#f4f6f8", "#22272d"),
    "act": ("#fff4e8", "#33291c"),
    "gate": ("#fbe3df", "#4d2822"),
    "note": ("#ffffff", "#14171b"),
}


@dataclass(frozen=True)
class Box:
    """A box around the middle of its upper edge, with one or more lines of text."""

    x: float  # its middle
    y: float  # its upper edge
    width: float
    lines: tuple[str, ...]
    look: Look = "s0"
    key: str = ""
    title: str = ""
    size: float = SIZE

    @property
    def height(self) -> float:
        """As high as its lines need."""
        return 4 + LINE * len(self.lines)


@dataclass(frozen=True)
class Sign:
    """A small circle where signals meet: + or ×."""

    x: float
    y: float  # its middle
    sign: str
    key: str = ""
    title: str = ""


@dataclass(frozen=True)
class Wire:
    """A line through points, its corners rounded; dotted where a shortcut changes the shape; with an arrow's head."""

    points: tuple[tuple[float, float], ...]
    dotted: bool = False
    arrow: bool = True
    key: str = ""
    title: str = ""


@dataclass(frozen=True)
class Label:
    """Text without a box; `y` is the middle of its line."""

    x: float
    y: float
    text: str
    anchor: Literal["start", "middle", "end"] = "middle"
    size: float = SIZE
    bold: bool = False
    muted: bool = False


Item = Box | Sign | Wire | Label
RADIUS = 5.0  # of a sign


@dataclass(frozen=True, repr=False)
class Scene:
    """A whole drawing."""

    width: float
    height: float
    title: str
    items: tuple[Item, ...]
    language: str = "en"

    def __repr__(self) -> str:
        return f"Scene({self.title}, {len(self.items)} items)"

    def _repr_svg_(self) -> str:
        """What a notebook's cell shows."""
        return to_svg(self)


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(FONT), 100)


def text_width(text: str, size: float = SIZE) -> float:
    """How wide a line of text is."""
    return float(_font().getlength(text)) * size / 100


def box_width(texts: Sequence[str], size: float = SIZE, padding: float = 5.0) -> float:
    """How wide a box must be for each of these lines."""
    return max((text_width(text, size) for text in texts), default=0.0) + 2 * padding


def to_svg(scene: Scene) -> str:
    """The drawing as a file of its own; it loads nothing and follows the reader's light or dark setting."""
    style = f"display:block;margin:0 auto;width:100%;max-width:{1.9 * scene.width:.0f}px;height:auto"
    style += f";min-width:{0.9 * scene.width:.0f}px" if scene.width > 400 else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{ROOT}" role="img" '
        f'viewBox="0 0 {_n(scene.width)} {_n(scene.height)}" '
        f'lang="{scene.language}" style="{style}" aria-label="{html.escape(scene.title)}">',
        f"<title>{html.escape(scene.title)}</title>",
        f"<style>{_style()}</style>",
        f'<rect class="paper" width="{_n(scene.width)}" height="{_n(scene.height)}"/>',
        *(part for item in scene.items for part in _draw(item)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _style() -> str:
    day, night = (";".join(f"--d-{name}:{pair[i]}" for name, pair in COLOURS.items()) for i in (0, 1))
    font = base64.b64encode(FONT.read_bytes()).decode()
    rules = {
        **{f".{look}": f"fill:var(--d-{look})" for look in COLOURS if look not in ("ink", "muted", "edge")},
        "rect": "stroke-width:.8",
        ".box": "stroke:var(--d-edge)",
        "text": f"font-family:'{FAMILY}',sans-serif;fill:var(--d-ink);text-anchor:middle;dominant-baseline:central",
        "text.muted": "fill:var(--d-muted)",
        "text.bold": "stroke:var(--d-ink);stroke-width:.3",
        ".wire": "fill:none;stroke:var(--d-edge);stroke-width:1.1;stroke-linejoin:round",
        ".dotted": "stroke-dasharray:.1 3;stroke-linecap:round;stroke-width:1.6",
        ".head": "fill:var(--d-edge)",
        ".sign": "fill:var(--d-paper);stroke:var(--d-edge);stroke-width:1",
    }
    return (
        f"@font-face{{font-family:'{FAMILY}';src:url(data:font/otf;base64,{font})}}"
        f".{ROOT}{{{day}}}@media(prefers-color-scheme:dark){{.{ROOT}{{{night}}}}}"
        + "".join(f".{ROOT} {selector}{{{rule}}}" for selector, rule in rules.items())
    )


def _draw(item: Item) -> Iterator[str]:
    if isinstance(item, Label):
        extra = f' style="text-anchor:{item.anchor}"' if item.anchor != "middle" else ""
        look = " ".join(name for name, on in (("muted", item.muted), ("bold", item.bold)) if on)
        look = f' class="{look}"' if look else ""
        yield (
            f'<text x="{_n(item.x)}" y="{_n(item.y)}" font-size="{_n(item.size)}"{look}{extra}>'
            f"{html.escape(item.text)}</text>"
        )
        return
    yield f"<g{_keyed(item.key)}>" + (f"<title>{html.escape(item.title)}</title>" if item.title else "")
    if isinstance(item, Box):
        left = item.x - item.width / 2
        yield (
            f'<rect class="box {item.look}" x="{_n(left)}" y="{_n(item.y)}" width="{_n(item.width)}" '
            f'height="{_n(item.height)}" rx="2"/>'
        )
        for number, line in enumerate(item.lines):
            y = item.y + 2 + LINE * (number + 0.5)
            yield f'<text x="{_n(item.x)}" y="{_n(y)}" font-size="{_n(item.size)}">{html.escape(line)}</text>'
    elif isinstance(item, Sign):
        yield f'<circle class="sign" cx="{_n(item.x)}" cy="{_n(item.y)}" r="{_n(RADIUS)}"/>'
        for (x1, y1), (x2, y2) in strokes(item):
            yield f'<path class="wire" d="M{_n(x1)} {_n(y1)}L{_n(x2)} {_n(y2)}"/>'
    else:
        dotted = " dotted" if item.dotted else ""
        yield f'<path class="wire{dotted}" d="{_rounded(item.points)}"/>'
        if item.arrow:
            corners = "L".join(f"{_n(x)} {_n(y)}" for x, y in head(item.points))
            yield f'<path class="head" d="M{corners}Z"/>'
    yield "</g>"


def strokes(sign: Sign) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """The two strokes of + or ×, inside its circle."""
    r = RADIUS - 2
    a = (r, 0.0) if sign.sign == "+" else (0.7 * r, 0.7 * r)
    b = (0.0, r) if sign.sign == "+" else (0.7 * r, -0.7 * r)
    return [((sign.x - dx, sign.y - dy), (sign.x + dx, sign.y + dy)) for dx, dy in (a, b)]


def head(points: Sequence[tuple[float, float]], length: float = 4.0) -> list[tuple[float, float]]:
    """The triangle at the end of a wire."""
    (x0, y0), (x1, y1) = points[-2], points[-1]
    distance = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-6)
    dx, dy = (x1 - x0) / distance, (y1 - y0) / distance
    back, side = (x1 - length * dx, y1 - length * dy), length / 2.4
    return [(x1, y1), (back[0] - side * dy, back[1] + side * dx), (back[0] + side * dy, back[1] - side * dx)]


def corner(
    before: tuple[float, float], at: tuple[float, float], after: tuple[float, float], radius: float = 5.0
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where the rounding of a corner begins and ends."""

    def towards(other: tuple[float, float]) -> tuple[float, float]:
        dx, dy = other[0] - at[0], other[1] - at[1]
        length = max((dx**2 + dy**2) ** 0.5, 1e-6)
        share = min(radius, length / 2) / length
        return at[0] + share * dx, at[1] + share * dy

    return towards(before), towards(after)


def _rounded(points: Sequence[tuple[float, float]]) -> str:
    text = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for before, at, after in zip(points, points[1:], points[2:], strict=False):
        begin, end = corner(before, at, after)
        text += f"L{_n(begin[0])} {_n(begin[1])}Q{_n(at[0])} {_n(at[1])} {_n(end[0])} {_n(end[1])}"
    return text + f"L{_n(points[-1][0])} {_n(points[-1][1])}"


def _keyed(key: str) -> str:
    return f' data-layer="{html.escape(key)}"' if key else ""


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
