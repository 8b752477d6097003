"""Sections of the report as Markdown, and the pages of the documentation whose tables are made from results."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from ...runtime.opening import read_document
from ...spec.errors import UserError
from ..coverage import coverage
from ..published.claims import TABLES
from ..published.static_check import check_all, not_checked
from .sections import Section

MARK = re.compile(r"<!-- paper (?P<what>[\w-]+) -->.*?<!-- /paper -->", re.DOTALL)
EDGE = re.compile(r"<!-- (?:paper [\w-]+|/paper) -->")
MARKS = "<!-- paper p1-fig6 --> ... <!-- /paper -->"


def render_section(section: Section, figures: str) -> str:
    """One experiment: figure, published numbers beside ours, orders, conclusion, how it was trained."""
    parts = [section.question] if section.question else []
    parts.append(f"Shown: {section.shown}." if section.shown else section.idle)
    if section.draw is not None:
        parts.append(f"![{section.title}]({figures}/{section.name}.png)\n\n*{section.caption}*")
    if section.missing:
        parts.append(section.missing + ".")
    if section.lines:
        names = ("row", "column", "published (%)", "ours (%)", "n", "mean ± sd", "tier", "data", "verdict")
        rows = [(x.row, x.column, x.published, x.ours, x.runs, x.spread, x.tier, x.data, _verdict(x.verdict, x.why))
                for x in section.lines]  # fmt: skip
        parts.append(table(names, rows))
    if section.orders and section.has_results:
        claims = [(o.where, o.claim, o.subject, o.other, o.holds) for o in section.orders]
        parts.append(table(("where", "claim", "first", "second", "found"), claims))
    if section.has_results and section.told:
        parts.append("\n".join(f"- {text}" for text in section.told))
    if section.trainings:
        parts.append("Trained: " + "; ".join(section.trainings) + ".")
    return "\n\n".join(parts)


def render_static(*, all_rows: bool = True) -> str:
    """The check of sizes and costs: every figure, or those alone that are not what counting gives."""
    checks = check_all()
    rows = [(c.table, c.row, c.column, c.printed, c.counted,
             c.verdict + (f": {c.reason}" if c.reason else ""))
            for c in checks if all_rows or c.verdict != "agrees"]  # fmt: skip
    counts = {verdict: sum(c.verdict == verdict for c in checks) for verdict in ("agrees", "known", "differs")}
    head = (
        f"{len(checks)} published figures counted: {counts['agrees']} agree, {counts['known']} differ for a known "
        f"reason, {counts['differs']} differ without one. {len(not_checked())} belong to networks outside the "
        "catalogue."
    )
    return head + "\n\n" + table(("where", "row", "column", "printed", "counted", "verdict"), rows)


def render_coverage() -> str:
    """What each paper prints, and what of it is here."""
    rows = [(c.paper, c.what, c.title, c.state, c.name and f"`{c.name}`", c.why) for c in coverage()]
    return table(("paper", "printed", "what", "here", "name", "why"), rows)


def render_published(name: str) -> str:
    """A published table as printed."""
    found = TABLES[name]
    rows = [(row.label, *row.cells, f"`{row.net}`" if row.net else row.outside or "") for row in found.rows]
    note = f"\n\n{found.note}" if found.note else ""
    return table(("", *(column.name for column in found.columns), "here"), rows) + note


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; columns that are empty throughout are left out."""
    kept = [i for i in range(len(names)) if any(row[i] for row in rows)]
    lines = [
        [names[i] for i in kept],
        ["---"] * len(kept),
        *([row[i].replace("|", "\\|") for i in kept] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def refresh(path: Path, sections: Sequence[Section], figures: str) -> str:
    """The text of a page with its marked blocks made anew.

    `<!-- paper p1-fig6 -->` ... `<!-- /paper -->` holds an experiment, `static` the sizes and costs that are not as
    printed, `coverage` what of each paper is here, `published-NAME` a table as printed. Raises `UserError` for a page
    without such a block or that is no text, and for a mark that is not closed or names nothing.
    """
    by_name = {section.name: section for section in sections}

    def block(match: re.Match[str]) -> str:
        what = match["what"]
        if what == "static":
            body = render_static(all_rows=False)
        elif what == "coverage":
            body = render_coverage()
        elif what.removeprefix("published-") in TABLES and what.startswith("published-"):
            body = render_published(what.removeprefix("published-"))
        elif what in by_name:
            body = render_section(by_name[what], figures)
        else:
            raise UserError(f"{path}: the mark 'paper {what}' names no experiment")
        return f"<!-- paper {what} -->\n\n{body}\n\n<!-- /paper -->"

    try:
        text = read_document(path).decode().replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text; name a Markdown page") from None
    _check_marks(path, text)
    return MARK.sub(block, text)


def _check_marks(path: Path, text: str) -> None:
    """Raise `UserError` unless the page has blocks, each closed before the next."""
    edges = list(EDGE.finditer(text))
    if not edges:
        raise UserError(f"{path}: it has no marked block; write {MARKS} where one shall stand")
    for place, edge in enumerate(edges):
        opens, following = edge[0] != "<!-- /paper -->", edges[place + 1][0] if place + 1 < len(edges) else None
        if place % 2 == 0 and opens and following == "<!-- /paper -->":
            continue
        if place % 2 == 1 and not opens:
            continue
        what = "is never closed" if opens else "closes nothing"
        line = text.count("\n", 0, edge.start()) + 1
        raise UserError(f"{path}, line {line}: {edge[0]} {what}; a block is {MARKS}")


def _verdict(verdict: str, why: str) -> str:
    return f"{verdict} ({why})" if why else verdict
