"""Words of pages: names of any script as they are, numbers that no line's end divides, tables too wide for a phone.

`templates` opens a folder of templates in which every text from outside does nothing but stand there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import jinja2
from jinja2.filters import do_mark_safe

from ..spec.text import shown

PHONE = 44  # characters that fit beside each other on 390 pixels
ROW = 16  # digits of a digest between two places where a line may end
NAME = 9  # characters of a first column, whose words may stand below each other
# A number and what belongs to it: 95 % with the interval it is of, p = 0.006, -0.016 .. +0.014.
_NUMBER = r"[-+−]?\d+(?:[.,]\d+)*(?:e[-+]\d+)?"
_RANGE = rf"{_NUMBER} (?:to|\.\.) {_NUMBER}"
_WHOLE = re.compile(rf"\(?{_NUMBER} %:? {_RANGE}|p [=<] {_NUMBER}|{_RANGE}|\(?{_NUMBER} %|{_NUMBER} ± {_NUMBER} %")
_DIGEST = re.compile("[0-9a-f]{32,128}")
# Hebrew and Arabic are written from right to left, and take the slashes and digits beside them with them.
_LEFTWARDS = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")


def templates(folder: Path, **filters: Any) -> jinja2.Environment:
    """The templates of a folder: all text is escaped, and what turns the direction of writing is shown as `\\u202e`."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,  # class names and paths are the user's: never markup
        finalize=_harmless,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    markup = {"whole": _safe(whole), "path": _safe(path), "words": _safe(words), "value": _safe(value)}
    found.filters |= markup | {"too_wide": too_wide, "sentence": sentence} | filters
    return found


def whole(text: str) -> str:
    """HTML of a sentence in which no line ends between a number and what belongs to it."""
    text = shown(text)
    parts, end = [], 0
    for match in _WHOLE.finditer(text):
        parts += [escape(text[end : match.start()]), _kept(match[0])]
        end = match.end()
    return "".join([*parts, escape(text[end:])])


def path(name: str) -> str:
    """HTML of a file's name, the folders of which keep their order whatever script they are written in."""
    if not _LEFTWARDS.search(name):
        return escape(shown(name))
    return "/".join(f"<bdi>{escape(shown(part))}</bdi>" for part in name.split("/"))


def value(text: str) -> str:
    """HTML of a recorded value: a digest breaks into even lines where it has no room, and names that are listed keep
    their order whatever script they are written in."""
    text = shown(text)
    if _DIGEST.fullmatch(text):
        rows = (text[i : i + ROW] for i in range(0, len(text), ROW))
        return f'<span class="digest" title="{text}">{"<wbr>".join(rows)}</span>'
    if _LEFTWARDS.search(text):
        return ", ".join(f"<bdi>{escape(part)}</bdi>" for part in text.split(", "))
    return escape(text)


def sentence(text: str) -> str:
    """A line of advice as a sentence of its own: a large letter and a full stop. What is one stays as it is: it may
    begin with a name."""
    if not text or text.endswith("."):
        return text
    first = text.split(" ", 1)[0]
    return f"{text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text}."


def words(command: str) -> str:
    """HTML of a command, of which a line may end between its words alone."""
    return " ".join(map(_kept, shown(command).split(" ")))


def too_wide(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether a table's columns do not stand beside each other on a phone."""
    widths = [max(len(name), *(len(row[i]) for row in rows)) if rows else len(name) for i, name in enumerate(columns)]
    return min(widths[0], max(NAME, len(columns[0]))) + sum(widths[1:]) + len(widths) - 1 > PHONE


def _kept(text: str) -> str:
    return f'<span class="whole">{escape(text)}</span>'


def _safe(made: Callable[[str], str]) -> Callable[[str], str]:
    """As a filter: what `made` gives is escaped already."""
    return lambda text: do_mark_safe(made(text))


def _harmless(value: object) -> object:
    return shown(value) if type(value) is str else value
