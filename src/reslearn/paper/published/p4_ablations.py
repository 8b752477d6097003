"""P4 section 6: the ablations of SE-ResNet-50, tables 10 to 16, and the fixed schedule of its footnote.

They were trained longer than table 2's nets, with label smoothing and without bias in the gate: compare them with
their own baseline. The gates of other forms are variants (`spec.variant`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .tables import Column, Row, Table, row

BASE: dict[str, Any] = {"net": "resnet50_v1"}
GATED: dict[str, Any] = {"net": "se_resnet50", "stride_on": "1x1", "se_bias": False}
ERRORS = (Column("top-1"), Column("top-5", "top5_error"))
PARAMS, GFLOPS = Column("params", "parameters"), Column("GFLOPs", "macs")
SE, PLAIN = "22.28 | 6.03", "23.30 | 6.55"


def _table(number: int, title: str, columns: tuple[Column, ...], rows: Mapping[str, tuple[str, str | None]]) -> Table:
    """Rows by label: their cells, and the variant of the gate ("" the gate as it is, None no gate)."""
    return Table(
        f"p4-table{number}",
        title,
        columns,
        tuple(_row(label, cells, variant) for label, (cells, variant) in rows.items()),
        data="imagenet",
        protocol="1-crop",
    )


def _row(label: str, cells: str, variant: str | None) -> Row:
    if variant is None:
        return row(label, cells, **BASE)
    return row(label, cells, **GATED, **({"variant": variant} if variant else {}))


TABLE10 = Table(
    "p4-table10",
    "SE-ResNet-50 by reduction ratio",
    (*ERRORS, PARAMS),
    (
        row("r=2", "22.29 | 6.00 | 45.7M", **GATED, se_reduction=2),
        row("r=4", "22.25 | 6.09 | 35.7M", **GATED, se_reduction=4),
        row("r=8", "22.26 | 5.99 | 30.7M", **GATED, se_reduction=8),
        row("r=16", f"{SE} | 28.1M", **GATED, se_reduction=16),
        row("r=32", "22.72 | 6.20 | 26.9M", **GATED, se_reduction=32),
        row("original", f"{PLAIN} | 25.6M", **BASE),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLE11 = _table(11, "SE-ResNet-50 by squeeze operator", ERRORS, {"max": ("22.57 | 6.09", "se_max"), "avg": (SE, "")})

TABLE12 = _table(
    12,
    "SE-ResNet-50 by excitation operator",
    ERRORS,
    {"ReLU": ("23.47 | 6.98", "se_relu"), "tanh": ("23.00 | 6.38", "se_tanh"), "sigmoid": (SE, "")},
)

TABLE13 = _table(
    13,
    "ResNet-50 with SE gates in one stage",
    (*ERRORS, GFLOPS, PARAMS),
    {
        "ResNet-50": (f"{PLAIN} | 3.86G | 25.6M", None),
        "SE stage 2": ("23.03 | 6.48 | 3.86G | 25.6M", "se_stage:2"),
        "SE stage 3": ("23.04 | 6.32 | 3.86G | 25.7M", "se_stage:3"),
        "SE stage 4": ("22.68 | 6.22 | 3.86G | 26.4M", "se_stage:4"),
        "SE all": (f"{SE} | 3.87G | 28.1M", ""),
    },
)

TABLE14 = _table(
    14,
    "SE-ResNet-50 by place of the gate",
    ERRORS,
    {
        "SE": (SE, ""),
        "SE-PRE": ("22.23 | 6.00", "se_pre"),
        "SE-POST": ("22.78 | 6.35", "se_post"),
        "SE-Identity": ("22.20 | 6.15", "se_identity"),
    },
)

TABLE15 = _table(
    15,
    "SE-ResNet-50 with the gate inside the block",
    (*ERRORS, GFLOPS, PARAMS),
    {"SE": (f"{SE} | 3.87G | 28.1M", ""), "SE_3x3": ("22.48 | 6.02 | 3.86G | 25.8M", "se_3x3")},
)

NO_SQUEEZE = "counted, and built by variant=se_no_squeeze; its 300 epochs on ImageNet are not among the trainings here"
TABLE16 = Table(
    "p4-table16",
    "SE-ResNet-50 without the squeeze",
    (*ERRORS, GFLOPS, PARAMS),
    (
        row("ResNet-50", f"{PLAIN} | 3.86G | 25.6M", **BASE, outside="its training is a row of p4-table10"),
        row("NoSqueeze", "22.93 | 6.39 | 4.27G | 28.1M", **GATED, variant="se_no_squeeze", outside=NO_SQUEEZE),
        row("SE", f"{SE} | 3.87G | 28.1M", **GATED, outside="its training is a row of p4-table10"),
    ),
    data="imagenet",
    protocol="1-crop",
)

FIXED = Table(
    "p4-270-epochs",
    "ResNet-50 and SE-ResNet-50 with 270 epochs of fixed schedule (footnote of section 6)",
    ERRORS,
    (row("ResNet-50", "23.21 | 6.53", **BASE), row("SE-ResNet-50", "22.20 | 6.00", **GATED)),
    data="imagenet",
    protocol="1-crop",
    note="Not comparable with tables 10 to 16, whose nets were trained until they no longer improved.",
)

TABLES = (TABLE10, TABLE11, TABLE12, TABLE13, TABLE14, TABLE15, TABLE16, FIXED)
