"""Letters of any script in a figure: fonts that have them are found among those of this machine.

The house's own font has Latin, Greek and Cyrillic. A name in Hangul, Kanji or Arabic, or with an emoji, needs another;
what no font here has is a box in a PNG, and is said once where one is written. In pages and SVG files the browser
finds fonts itself.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

HOUSE = "DejaVu Sans"
# Asked before the others, because they are made for screens: a word of a font's name.
PREFERRED = (
    "Noto Sans CJK",
    "Noto Sans KR",
    "Noto Sans JP",
    "Malgun Gothic",
    "Apple SD Gothic",
    "NanumGothic",
    "Hiragino Sans",
    "Yu Gothic",
    "PingFang",
    "Microsoft YaHei",
    "Noto Sans Arabic",
    "Noto Sans",
    "Arial Unicode",
    "Segoe UI",
    "Noto Emoji",
    "Symbola",
    "Unifont",
)
_told: set[str] = set()


def find_letters(figure: Figure) -> None:
    """Give every text of `figure` fonts that have its letters, the house's first."""
    families, _ = fonts_for(_strange(figure))
    if len(families) > 1:
        for text in _texts(figure):
            text.set_fontfamily(list(families))


def tell_missing(figure: Figure) -> None:
    """Warn, once in a process, of letters in `figure` that no font here draws: for who writes it as pixels."""
    _say(fonts_for(_strange(figure))[1])


def _texts(figure: Figure) -> list[Text]:
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            axis.get_ticklabels()  # they get their texts only now
    return [text for text in figure.findobj(Text) if isinstance(text, Text)]


def _strange(figure: Figure) -> frozenset[str]:
    return frozenset(letter for text in _texts(figure) for letter in text.get_text() if ord(letter) > 0x2FF)


@cache
def fonts_for(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Families that together have `letters`, the house's first, as far as this machine has such; and what it lacks."""
    families = [HOUSE]
    left = letters - _letters_of(font_manager.findfont(HOUSE)) - _joined(letters)
    for name, path in _others() if left else ():
        found = left & _letters_of(path)
        if found:
            families.append(name)
            left -= found
        if not left:
            break
    return tuple(families), frozenset(left)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """matplotlib says of each missing letter, at each place, what is said once here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        warnings.filterwarnings("ignore", message=r"Matplotlib currently does not support", category=UserWarning)
        yield


def _say(missing: Collection[str]) -> None:
    new = sorted(set(missing) - _told)
    if new:
        _told.update(new)
        shown = " ".join(new[:12]) + (" ..." if len(new) > 12 else "")
        warnings.warn(
            f"no font on this machine draws {shown}: a box in PNG figures, whole in pages; "
            "install one that has it (Noto Sans CJK, Noto Emoji)",
            stacklevel=2,
        )


def _joined(letters: Collection[str]) -> frozenset[str]:
    """What is no letter of its own: joiners, variation selectors, what turns the direction."""
    return frozenset(letter for letter in letters if letter in "\u200b\u200c\u200d\u200e\u200f\u2060\ufe0e\ufe0f")


@cache
def _others() -> tuple[tuple[str, str], ...]:
    """(family, file) of every other upright font, the preferred ones first."""

    def place(font: font_manager.FontEntry) -> tuple[int, int, str]:
        order = next((i for i, word in enumerate(PREFERRED) if word in font.name), len(PREFERRED))
        return order, abs(int(font.weight) - 400) if isinstance(font.weight, int) else 0, font.name

    upright = [
        font
        for font in font_manager.fontManager.ttflist
        if font.style == "normal" and font.name != HOUSE and not font.name.startswith("Last Resort")  # boxes for all
    ]
    files: dict[str, str] = {}
    for font in sorted(upright, key=place):
        if Path(font.fname).exists():
            files.setdefault(font.name, font.fname)
    return tuple(files.items())


@cache
def _letters_of(path: str) -> frozenset[str]:
    """The letters that a font draws; none where it cannot be opened, such as one of coloured bitmaps."""
    try:
        return frozenset(map(chr, FT2Font(path).get_charmap()))
    except Exception:  # a font of a kind that matplotlib's reader does not take raises anything
        return frozenset()
