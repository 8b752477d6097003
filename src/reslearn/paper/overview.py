"""What `paper list` and `paper show` tell: experiments and published tables as plain values. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence

from ..spec.codec import to_json
from ..spec.errors import unknown
from .cells.tiers import too_large
from .coverage import coverage
from .entry import DATA_NAMES, Entry, Experiment
from .experiments import experiments
from .published.claims import CLAIMS, PAPERS, TABLES
from .published.static_check import check_all, not_checked
from .published.tables import COUNTED, Claim, Table
from .told import EntryLine, Listed, Published, Shown, Static

STATIC, COVERAGE = "static", "coverage"


def kind(name: str) -> str:
    """table, figure or study."""
    return "study" if name.startswith("study") else "figure" if "fig" in name else "table"


def listing() -> list[Listed]:
    """Every name that `show` knows: the checks, tables in the order of papers, figures, studies."""
    known = experiments()
    found = [_static_line(), _coverage_line()]
    found += [
        _line(known[name]) if name in known
        else {"name": name, "kind": "table", "title": t.title, "rows": len(t.rows), "runnable": 0, "data": []}
        for name, t in TABLES.items()
    ]  # fmt: skip
    found += [_line(experiment) for name, experiment in known.items() if name not in TABLES]
    return found


def details(name: str) -> Shown:
    """A published table, an experiment, or both under one name; `static` is the check of sizes and costs, `coverage`
    the list of what each paper prints."""
    if name == STATIC:
        static = static_values()
        checks, verdicts, outside = static["checks"], static["verdicts"], static["outside"]
        return {"name": STATIC, "checks": checks, "verdicts": verdicts, "outside": outside}
    if name == COVERAGE:
        return {"name": COVERAGE, "coverage": [to_json(line) for line in coverage()]}
    known = experiments()
    if name not in known and name not in TABLES:
        raise unknown("experiment", name, dict.fromkeys([STATIC, COVERAGE, *TABLES, *known]))
    found: Shown = {"name": name, "kind": kind(name)}
    if name in TABLES:
        found |= {"paper": PAPERS[TABLES[name].paper], "published": published(TABLES[name])}
    if name in known:
        experiment = known[name]
        found |= {
            "title": experiment.title,
            "question": experiment.question,
            "entries": [entry_values(entry) for entry in experiment.entries],
            "recipes": list({e.recipe.name: to_json(e.recipe) for e in experiment.entries if e.net}.values()),
            "command": command(experiment),
        }
    elif any(check.table == name for check in check_all()):
        found |= {"command": f"reslearn paper show {STATIC}"}
    return found


def published(table: Table) -> Published:
    """A table as printed."""
    claims = [claim for claim in CLAIMS if claim.table == table.name]
    scored = [claim for claim in claims if claim.quantity not in COUNTED]
    runs = {f"{c.statistic} of {c.runs}" if c.runs > 1 else c.statistic for c in scored}
    return {
        "title": table.title,
        "columns": [column.name for column in table.columns],
        "rows": [
            {"label": r.label, "cells": list(r.cells), "net": r.net, "changes": dict(r.changes), "outside": r.outside,
             "note": r.note, "context": _context([c for c in scored if c.row == r.label])}
            for r in table.rows
        ],
        "note": table.note,
        "statistics": sorted(runs),
        "protocols": sorted({claim.protocol for claim in claims if claim.protocol}),
    }  # fmt: skip


def _context(claims: Sequence[Claim]) -> str:
    """Why numbers of a row are never judged; with their columns where others of the row are."""
    of: dict[str, list[str]] = {}
    for claim in claims:
        of.setdefault(claim.context, []).append(claim.column)
    if len(of) < 2:
        return "".join(of)
    return "; ".join(f"{', '.join(dict.fromkeys(names))}: {why}" for why, names in of.items() if why)


def entry_values(entry: Entry) -> EntryLine:
    """One row of an experiment."""
    return {
        "label": entry.label,
        "net": entry.net,
        "changes": dict(entry.changes),
        "recipe": entry.recipe.name if entry.net else None,
        "data": DATA_NAMES[entry.data],
        "protocols": list(entry.protocols),
        "runs": entry.runs,
        "outside": entry.outside,
        "smoke": entry.net is not None and not too_large(entry),
    }


def static_values() -> Static:
    """The check of every published size and cost."""
    checks = check_all()
    return {
        "checks": [to_json(check) | {"counted": check.counted} for check in checks],
        "verdicts": {v: sum(c.verdict == v for c in checks) for v in ("agrees", "known", "differs")},
        "outside": [{"table": c.table, "row": c.row, "column": c.column, "printed": c.printed, "why": c.outside}
                    for c in not_checked()],
    }  # fmt: skip


def command(experiment: Experiment) -> str | None:
    """The command that runs an experiment, with the data it needs, or shows what is only counted; None where its rows
    are all outside."""
    if experiment.measured:
        return f"reslearn paper run {experiment.name}" + (" --tier short" if experiment.by_tier else "")
    if not experiment.entries:
        return f"reslearn paper report --only {experiment.name}"
    wanted = list(dict.fromkeys(DATA_NAMES[entry.data] for entry in experiment.entries if entry.net))
    if not wanted:
        return None
    return f"reslearn paper run {experiment.name} --data {wanted[0].upper()} --tier short"


def _line(experiment: Experiment) -> Listed:
    return {
        "name": experiment.name,
        "kind": kind(experiment.name),
        "title": experiment.title,
        "rows": len(experiment.entries),
        "runnable": sum(entry.net is not None for entry in experiment.entries),
        "data": list(dict.fromkeys(DATA_NAMES[entry.data] for entry in experiment.entries if entry.net)),
    }


def _coverage_line() -> Listed:
    lines = coverage()
    return {"name": COVERAGE, "kind": "check", "title": "What each paper prints, and what of it is here",
            "rows": len(lines), "runnable": sum(line.state == "runnable" for line in lines), "data": []}  # fmt: skip


def _static_line() -> Listed:
    count = len(check_all())
    return {"name": STATIC, "kind": "check", "title": "Published sizes and costs, counted", "rows": count,
            "runnable": count, "data": []}  # fmt: skip
