"""`draw`: networks and blocks as diagrams."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from ..spec.errors import check_choice
from .options import Json
from .output import emit, put, say

Language = Literal["en", "ko"]
MOST = 120  # letters of a file's name that names what is drawn


def register(app: typer.Typer) -> None:
    """Add this group's command to the app."""
    app.command()(draw)


def draw(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Names of `reslearn list`; NAME+field=value changes one.")
    ],
    block: Annotated[bool, typer.Option("--block", help="One block of each, with layers, channels, shortcut.")] = False,
    lang: Annotated[str, typer.Option(help="Language of the words: en or ko.")] = "en",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="F.svg or F.png; named after what is drawn if absent.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw networks side by side, or a block of each, from their specs."""
    check_choice("--lang", lang, get_args(Language))
    from ..data.formats.folders import refuse_in_a_class
    from ..jobs.draw.drawing import check_kind, write_drawing
    from ..jobs.draw.drawing import draw as drawn
    from ..runtime.replacing import FIGURE, replaceable

    path = out or Path(_file_name(names, block=block, lang=lang))
    scene = drawn(names, block=block, language="ko" if lang == "ko" else "en")
    check_kind(path)
    replaceable(path, FIGURE, "-o")
    refuse_in_a_class(path.parent, "-o")
    say(f"reslearn draw: {', '.join(names)}")
    found = write_drawing(scene, path)
    emit(found, as_json, lambda: put(f"drawing   {found['path']}"))


def _file_name(names: list[str], *, block: bool, lang: str) -> str:
    """All that is drawn, in harmless characters, as far as the name of a file holds it; two drawings have two names."""
    whole = "-".join(re.sub(r"[^\w.-]", "-", name, flags=re.ASCII) for name in dict.fromkeys(names))
    if len(whole) > MOST:
        whole = f"{whole[:MOST]}-and-more-{hashlib.sha256(' '.join(names).encode()).hexdigest()[:6]}"
    return f"{whole}{'-block' if block else ''}{f'-{lang}' if lang != 'en' else ''}.svg"
