"""What study notes say of this field, and what is true: one list, shown where it belongs.

<!-- box -->           in a lesson: what is often said about its subject
<!-- slips -->         in a lesson: slips of the pen and of the keyboard in notes about its subject
<!-- corrections -->   in the last lesson: all of them, each with the place of its lesson and what to run
"""

from __future__ import annotations

import functools
import html
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .pages import DOCS, VALUE, PageError

FILE = DOCS / "corrections.toml"
PAGE = "learn/10-ladder.md"
LESSONS = {
    1: "learn/01-block.md",
    2: "learn/02-batch-norm.md",
    3: "learn/03-vanishing.md",
    4: "learn/04-degradation.md",
    5: "learn/05-what-a-block-learns.md",
    6: "learn/06-shapes-and-costs.md",
    7: "learn/07-honest-scores.md",
    8: "learn/08-resnext.md",
    9: "learn/09-after-resnet.md",
    10: PAGE,
}
VERDICTS = {
    "wrong": ("wrong", "틀림"),
    "half": ("half right", "반만 맞음"),
    "slip": ("a slip", "오기"),
    "missing": ("something is missing", "빠진 것이 있음"),
    "right": ("right", "맞음"),
}
WORDS = {
    "en": {"said": "often said", "true": "what is true", "notes": "in notes", "verdict": "verdict", "run": "to see it",
           "lesson": "lesson {}", "cell": "its cell <code>{}</code>"},
    "ko": {"said": "흔히 하는 말", "true": "사실은", "notes": "노트에서", "verdict": "판정", "run": "확인하려면",
           "lesson": "{}강", "cell": "셀 <code>{}</code>"},
}  # fmt: skip


@dataclass(frozen=True)
class Correction:
    """One statement. `at` is note and line; `run` a cell of its lesson (`cell:NAME`) or a command, or empty."""

    at: str
    lesson: int
    verdict: str
    en: tuple[str, str]
    ko: tuple[str, str]
    box: bool = False
    run: str = ""

    @property
    def key(self) -> str:
        return "said-" + re.sub(r"[^0-9]+", "-", self.at).strip("-")


@functools.cache
def corrections() -> tuple[Correction, ...]:
    """The list. Raises `PageError` for an entry that says too little."""
    found = []
    for entry in tomllib.loads(FILE.read_text(encoding="utf-8"))["said"]:
        try:
            one = Correction(
                **{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
            )
        except TypeError as error:
            raise PageError(f"{FILE.name}: {entry.get('at', entry)}: {error}") from None
        if one.lesson not in LESSONS or one.verdict not in VERDICTS or len(one.en) != 2 or len(one.ko) != 2:
            raise PageError(
                f"{FILE.name}: {one.at}: lesson 1 to 10, verdict one of {', '.join(VERDICTS)}, two texts each"
            )
        found.append(one)
    return tuple(found)


def values() -> list[str]:
    """The expressions in the list; the last lesson's kernel evaluates them."""
    texts = [text for one in corrections() for text in (*one.en, *one.ko)]
    return list(dict.fromkeys(match.strip() for text in texts for match in VALUE.findall(text)))


def placed(text: str, name: str, language: str, known: Mapping[str, str]) -> str:
    """A page's prose with its tables in place; `known` are the values of the expressions."""
    own = [one for one in corrections() if LESSONS[one.lesson] == name]
    tables = {
        "<!-- box -->": [one for one in own if one.box],
        "<!-- slips -->": [one for one in own if not one.box],
    }
    for mark, rows in tables.items():
        if mark in text:
            text = text.replace(mark, _table(rows, language, known))
    return text.replace("<!-- corrections -->", _all(language, known))


def _cells(one: Correction, language: str, known: Mapping[str, str]) -> tuple[str, str]:
    said, true = getattr(one, language)
    fill: Any = lambda text: VALUE.sub(lambda match: known[match[1].strip()], text).replace("|", "\\|")  # noqa: E731
    return fill(said), fill(true)


def _table(rows: list[Correction], language: str, known: Mapping[str, str]) -> str:
    words = WORDS[language]
    lines = [f"| {words['said']} | {words['true']} |", "|---|---|"]
    for one in rows:
        said, true = _cells(one, language, known)
        lines.append(f'| <a id="{one.key}"></a>{said} | {true} |')
    return "\n".join(lines)


def _all(language: str, known: Mapping[str, str]) -> str:
    words, index = WORDS[language], 1 if language == "ko" else 0
    lines = [f"| {words['notes']} | {words['said']} | {words['verdict']} | {words['true']} | {words['run']} |",
             "|---|---|---|---|---|"]  # fmt: skip
    for one in corrections():
        said, true = _cells(one, language, known)
        page = LESSONS[one.lesson].removeprefix("learn/").removesuffix(".md") + ".html"
        place = f'<a href="{page}#{one.key}">{words["lesson"].format(one.lesson)}</a>'
        if one.run.startswith("cell:"):
            cell = one.run.removeprefix("cell:")
            place += f', <a href="{page}#cell-{cell}">{words["cell"].format(cell)}</a>'
        elif one.run:
            place += f", <code>{html.escape(one.run)}</code>"
        lines.append(f"| {one.at} | {said} | {VERDICTS[one.verdict][index]} | {true} | {place} |")
    return "\n".join(lines)
