"""A page as it is written: prose and cells, in order.

    ```{code-cell} forms words      a cell called `forms`; `words` says that its figure has words, in two languages
    ```{stored} results             a cell that holds stored results: lines of `key = file : field field.inner`
    ```{cell} forms                 on a Korean page: the English page's cell of that name, with its outputs

In the prose of such a page `{{ expression }}` stands for a value that its cells have computed.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
RESULTS = DOCS / "paper-results"
FENCE = re.compile(r"^(?P<ticks>`{3,})\{(?P<kind>code-cell|stored|cell)\}(?P<words>[^\n]*)\n(?P<body>.*?)^(?P=ticks)$",
                   re.MULTILINE | re.DOTALL)  # fmt: skip
VALUE = re.compile(r"\{\{(.+?)\}\}")
FOLLOWS = re.compile(r"\A<!-- follows (?P<page>\S+) (?P<digest>[0-9a-f]{12}) -->\n")
TOCTREE = re.compile(r"^```\{toctree\}.*?^```$", re.MULTILINE | re.DOTALL)
TAGS = ("words", "fold", "solution", "quiet")
DIGITS = 6  # of a stored number


class PageError(ValueError):
    """A source that cannot be built; says where and what would be right."""


@dataclass(frozen=True)
class Cell:
    """A code cell. `words`: drawn once in each language; `fold`: its code folded away; `quiet`: without its code."""

    name: str
    code: str
    tags: tuple[str, ...] = ()
    stored: bool = False


@dataclass(frozen=True)
class Page:
    """A source page. Parts are prose (str), cells, and on a Korean page the names of the English page's cells."""

    path: str  # in the docs, e.g. en/learn/01-block.md
    parts: tuple[str | Cell, ...]
    text: str
    borrowed: tuple[str, ...] = ()
    _names: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def language(self) -> str:
        return self.path.split("/")[0]

    @property
    def cells(self) -> list[Cell]:
        return [part for part in self.parts if isinstance(part, Cell)]

    @property
    def executed(self) -> bool:
        """Whether it has cells; on any other page `{{` is text."""
        return bool(self.cells) or bool(self.borrowed)

    @property
    def values(self) -> list[list[str]]:
        """The expressions of its prose: those before the first cell, those behind it, ... and behind the last."""
        found: list[list[str]] = [[]]
        for part in self.parts:
            if isinstance(part, Cell):
                found.append([])
            else:
                found[-1] += [one.strip() for one in VALUE.findall(part)]
        return found


BORROWED = "\0cell:"  # a part of a Korean page before its English page is known


def read(path: Path) -> Page:
    """The page in a file below docs/."""
    return parse(path.read_text(encoding="utf-8"), path.relative_to(DOCS).as_posix())


def parse(text: str, path: str) -> Page:
    """The page of a text. Raises `PageError` for a cell without a name, with an unknown tag, or named twice."""
    body, parts, end, names = FOLLOWS.sub("", text), [], 0, []
    for match in FENCE.finditer(body):
        parts.append(body[end : match.start()])
        end = match.end()
        name, *tags = match["words"].split() or [""]
        where = f"{path}: cell {name or '(without a name)'}"
        if not re.fullmatch(r"[a-z][a-z0-9-]*", name) or name in names:
            raise PageError(f"{where}: a cell's first word is its name, in small letters, once in a page")
        if wrong := [tag for tag in tags if tag not in TAGS]:
            raise PageError(f"{where}: no tag is called {wrong[0]}; there are {', '.join(TAGS)}")
        names.append(name)
        if match["kind"] == "cell":
            parts.append(BORROWED + name)
        elif match["kind"] == "stored":
            parts.append(Cell(name, stored_code(name, match["body"], where), ("fold", *tags), stored=True))
        else:
            parts.append(Cell(name, match["body"].strip("\n"), tuple(tags)))
    parts.append(body[end:])
    borrowed = tuple(part.removeprefix(BORROWED) for part in parts if isinstance(part, str) and BORROWED in part)
    return Page(path, tuple(parts), text, borrowed)


