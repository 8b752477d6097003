"""What `paper list|show|run` print for a person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .output import put

if TYPE_CHECKING:
    from ..paper.told import Listed, Measured, Outcome, PublishedRow, Shown


def print_listing(lines: list[Listed]) -> None:
    """One line per experiment: its rows, those with a network here, and the data they need."""
    rows = [[line["name"], f"{line['runnable']}/{line['rows']}", ", ".join(line["data"]) or "-", line["title"]]
            for line in lines]  # fmt: skip
    _columns(["name", "rows", "data", "what"], rows, right=(1,))


def print_details(found: Shown) -> None:
    """A published table, an experiment's rows, or the static check."""
    if "checks" in found:
        _print_checks(found)
        return
    if "coverage" in found:
        rows = [
            [c["paper"], c["what"], c["state"], c["name"] or "-", ": ".join(filter(None, (c["title"], c["why"])))]
            for c in found["coverage"]
        ]
        _columns(["paper", "printed", "here", "name", "what"], rows)
        return
    if "published" in found:
        _print_published(found)
        put()
    if "entries" not in found:
        if "command" in found:
            put(f"counted by: {found['command']}")
        return
    if found["question"]:
        put(found["title"], *found["question"].split("\n"), "")
    rows = [
        [e["label"], _changed(e["net"], e["changes"]), e["recipe"] or "-", e["data"], " ".join(e["protocols"]),
         str(e["runs"])]
        for e in found["entries"]
        if e["net"]
    ]  # fmt: skip
    if rows:
        _columns(["row", "network", "recipe", "data", "protocol", "runs"], rows, right=(5,))
    for recipe in found["recipes"]:
        departures = "; ".join(recipe["departures"])
        put(f"recipe {recipe['name']}: {recipe['source']}" + (f" ({departures})" if departures else ""))
    if found["command"]:
        put(f"run it: {found['command']}")


def print_outcome(found: Outcome) -> None:
    """The cells of a run or a dry run, or what was measured."""
    if "measured" in found:
        _print_measured(found["measured"])
        return
    if "note" in found:
        put(found["note"])
        return
    rows = []
    for cell in found["cells"]:
        state = f"not run: {cell['why']}" if cell.get("why") else cell["state"]
        if cell.get("diverged") is not None:
            state = f"diverged at step {cell['diverged']}"
        steps = "-" if cell["steps"] is None else f"{cell['steps']:,}"
        errors = [_percent(cell.get("test_error")), _percent(cell.get("train_error"))]
        rows.append([cell["row"], str(cell["seed"]), cell["tier"], steps, *errors, state])
    _columns(["row", "seed", "tier", "steps", "test error", "train error", "state"], rows, right=(1, 3, 4, 5))
    for cell in found["cells"]:
        seen = cell.get("seen", {}).get("trained")
        if seen:
            put(f"{cell['row']}: {seen:,} of the test pictures were trained on, too: its test error promises too much")
    for line in found["left_out"]:
        put(f"{line['row']}: left out: {line['why']}")
    for command in dict.fromkeys(cell["command"] for cell in found["cells"] if "command" in cell):
        put(command)


def _print_published(found: Shown) -> None:
    table = found["published"]
    put(f"{table['title']} ({found['paper']})")
    if table["statistics"]:
        put(f"protocol and statistic: {', '.join([*table['protocols'], *table['statistics']])}")
    rows = [[row["label"], *row["cells"], _here(row)] for row in table["rows"]]
    _columns(["", *table["columns"], "network"], rows, right=range(1, len(table["columns"]) + 1))
    if table["note"]:
        put(table["note"])


def _here(row: PublishedRow) -> str:
    """The row's network here; why it is not trained, or why it is never judged; what the paper remarks on it."""
    remarks = [row["outside"] and f"outside: {row['outside']}", row["context"] and f"context: {row['context']}"]
    told = "; ".join(remark for remark in (*remarks, row["note"]) if remark)
    net = "-" if row["outside"] and not row["net"] else _changed(row["net"] or "its column's", row["changes"])
    return " ".join(part for part in (net, told and f"({told})") if part)


def _changed(net: str, changes: Mapping[str, object]) -> str:
    return net + "".join(f", {name}={value}" for name, value in changes.items() if value is not None)


WIDEST = 80  # of a column, in characters
HEADS = {"seconds": "median (s)", "spread": "largest less smallest (s)", "macs": "multiply-adds",
         "ratio": "gradient norm, first third / last third"}  # fmt: skip


def _print_measured(found: Measured | None) -> None:
    """What was measured on untrained nets, with units; lists are left to its JSON."""
    if found is None:
        put("to be measured")
        return
    names = [name for name, value in found["rows"][0].items() if not isinstance(value, list)]
    rows = [[_plain(name, row[name]) for name in names] for row in found["rows"]]
    numbers = [i for i, name in enumerate(names) if isinstance(found["rows"][0][name], int | float)]
    _columns([HEADS.get(name, name) for name in names], rows, right=numbers)


def _plain(name: str, value: object) -> str:
    """A number with three digits, multiply-adds in G; anything else as it is."""
    if name == "macs" and isinstance(value, int):
        return f"{value / 1e9:.2f} G"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _print_checks(found: Shown) -> None:
    rows = [
        [c["table"], c["row"], c["column"], c["printed"], c["counted"],
         c["verdict"] + (f": {c['reason']}" if c["reason"] else "")]
        for c in found["checks"]
    ]  # fmt: skip
    _columns(["where", "row", "column", "printed", "counted", "verdict"], rows, right=(3, 4))
    put("; ".join(f"{count} {verdict}" for verdict, count in found["verdicts"].items()))


def _columns(names: Sequence[str], rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Aligned columns; the last one is as long as it is, so lines are never broken, and so is a cell that is wider than
    a column should be, such as a command."""
    aligned, columns = set(right), zip(names, *rows, strict=True)
    widths = [max(len(cell) for cell in column if len(cell) <= WIDEST) for column in columns]
    for row in (names, *rows):
        cells = [
            cell.rjust(w) if i in aligned else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ]
        put("  ".join(cells).rstrip())


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} %"
