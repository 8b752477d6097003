"""What `paper list` and `paper show` tell: experiments and published tables as plain values. Needs no torch."""

from __future__ import annotations

from ..spec.codec import to_json
from ..spec.errors import unknown
from .cells.tiers import too_large
from .coverage import coverage
from .entry import DATA_NAMES, Entry, Experiment
from .experiments import experiments
from .published.claims import CLAIMS, PAPERS, TABLES
from .published.static_check import check_all, not_checked
from .published.tables import Table
from .told import EntryLine, Listed, Published, Shown, Static

STATIC, COVERAGE = "static", "coverage"


def kind(name: str) -> str:
    """table, figure or study."""
    return "study" if name.startswith("study") else "figure" if "fig" in name else "table"


def listing() -> list[Listed]:
    """Every name that `show` knows, in the order of papers."""
    known = experiments()
    static_only = [table for name, table in TABLES.items() if name not in known]
    found = [_static_line(), _coverage_line()]
    found += [_line(experiment) for experiment in known.values()]
    found += [
        {"name": t.name, "kind": "table", "title": t.title, "rows": len(t.rows), "runnable": 0, "data": []}
        for t in static_only
    ]
    order = {"table": 1, "figure": 2, "study": 3, "check": 0}
    return sorted(found, key=lambda line: order[line["kind"]])


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
        raise unknown("experiment", name, [STATIC, COVERAGE, *known, *TABLES])
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
    return found


def published(table: Table) -> Published:
    """A table as printed."""
    claims = [claim for claim in CLAIMS if claim.table == table.name]
    runs = {f"{c.statistic} of {c.runs}" if c.runs > 1 else c.statistic for c in claims}
    return {
        "title": table.title,
        "columns": [column.name for column in table.columns],
        "rows": [
            {"label": r.label, "cells": list(r.cells), "net": r.net, "outside": r.outside, "note": r.note,
             "context": "; ".join(dict.fromkeys(c.context for c in claims if c.row == r.label and c.context))}
            for r in table.rows
        ],
        "note": table.note,
        "statistics": sorted(runs),
        "protocols": sorted({claim.protocol for claim in claims if claim.protocol}),
    }  # fmt: skip


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
    """The command that runs an experiment, with the data it needs; None where nothing is trained."""
    if experiment.measured:
        return f"reslearn paper run {experiment.name}"
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
