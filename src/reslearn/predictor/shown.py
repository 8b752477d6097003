"""Predictions in a notebook: the picture beside a bar for each answer."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

from PIL import Image as Pillow

from ..data.anything import as_image
from ..spec.errors import UserError

if TYPE_CHECKING:
    from .answers import Prediction

SIDE = 160  # pixels of a thumbnail


def as_html(one: Prediction) -> str:
    """A picture (where it can still be read) and its answers, best first."""
    rows = "".join(
        f'<tr><td style="text-align:left">{html.escape(answer.label)}</td>'
        f'<td style="text-align:left;width:160px"><div style="background:#0a66c8;height:9px;border-radius:3px;'
        f'width:{100 * answer.probability:.1f}%"></div></td>'
        f'<td style="text-align:right">{100 * answer.probability:.1f}&nbsp;%</td></tr>'
        for answer in one.predictions
    )
    picture = _thumbnail(one)
    caption = f'<div style="font-size:12px;opacity:.7">{html.escape(one.path)}</div>' if one.path else ""
    beside = f"<div><table>{rows}</table>{caption}</div>"
    return f'<div style="display:flex;gap:16px;align-items:center">{picture}{beside}</div>'


def _thumbnail(one: Prediction) -> str:
    try:
        pixels = as_image(one.path if one.path is not None else one.picture, (0.0, 1.0))
    except (UserError, OSError):  # gone since, or floats of another range
        return ""
    picture = Pillow.fromarray(pixels)
    small = max(picture.size) < SIDE
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    how = f"image-rendering:pixelated;min-width:{SIDE // 2}px" if small else ""
    return f'<img alt="" style="{how}" src="data:image/png;base64,{text}">'
