"""P5: Zagoruyko, Komodakis, "Wide Residual Networks", arXiv 1605.07146. Median of 5 runs on CIFAR.

Table 4 uses ZCA whitening, tables 5 and 6 mean and standard deviation: the same net has two published errors. Table 5
prints P2's CIFAR-100 errors of ResNet-164 and ResNet-1001 in the rows of 110 and 1202 layers, with their parameters;
the rows stand here as printed.
"""

from __future__ import annotations

from typing import Any

from .tables import Column, Row, Table, row

OTHER = "not a residual network of the catalogue"
CIFAR = (Column("CIFAR-10", data="cifar10"), Column("CIFAR-100", data="cifar100"))
MEDIAN: dict[str, Any] = {"protocol": "1-crop", "statistic": "median", "runs": 5}


def wide(label: str, cells: str, depth: int, k: int, **changes: Any) -> Row:
    """A row for WRN-depth-k: depth 6n + 4, widths 16k, 32k, 64k."""
    n = (depth - 4) // 6
    return row(
        label,
        cells,
        net="wrn28_10_cifar",
        stage_blocks=(n, n, n),
        stage_channels=(16 * k, 32 * k, 64 * k),
        published_depth=depth,
        **changes,
    )


TABLE2 = Table(
    "p5-table2",
    "CIFAR-10 error by kinds of convolution in a block, k = 2",
    (Column("error"),),
    (
        row("B(1,3,1)", "6.06", outside="blocks of other kernels"),
        row("B(3,1)", "5.78", outside="blocks of other kernels"),
        row("B(1,3)", "6.42", outside="blocks of other kernels"),
        row("B(3,1,1)", "5.86", outside="blocks of other kernels"),
        wide("B(3,3)", "5.73", 28, 2),
        row("B(3,1,3)", "5.78", outside="blocks of other kernels"),
    ),
    data="cifar10",
    **MEDIAN,
)

TABLE3 = Table(
    "p5-table3",
    "CIFAR-10 error by convolutions per block, WRN-40-2",
    (Column("params", "parameters"), Column("error")),
    (
        row("l=1", "2.2M | 6.69", outside="one convolution per block"),
        row("l=2", "2.2M | 5.43", net="wrn40_2_cifar"),
        row("l=3", "2.2M | 5.65", outside="three 3x3 convolutions per block"),
        row("l=4", "2.2M | 5.93", outside="four 3x3 convolutions per block"),
    ),
    data="cifar10",
    **MEDIAN,
)

TABLE4 = Table(
    "p5-table4",
    "Test error of wide nets on CIFAR, ZCA whitening",
    (Column("params", "parameters"), *CIFAR),
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
    note="ZCA whitening is not among reslearn's preprocessings, so these errors are context, not targets.",
)

TABLE5 = Table(
    "p5-table5",
    "Test error of other nets and wide nets on CIFAR, mean and standard deviation",
    (Column("params", "parameters"), *CIFAR),
    (
        row("NIN", "- | 8.81 | 35.67", outside=OTHER),
        row("DSN", "- | 8.22 | 34.57", outside=OTHER),
        row("FitNet", "- | 8.39 | 35.04", outside=OTHER),
        row("Highway", "- | 7.72 | 32.39", outside=OTHER),
        row("ELU", "- | 6.55 | 24.28", outside=OTHER),
        row("original-ResNet-110", "1.7M | 6.43 | 25.16", net="resnet110_cifar"),
        row("original-ResNet-1202", "10.2M | 7.93 | 27.82", net="resnet1202_cifar"),
        row("stoc-depth-110", "1.7M | 5.23 | 24.58", net="resnet110_cifar", drop_path=0.5),
        row("stoc-depth-1202", "10.2M | 4.91 | -", net="resnet1202_cifar", drop_path=0.5),
        row("pre-act-ResNet-110", "1.7M | 6.37 | -", net="preact_resnet110_cifar"),
        row("pre-act-ResNet-164", "1.7M | 5.46 | 24.33", net="preact_resnet164_cifar"),
        row("pre-act-ResNet-1001", "10.2M | 4.92 | 22.71", net="preact_resnet1001_cifar", note="batch 64: 4.64"),
        wide("WRN-40-4", "8.9M | 4.53 | 21.18", 40, 4),
        wide("WRN-16-8", "11.0M | 4.27 | 20.43", 16, 8),
        wide("WRN-28-10", "36.5M | 4.00 | 19.25", 28, 10),
    ),
    **MEDIAN,
)

TABLE6 = Table(
    "p5-table6",
    "Dropout inside the residual block",
    (*CIFAR, Column("SVHN", data="svhn")),
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

TABLE8 = Table(
    "p5-table8",
    "Single-crop error on ImageNet validation of wide nets (tables 7 and 8)",
    (Column("params", "parameters"), Column("top-1"), Column("top-5", "top5_error")),
    (
        row("WRN-18-1", "11.7M | 30.4 | 10.93", net="resnet18"),
        row("WRN-18-1.5", "25.9M | 27.06 | 9.0", net="resnet18", stage_channels=(96, 192, 384, 768)),
        row("WRN-18-2", "45.6M | 25.58 | 8.06", net="resnet18", stage_channels=(128, 256, 512, 1024)),
        row("WRN-18-3", "101.8M | 24.06 | 7.33", net="resnet18", stage_channels=(192, 384, 768, 1536)),
        row("WRN-34-1", "21.8M | 26.77 | 8.67", net="resnet34"),
        row("WRN-34-1.5", "48.6M | 24.5 | 7.58", net="resnet34", stage_channels=(96, 192, 384, 768)),
        row("WRN-34-2", "86.0M | 23.39 | 7.00", net="resnet34", stage_channels=(128, 256, 512, 1024)),
        row("ResNet-50", "25.6M | 24.01 | 7.02", net="resnet50"),
        row("ResNet-101", "44.5M | 22.44 | 6.21", net="resnet101"),
        row("ResNet-152", "60.2M | 22.16 | 6.16", net="resnet152"),
        row("WRN-50-2-bottleneck", "68.9M | 21.9 | 6.03", net="wide_resnet50_2"),
        row("pre-ResNet-200", "64.7M | 21.66 | 5.79", net="preact_resnet200"),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLES = (TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, TABLE8)
