"""P5: Zagoruyko, Komodakis, "Wide Residual Networks", arXiv 1605.07146. Median of 5 runs on CIFAR.

Table 4 uses ZCA whitening, tables 5 and 6 mean and standard deviation: the same net has two published errors. Table 5
prints P2's CIFAR-100 errors of ResNet-164 and ResNet-1001 in the rows of 110 and 1202 layers, with their parameters;
the rows stand here as printed, and as context.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .tables import Column, Row, Table, row

OTHER = "not a residual network of the catalogue"
CIFAR = (Column("CIFAR-10", data="cifar10"), Column("CIFAR-100", data="cifar100"))
ZCA = "ZCA whitening, which no recipe here has"
WHITENED = tuple(replace(column, context=ZCA) for column in CIFAR)
FB: dict[str, Any] = {"context": "quoted from fb.resnet.torch"}
MEDIAN: dict[str, Any] = {"protocol": "1-crop", "statistic": "median", "runs": 5}


def wide(
    label: str, cells: str, depth: int, k: int, *, kernels: tuple[int, ...] = (3, 3), per_block: int = 0, **changes: Any
) -> Row:
    """A row for WRN-depth-k with blocks of these kernels: widths 16k, 32k, 64k; the depth counts the projections, and
    `per_block` convolutions of each block (0: all of them).

    Where k is 1 the first block changes no shape, and its identity reads the stem's raw output, as in P5's code.
    """
    n = (depth - 4) // (3 * (per_block or len(kernels)))
    own: dict[str, Any] = {"stage_blocks": (n, n, n), "stage_channels": (16 * k, 32 * k, 64 * k),
                           "published_depth": depth}  # fmt: skip
    if kernels != (3, 3):
        own["variant"] = "kernels:" + ",".join(map(str, kernels))
    if k == 1:
        own["first_norm"] = "after_pool"
    return row(label, cells, net="wrn28_10_cifar", **own, **changes)


TABLE2 = Table(
    "p5-table2",
    "CIFAR-10 error by kinds of convolution in a block, k = 2",
    (Column("depth", "depth"), Column("params", "parameters"), Column("time per epoch (s)", "time"), Column("error")),
    (
        wide("B(1,3,1)", "40 | 1.4M | 85.8 | 6.06", 40, 2, kernels=(1, 3, 1), per_block=2),
        wide("B(3,1)", "40 | 1.2M | 67.5 | 5.78", 40, 2, kernels=(3, 1)),
        wide("B(1,3)", "40 | 1.3M | 72.2 | 6.42", 40, 2, kernels=(1, 3)),
        wide("B(3,1,1)", "40 | 1.3M | 82.2 | 5.86", 40, 2, kernels=(3, 1, 1), per_block=2),
        wide("B(3,3)", "28 | 1.5M | 67.5 | 5.73", 28, 2),
        wide("B(3,1,3)", "22 | 1.1M | 59.9 | 5.78", 22, 2, kernels=(3, 1, 3), per_block=2),
    ),
    data="cifar10",
    **MEDIAN,
    note="The printed depths are 6n + 4, two convolutions to a block, and the parameters are those of such n.",
)

TABLE3 = Table(
    "p5-table3",
    "CIFAR-10 error by convolutions per block, WRN-40-2",
    (Column("params", "parameters"), Column("error")),
    (
        wide("l=1", "2.2M | 6.69", 40, 2, kernels=(3,)),
        wide("l=2", "2.2M | 5.43", 40, 2),
        wide("l=3", "2.2M | 5.65", 40, 2, kernels=(3, 3, 3)),
        wide("l=4", "2.2M | 5.93", 40, 2, kernels=(3, 3, 3, 3)),
    ),
    data="cifar10",
    **MEDIAN,
)

TABLE4 = Table(
    "p5-table4",
    "Test error of wide nets on CIFAR, ZCA whitening",
    (Column("params", "parameters"), *WHITENED),
    (
        wide("WRN-40-1", "0.6M | 6.85 | 30.89", 40, 1),
        wide("WRN-40-2", "2.2M | 5.33 | 26.04", 40, 2),
        wide("WRN-40-4", "8.9M | 4.97 | 22.89", 40, 4),
        wide("WRN-40-8", "35.7M | 4.66 | -", 40, 8),
        wide("WRN-28-10", "36.5M | 4.17 | 20.50", 28, 10),
        wide("WRN-28-12", "52.5M | 4.33 | 20.43", 28, 12),
        wide("WRN-22-8", "17.2M | 4.38 | 21.22", 22, 8),
        wide("WRN-22-10", "26.8M | 4.44 | 20.75", 22, 10),
        wide("WRN-16-8", "11.0M | 4.81 | 22.07", 16, 8),
        wide("WRN-16-10", "17.1M | 4.56 | 21.59", 16, 10),
    ),
    **MEDIAN,
)

STOCHASTIC: dict[str, Any] = {"stat": "single", "context": "quoted from arXiv 1603.09382"}
P2 = "quoted from P2"
TABLE5 = Table(
    "p5-table5",
    "Test error of other nets and wide nets on CIFAR, mean and standard deviation",
    (Column("params", "parameters"), *CIFAR),
    (
        *(
            row(label, cells, outside=OTHER, stat=stat)
            for label, cells, stat in (
                ("NIN", "- | 8.81 | 35.67", "single"),
                ("DSN", "- | 8.22 | 34.57", "single"),
                ("FitNet", "- | 8.39 | 35.04", "single"),
                ("Highway", "- | 7.72 | 32.39", "| mean of 5 | single"),
                ("ELU", "- | 6.55 | 24.28", "single"),
            )
        ),
        row("original-ResNet-110", "1.7M | 6.43 | 25.16", net="resnet110_cifar", stat="| best of 5 | median of 5",
            context="| quoted from P1 table 6 | misquoted: P2's ResNet-164"),
        row("original-ResNet-1202", "10.2M | 7.93 | 27.82", net="resnet1202_cifar", stat="| single | median of 5",
            context="| quoted from P1 table 6 | misquoted: P2's ResNet-1001"),
        row("stoc-depth-110", "1.7M | 5.23 | 24.58", net="resnet110_cifar", drop_path=0.5, **STOCHASTIC),
        row("stoc-depth-1202", "10.2M | 4.91 | -", net="resnet1202_cifar", drop_path=0.5, **STOCHASTIC),
        row("pre-act-ResNet-110", "1.7M | 6.37 | -", net="preact_resnet110_cifar", context=P2),
        row("pre-act-ResNet-164", "1.7M | 5.46 | 24.33", net="preact_resnet164_cifar", context=P2),
        row("pre-act-ResNet-1001", "10.2M | 4.92 | 22.71", net="preact_resnet1001_cifar", context=P2,
            note="batch 64: 4.64"),
        wide("WRN-40-4", "8.9M | 4.53 | 21.18", 40, 4),
        wide("WRN-16-8", "11.0M | 4.27 | 20.43", 16, 8),
        wide("WRN-28-10", "36.5M | 4.00 | 19.25", 28, 10),
    ),
    **MEDIAN,
)  # fmt: skip

TABLE6 = Table(
    "p5-table6",
    "Dropout inside the residual block",
    (*CIFAR, Column("SVHN", data="svhn", statistic="single", runs=1, replaces={"dropout": 0.4})),
    (
        wide("WRN-16-4", "5.02 | 24.03 | 1.85", 16, 4),
        wide("WRN-16-4, dropout", "5.24 | 23.91 | 1.64", 16, 4, dropout=0.3),
        wide("WRN-28-10", "4.00 | 19.25 | -", 28, 10),
        wide("WRN-28-10, dropout", "3.89 | 18.85 | -", 28, 10, dropout=0.3),
        wide("WRN-52-1", "6.43 | 29.89 | 2.08", 52, 1),
        wide("WRN-52-1, dropout", "6.28 | 29.78 | 1.70", 52, 1, dropout=0.3),
    ),
    **MEDIAN,
    note="Dropout 0.3 on CIFAR, 0.4 on SVHN.",
)

TIME = Column("time (ms, batch 16)", "time")
WIDTHS = {1.5: (96, 192, 384, 768), 2: (128, 256, 512, 1024), 3: (192, 384, 768, 1536)}
TABLE8 = Table(
    "p5-table8",
    "Single-crop error on ImageNet validation of wide nets (tables 7 and 8)",
    (Column("params", "parameters"), TIME, Column("top-1"), Column("top-5", "top5_error")),
    (
        row("WRN-18-1", "11.7M | - | 30.4 | 10.93", net="resnet18"),
        row("WRN-18-1.5", "25.9M | - | 27.06 | 9.0", net="resnet18", stage_channels=WIDTHS[1.5]),
        row("WRN-18-2", "45.6M | - | 25.58 | 8.06", net="resnet18", stage_channels=WIDTHS[2]),
        row("WRN-18-3", "101.8M | - | 24.06 | 7.33", net="resnet18", stage_channels=WIDTHS[3]),
        row("WRN-34-1", "21.8M | - | 26.77 | 8.67", net="resnet34"),
        row("WRN-34-1.5", "48.6M | - | 24.5 | 7.58", net="resnet34", stage_channels=WIDTHS[1.5]),
        row("WRN-34-2", "86.0M | - | 23.39 | 7.00", net="resnet34", stage_channels=WIDTHS[2]),
        row("ResNet-50", "25.6M | 49 | 24.01 | 7.02", net="resnet50", **FB),
        row("ResNet-101", "44.5M | 82 | 22.44 | 6.21", net="resnet101", **FB),
        row("ResNet-152", "60.2M | 115 | 22.16 | 6.16", net="resnet152", **FB),
        row("WRN-50-2-bottleneck", "68.9M | 93 | 21.9 | 6.03", net="wide_resnet50_2"),
        row("pre-ResNet-200", "64.7M | 154 | 21.66 | 5.79", net="preact_resnet200", **FB),
    ),
    data="imagenet",
    protocol="1-crop",
)

BEST = "a single best run beside the paper's other tables; not among the trainings here"
TABLE9 = Table(
    "p5-table9",
    "Best wide nets on several data sets, single runs",
    (Column("error"), Column("top-5", "top5_error"), Column("mAP", "map")),
    (
        row("CIFAR-10, WRN-40-10, dropout", "3.8 | - | -", data="cifar10", outside=BEST),
        row("CIFAR-100, WRN-40-10, dropout", "18.3 | - | -", data="cifar100", outside=BEST),
        row("SVHN, WRN-16-8, dropout", "1.54 | - | -", data="svhn", outside=BEST),
        row("ImageNet, WRN-50-2-bottleneck", "21.9 | 5.79 | -", data="imagenet", outside=BEST,
            note="table 8 prints 6.03; 5.79 is the top-5 error of pre-ResNet-200 there"),
        row("COCO test-std, WRN-34-2", "- | - | 35.2", outside="object detection: reslearn classifies whole pictures"),
    ),
    protocol="1-crop",
)  # fmt: skip

TABLES = (TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, TABLE8, TABLE9)
