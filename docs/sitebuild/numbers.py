"""Which numbers in prose are results: every one that is not plainly something else.

A result comes from `{{ expression }}`. What may be typed: a setting written as code, a name (ResNet-34, conv2_x), a
product or a sum (3×3, 6n + 2, 2 · 9 = 18) and what the page itself has worked out so, a reference, a year, a count of
what is chosen (layers, channels, steps, ...), 0 and 1, a row of three numbers or more, and a quotation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Set

from .pages import BORROWED, VALUE, Page

NO_PROSE = re.compile(
    r"^(?P<t>`{3,}|~{3,}).*?^(?P=t)[ \t]*$"  # fenced code
    r"|`[^`]+`"  # code, and so settings that are written as code
    r"|<!--.*?-->|<[^>]+>"  # HTML
    r"|\]\([^)]*\)"  # where a link goes
    r"|\b\d{4}\.\d{4,5}\b"  # arXiv
    r"|\b(?:Python|section|sections|equation|table|figure|version|v) ?\d+(?:\.\d+)*(?![\d.]* ?%)"
    r"|\d+(?:\.\d+)*(?:절|장(?!이|을|에|의|은|씩|,))",
    re.MULTILINE | re.DOTALL,
)
# A result whatever stands around it: a decimal, a share, a count with commas, a power of ten, an amount with its unit.
RESULT = re.compile(
    r"(?<![\w.])\d*\.\d+"
    r"|\d[\d.,]* ?(?:%|퍼센트|percent\b)"
    r"|\b\d{1,3}(?:,\d{3})+\b"
    r"|\b\d[\d.]*e[-+]?\d+|10⁻[⁰¹²³⁴-⁹]+"
    r"|\b\d[\d.,]* ?(?:times\b|points\b|[mµn]?s\b|seconds?\b|minutes?\b|hours?\b|days?\b|weeks?\b|[kMG]i?B\b)"
    r"|\b\d[\d.,]*(?:-?fold\b|x\b| ?× (?=[a-z]{2}))"
    r"|\b\d[\d.,]* ?(?:thousand|million|billion|[MG])\b"
    r"|(?<!분의 )\b\d(?:[\d.,]*\d)?(?:천|만|억)? ?(?:초|밀리초|분(?!의)|시간|배(?!치|율)|포인트|만|억)"
    r"|\b\d+ (?:out )?of \d+\b"
)
_NUMBERS = r"\d+(?:(?:, | and | or | to |, and |[·,]|과 |와 |에서 )\d+)*"
_TERM = r"\(?(?<![A-Za-z\d])(?:\d+[CHWnd]?²?|[A-Za-zγ]{1,2}[′²]?|F′\(x\))(?![A-Za-z\d])\)*"
_CHOSEN = (
    "layers?|(?:input |output )?channels?|groups?|classes|GPUs?|(?:k )?steps?|epochs?|pictures?|crops?|blocks?|paths?|"
    "networks?|nets?|wide|bits?|units?|HWC²"
)
_CHOSEN_KO = "층|채널|그룹|클래스|k?(?:번째 )?단계|에폭|비트|월|년|강|번째|순위|위|픽셀|장|개|단위|HWC²"
ALLOWED = re.compile(
    r"^[ \t]*\d+\. "  # the number of an entry of a list
    r"|\"[^\"\n]*(?:\n[^\"\n]+)?\"|(?<!\w)'[^'\n]{1,40}'"
    r"|(?<![^\W_가-힣])(?:[A-Za-z_][A-Za-z_0-9]*[-'’]?|\d+x)\d\w*(?:-\d\w*)*"  # ResNet-34, P1, conv2_x, 32x4d
    rf"|{_TERM}(?: ?(?:[-+−·×=:→]|!=|:=| / ) ?{_TERM})+"  # 3×3, 6n + 2, 2 · (9 · 64 · 64), 6:2:2, C = 32, 64 → 256
    r"|[|\w]+\(?[|x]\)? ?:?= ?\d+|\b10[⁰¹²³⁴-⁹]+"  # F(x) = 0
    r"|\b\d+(?:[CHWn]²?| ?k)(?![A-Za-z\d])"
    r"|(?<!\d)(?:19|20)\d\d(?!\d)"
    rf"|\b(?:[Ll]essons?|[Tt]ables?|[Ff]igures?) {_NUMBERS}|(?:표|그림) {_NUMBERS}"
    rf"|\b\d+(?:, \d+)+(?:, | and |, and )\d+"
    rf"|\b{_NUMBERS}[ -]?(?:{_CHOSEN})\b|\b{_NUMBERS} ?(?:{_CHOSEN_KO})"
    r"|\b(?:[Ss]tride|[Bb]atch(?:es)?|steps|GPUs|padded|[Dd]ivided|reduction)(?: of| by)? \d+"
    r"|(?:보폭|배치|폭)(?:이|을|은|만|에)? ?\d+(?! ?[×·\d])|\b\d+-crop|\d+(?:으로|로) 나"
    r"|\d+분의 \d+"
    r"|(?<![\w.])[01](?!\.?\d|[A-Za-z])",
    re.MULTILINE,
)


def typed_numbers(page: Page) -> list[str]:
    """Numbers that look like results and are typed into the prose of a page with cells."""
    prose = prose_of(page) if page.executed else []
    return [f"{page.path}: {one!r}" for text in prose for one in typed(text, sums(prose))]


def prose_of(page: Page) -> list[str]:
    """A page's text, without its cells."""
    return [part for part in page.parts if isinstance(part, str) and not part.startswith(BORROWED)]


def typed(text: str, worked_out: Set[str] = frozenset()) -> list[str]:
    """The numbers in one piece of prose that look like results; `worked_out` are sums that the page has written out."""
    text = NO_PROSE.sub(" ", VALUE.sub(" ", text))
    found = {match.start(): match.end() for match in RESULT.finditer(text)}
    rest = ALLOWED.sub(lambda match: " " * len(match[0]), text)
    for match in re.finditer(r"\d+", rest):
        if match[0] not in worked_out and not any(a <= match.start() < b for a, b in found.items()):
            found[match.start()] = match.end()
    return [text[max(start - 20, 0) : end + 10].strip() for start, end in sorted(found.items())]


def sums(texts: Iterable[str]) -> set[str]:
    """What a page's prose works out before the reader's eyes: the 18 of 2 · 9 = 18."""
    return {one for text in texts for one in re.findall(r"[\d)] = (\d+)", text)}
