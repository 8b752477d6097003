"""How a published table is written down: rows of cells exactly as printed, and one `Claim` per printed number.

A cell is the paper's own text: "28.54", "0.27M", "~4.1G", "best 6.43 (6.61±0.16)", "fail" (P2: test error above
20 %), or "-" where the paper prints nothing. Reading it keeps the printed precision, which is what a recomputed
count is compared at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ...spec.errors import UserError

Quantity = Literal["top1_error", "top5_error", "parameters", "macs", "depth", "blocks", "output_size", "width"]
Statistic = Literal["single", "best", "median", "mean"]

ERRORS = ("top1_error", "top5_error")
EXPONENT = {"": 0, "k": 3, "M": 6, "G": 9}
CELL = re.compile(r"(best )?(~)?(\d+(?:\.(\d+))?)([kMG]?)(?: \((\d+\.\d+)±(\d+\.\d+)\))?")


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


@dataclass(frozen=True)
class Row:
    """One printed row. `net` and `changes` name the network in our terms; `outside` says why there is none."""

    label: str
    cells: tuple[str, ...]
    net: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    outside: str | None = None
    data: str | None = None
    protocol: str | None = None
    note: str = ""


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
    approximate: bool  # printed with a tilde
    statistic: Statistic
    runs: int
    std: float | None
    data: str | None
    protocol: str | None
    part: str | None
    net: str | None
    changes: Mapping[str, Any]
    outside: str | None

    @property
    def paper(self) -> str:
        """P1 to P5."""
        return self.table.split("-")[0].upper()


def row(label: str, cells: str, net: str | None = None, outside: str | None = None, **rest: Any) -> Row:
    """A row from its cells separated by "|". `data`, `protocol` and `note` are the row's; other keywords change the
    net's spec."""
    own = {name: rest.pop(name) for name in ("data", "protocol", "note") if name in rest}
    return Row(label, tuple(cell.strip() for cell in cells.split("|")), net, rest, outside, **own)


def expand(table: Table) -> Iterator[Claim]:
    """Every printed number of a table; a "best (mean±std)" cell gives two."""
    for line in table.rows:
        if len(line.cells) != len(table.columns):
            raise ValueError(f"{table.name}, {line.label}: {len(line.cells)} cells for {len(table.columns)} columns")
        for column, cell in zip(table.columns, line.cells, strict=True):
            if cell != "-":
                yield from _claims(table, line, column, cell)


def _claims(table: Table, line: Row, column: Column, cell: str) -> Iterator[Claim]:
    common: dict[str, Any] = {
        "table": table.name,
        "row": line.label,
        "column": column.name,
        "quantity": column.quantity,
        "data": line.data or column.data or table.data,
        "protocol": line.protocol or column.protocol or table.protocol,
        "part": column.part,
        "net": line.net or column.net,
        "changes": {**column.changes, **line.changes},
        "outside": line.outside,
    }
    statistic, runs = column.statistic or table.statistic, column.runs or table.runs
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
    best, tilde, number, decimals, suffix, mean, std = match.groups()
    if best:
        statistic, runs = "best", 5
    exponent = EXPONENT[suffix]
    yield Claim(
        value=float(f"{number}e{exponent}"),
        printed=f"{tilde or ''}{number}{suffix}",
        half_digit=0.5 * 10.0 ** (exponent - len(decimals or "")),
        approximate=bool(tilde),
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