def translated(korean: Page, english: Page) -> Page:
    """A Korean page with the English page's cells in place. Raises `PageError` unless it has all of them, in order."""
    wanted = [cell.name for cell in english.cells]
    if list(korean.borrowed) != wanted:
        raise PageError(f"{korean.path}: its cells are {', '.join(korean.borrowed) or 'none'}; "
                        f"{english.path} has {', '.join(wanted)}")  # fmt: skip
    cells = {cell.name: cell for cell in english.cells}
    parts = tuple(
        cells[part.removeprefix(BORROWED)] if isinstance(part, str) and part.startswith(BORROWED) else part
        for part in korean.parts
    )
    return Page(korean.path, parts, korean.text, korean.borrowed)


def stored_code(name: str, body: str, where: str) -> str:
    """The cell that holds stored results: every chosen field of every file, as one JSON text in the code."""
    found: dict[str, Any] = {}
    lines = [line for line in body.splitlines() if line.strip()]
    command = lines.pop(0).removeprefix("$ ") if lines and lines[0].startswith("$ ") else None
    if command is None:
        raise PageError(f"{where}: its first line is `$ ` and the command that made the results")
    for line in lines:
        key, _, rest = line.partition(" = ")
        file, _, fields = rest.partition(" : ")
        if not (RESULTS / file.strip()).is_file() or not fields:
            raise PageError(f"{where}: {line!r}; a line is `key = file in docs/paper-results : field other.field`")
        data = json.loads((RESULTS / file.strip()).read_text(encoding="utf-8"))
        found[key.strip()] = {one: rounded(_field(data, one, where)) for one in fields.split()}
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    head = f"# stored results of\n#   {command}\nimport json\n\n"
    return f"{head}{name.replace('-', '_')} = json.loads(\n" + "\n".join(_pieces(text)) + "\n)"


def _field(data: Any, path: str, where: str) -> Any:
    for step in path.split("."):
        if step not in data:
            raise PageError(f"{where}: no field {path}; there are {', '.join(data)}")
        data = data[step]
    return data


def rounded(value: Any) -> Any:
    """Numbers of a stored result at the precision that a page may need."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return [rounded(inner) for inner in value] if isinstance(value, list) else value


def _pieces(text: str, width: int = 100) -> list[str]:
    return [f"    {text[i : i + width]!r}" for i in range(0, len(text), width)]


def digest(text: str) -> str:
    """What a page that follows another records of it: all but its lists of pages, which are each language's own."""
    return hashlib.sha256(TOCTREE.sub("", text).encode()).hexdigest()[:12]


def followers() -> list[Path]:
    """Every page that must follow an English one: the Korean pages and README.ko.md."""
    readme = ROOT / "README.ko.md"
    return [*sorted((DOCS / "ko").rglob("*.md")), *([readme] if readme.exists() else [])]


def followed(path: Path) -> Path:
    """The English page that a Korean one follows, by its place."""
    if path.parent == ROOT:
        return ROOT / path.name.replace(".ko.md", ".md")
    return DOCS / "en" / path.relative_to(DOCS / "ko")


def behind() -> list[str]:
    """Korean pages whose English page has changed since they were looked at, one line each."""
    found = []
    for path in followers():
        source = followed(path)
        match = FOLLOWS.match(path.read_text(encoding="utf-8"))
        name = path.relative_to(ROOT)
        if not source.exists():
            found.append(f"{name}: there is no {source.relative_to(ROOT)}")
        elif match is None:
            found.append(f"{name}: its first line must be <!-- follows {source.relative_to(ROOT)} DIGEST -->")
        elif match["digest"] != digest(source.read_text(encoding="utf-8")):
            found.append(f"{name}: {source.relative_to(ROOT)} has changed since")
    return found


def stamp(path: Path) -> None:
    """Record in a Korean page that it says what its English page says now."""
    source = followed(path)
    line = f"<!-- follows {source.relative_to(ROOT).as_posix()} {digest(source.read_text(encoding='utf-8'))} -->\n"
    path.write_text(line + FOLLOWS.sub("", path.read_text(encoding="utf-8")), encoding="utf-8")
