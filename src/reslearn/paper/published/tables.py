"""How a published table is written down: rows of cells exactly as printed, and one `Claim` per printed number.

A cell is the paper's own text: "28.54", "0.27M", "~4.1G", "<0.1", "best 6.43 (6.61±0.16)", "fail" (P2: test error
above 20 %), or "-" where the paper prints nothing. Reading it keeps the printed precision, which is what a recomputed
count is compared at.

A number of the paper's own can be judged. One that it quotes from elsewhere, or measured with another pipeline than
any here, is context: it stands beside ours and is never judged. It keeps its source's statistic, not the table's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from ...spec.errors import UserError

Quantity = Literal[
    "top1_error", "top5_error", "parameters", "macs", "depth", "blocks", "output_size", "width",
    "train_error", "map", "time"
]  # fmt: skip
Statistic = Literal["single", "best", "median", "mean"]

ERRORS = ("top1_error", "top5_error")  # what training can check
COUNTED = ("parameters", "macs", "depth", "blocks", "output_size", "width")  # what arithmetic can check
EXPONENT = {"": 0, "k": 3, "M": 6, "G": 9}
CELL = re.compile(r"(best )?([~<])?(\d+(?:\.(\d+))?)([kMG]?)(?: \((\d+\.\d+)±(\d+\.\d+)\))?")


@dataclass(frozen=True)
class Column:
    """What the numbers of a column are. `data`, `protocol`, `statistic` and `runs` fall back to the table's."""

    name: str
    quantity: Quantity = "top1_error"
    data: str | None = None  # imagenet, cifar10, cifar100, svhn
    protocol: str | None = None  # 1-crop, 10-crop, multi-scale, 1-crop@320/320, ensemble (papers' test sets aside)
    statistic: Statistic | None = None
    runs: int | None = None
    part: str | None = None  # which stage an output size or a block count belongs to
    net: str | None = None  # for tables whose columns, not rows, are networks
    changes: Mapping[str, Any] = field(default_factory=dict)
    replaces: Mapping[str, Any] = field(default_factory=dict)  # values instead of a row's, where the row has them
    context: str = ""  # why its numbers are never judged


@dataclass(frozen=True)
class Row:
    """One printed row. `net` and `changes` name the network in our terms; `outside` says why it is not trained here.

    `stat` ("median of 5", "single") and `context` (why it is never judged) hold for the row, or, with one entry per
    cell, for single cells; an empty entry leaves the column's own.
    """

    label: str
    cells: tuple[str, ...]
    net: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    outside: str | None = None
    data: str | None = None
    protocol: str | None = None
    note: str = ""
    stat: tuple[str, ...] = ()
    context: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One published table."""

    name: str  # p1-table6
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    data: str | None = None
    protocol: str | None = None
    statistic: Statistic = "single"
    runs: int = 1
    note: str = ""

    @property
    def paper(self) -> str:
        """P1 to P5."""
        return self.name.split("-")[0].upper()

    def row(self, label: str) -> Row:
        """The row of that label; an unknown one raises `UserError` listing the labels."""
        for row in self.rows:
            if row.label == label:
                return row
        raise UserError(f"{self.name} has no row '{label}'; its rows: {', '.join(row.label for row in self.rows)}")


@dataclass(frozen=True)
class Claim:
    """One published number, fully resolved."""

    table: str
    row: str
    column: str
    quantity: Quantity
    value: float | None  # None: "fail"
    printed: str
    half_digit: float  # half a unit of the last printed digit: the rounding the paper itself did
    approximate: bool  # printed with a tilde, or as a bound
    statistic: Statistic
    runs: int
    std: float | None
    data: str | None
    protocol: str | None
    part: str | None
    net: str | None
    changes: Mapping[str, Any]
    outside: str | None
    context: str = ""  # why it is never judged; empty for the paper's own numbers

    @property
    def paper(self) -> str:
        """P1 to P5."""
        return self.table.split("-")[0].upper()


def row(label: str, cells: str, net: str | None = None, outside: str | None = None, **rest: Any) -> Row:
    """A row from its cells separated by "|"; `stat` and `context` are written the same way. `data`, `protocol` and
    `note` are the row's; other keywords change the net's spec."""
    own: dict[str, Any] = {name: rest.pop(name) for name in ("data", "protocol", "note") if name in rest}
    own |= {name: _split(rest.pop(name)) for name in ("stat", "context") if name in rest}
    return Row(label, _split(cells), net, rest, outside, **own)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("|"))


def _of_cell(parts: tuple[str, ...], index: int) -> str:
    return "" if not parts else parts[0] if len(parts) == 1 else parts[index]


def expand(table: Table) -> Iterator[Claim]:
    """Every printed number of a table; a "best (mean±std)" cell gives two."""
    for line in table.rows:
        if len(line.cells) != len(table.columns):
            raise ValueError(f"{table.name}, {line.label}: {len(line.cells)} cells for {len(table.columns)} columns")
        for index, (column, cell) in enumerate(zip(table.columns, line.cells, strict=True)):
            if cell != "-":
                yield from _claims(table, line, column, index)


def _claims(table: Table, line: Row, column: Column, index: int) -> Iterator[Claim]:
    cell = line.cells[index]
    common: dict[str, Any] = {
        "table": table.name,
        "row": line.label,
        "column": column.name,
        "quantity": column.quantity,
        "data": line.data or column.data or table.data,
        "protocol": line.protocol or column.protocol or table.protocol,
        "part": column.part,
        "net": line.net or column.net,
        "changes": {**column.changes, **line.changes}
        | {name: value for name, value in column.replaces.items() if name in line.changes},
        "outside": line.outside,
        "context": _of_cell(line.context, index) or column.context,
    }
    statistic, runs = column.statistic or table.statistic, column.runs or table.runs
    if own := _of_cell(line.stat, index):
        statistic, runs = _statistic(own)
    if cell == "fail":
        yield Claim(
            value=None,
            printed=cell,
            half_digit=0,
            approximate=False,
            statistic=statistic,
            runs=runs,
            std=None,
            **common,
        )
        return
    match = CELL.fullmatch(cell)
    if match is None:
        raise ValueError(f"{table.name}, {line.label}, {column.name}: cannot read the cell '{cell}'")
    best, about, number, decimals, suffix, mean, std = match.groups()
    if best:
        statistic, runs = "best", 5
    exponent = EXPONENT[suffix]
    yield Claim(
        value=float(f"{number}e{exponent}"),
        printed=f"{about or ''}{number}{suffix}",
        half_digit=0.5 * 10.0 ** (exponent - len(decimals or "")),
        approximate=bool(about),
        statistic=statistic,
        runs=runs,
        std=None,
        **common,
    )
    if mean is not None:
        yield Claim(
            value=float(mean),
            printed=f"{mean}±{std}",
            half_digit=0.005,
            approximate=False,
            statistic="mean",
            runs=5,
            std=float(std),
            **common,
        )


def _statistic(text: str) -> tuple[Statistic, int]:
    """("median", 5) of "median of 5"."""
    name, _, runs = text.partition(" of ")
    if name not in get_args(Statistic):
        raise ValueError(f"cannot read the statistic '{text}'; e.g. 'median of 5', 'single'")
    return name, int(runs or 1)  # type: ignore[return-value]
