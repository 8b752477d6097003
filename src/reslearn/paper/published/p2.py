"""P2: He, Zhang, Ren, Sun, "Identity Mappings in Deep Residual Networks", arXiv 1603.05027. CIFAR: median of 5 runs.

Its original 110-layer net is P1's: 6.61 is P1's mean of five runs, quoted. Bottleneck CIFAR nets project where the
width changes.
Variant names are explained in `nets.variants`.
"""

from __future__ import annotations

from typing import Any

from .tables import Column, Table, row

OTHER = "not a residual network"
QUOTED = "quoted from P1 table 6"
P1_MEAN: dict[str, Any] = {"stat": "mean of 5", "context": QUOTED}
FIRST: dict[str, Any] = {"stat": "mean of 5 |", "context": QUOTED + " |"}  # the first cell alone

TABLE1 = Table(
    "p2-table1",
    "CIFAR-10 test error of ResNet-110 with other shortcuts on every unit",
    (Column("error"),),
    (
        row("original", "6.61", net="resnet110_cifar", **P1_MEAN),
        row("constant scaling (0, 1)", "fail", net="plain110_cifar", note="a plain net"),
        row("constant scaling (0.5, 1)", "fail", net="resnet110_cifar", variant="constant_scaling:0.5,1"),
        row("constant scaling (0.5, 0.5)", "12.35", net="resnet110_cifar", variant="constant_scaling:0.5,0.5"),
        row("exclusive gating, b=0", "fail", net="resnet110_cifar", variant="exclusive_gate:0", note="b from 0 to -5"),
        row("exclusive gating, b=-6", "8.70", net="resnet110_cifar", variant="exclusive_gate:-6"),
        row("exclusive gating, b=-7", "9.81", net="resnet110_cifar", variant="exclusive_gate:-7"),
        row("shortcut-only gating, b=0", "12.86", net="resnet110_cifar", variant="shortcut_gate:0"),
        row("shortcut-only gating, b=-6", "6.91", net="resnet110_cifar", variant="shortcut_gate:-6"),
        row("1x1 conv shortcut", "12.22", net="resnet110_cifar", shortcut="C"),
        row("dropout shortcut", "fail", net="resnet110_cifar", variant="dropout_shortcut:0.5"),
    ),
    data="cifar10",
    protocol="1-crop",
    statistic="median",
    runs=5,
    note="fail: test error above 20 %.",
)

TABLE2 = Table(
    "p2-table2",
    "CIFAR-10 test error by order of activation",
    (Column("ResNet-110", net="resnet110_cifar"), Column("ResNet-164", net="resnet164_cifar")),
    (
        row("original", "6.61 | 5.93", **FIRST),
        row("BN after addition", "8.17 | 6.50", variant="bn_after_addition"),
        row("ReLU before addition", "7.84 | 6.14", variant="relu_before_addition"),
        row("ReLU-only pre-activation", "6.71 | 5.91", variant="relu_only_preactivation"),
        row("full pre-activation", "6.37 | 5.46", activation="pre", projection_norm=False),
    ),
    data="cifar10",
    protocol="1-crop",
    statistic="median",
    runs=5,
)

PRE = {"activation": "pre", "projection_norm": False}
ONE_LAYER: dict[str, Any] = {"variant": "one_layer", "stage_blocks": (36, 36, 36), "published_depth": 110}
TABLE3 = Table(
    "p2-table3",
    "Test error of the original unit and the pre-activation unit",
    (Column("original"), Column("pre-activation", changes=PRE)),
    (
        row("CIFAR-10, 110 (1-layer skip)", "9.90 | 8.91", data="cifar10", net="resnet110_cifar", **ONE_LAYER),
        row("CIFAR-10, 110", "6.61 | 6.37", data="cifar10", net="resnet110_cifar", **FIRST),
        row("CIFAR-10, 164", "5.93 | 5.46", data="cifar10", net="resnet164_cifar"),
        row("CIFAR-10, 1001", "7.61 | 4.92", data="cifar10", net="resnet1001_cifar"),
        row("CIFAR-100, 164", "25.16 | 24.33", data="cifar100", net="resnet164_cifar"),
        row("CIFAR-100, 1001", "27.82 | 22.71", data="cifar100", net="resnet1001_cifar"),
    ),
    protocol="1-crop",
    statistic="median",
    runs=5,
)

TABLE4 = Table(
    "p2-table4",
    "Comparison on CIFAR",
    (Column("params", "parameters"), Column("CIFAR-10", data="cifar10"), Column("CIFAR-100", data="cifar100")),
    (
        row("NIN", "- | 8.81 | 35.68", outside=OTHER, stat="single"),
        row("DSN", "- | 8.22 | 34.57", outside=OTHER, stat="single"),
        row("FitNet", "- | 8.39 | 35.04", outside=OTHER, stat="single"),
        row("Highway", "- | 7.72 | 32.39", outside=OTHER, stat="| mean of 5 | single"),
        row("All-CNN", "- | 7.25 | 33.71", outside=OTHER, stat="single"),
        row("ELU", "- | 6.55 | 24.28", outside=OTHER, stat="single"),
        row("FitNet-LSUV", "- | 5.84 | 27.66", outside=OTHER, stat="single"),
        row("ResNet-110", "1.7M | 6.61 | -", net="resnet110_cifar", **P1_MEAN),
        row("ResNet-1202", "19.4M | 7.93 | -", net="resnet1202_cifar", stat="single", context=QUOTED),
        row("ResNet-164", "1.7M | - | 25.16", net="resnet164_cifar"),
        row("ResNet-1001", "10.2M | - | 27.82", net="resnet1001_cifar"),
        row("ResNet-164 pre-act", "1.7M | 5.46 | 24.33", net="preact_resnet164_cifar"),
        row("ResNet-1001 pre-act", "10.2M | 4.92 (4.89±0.14) | 22.71 (22.68±0.22)", net="preact_resnet1001_cifar"),
        row("ResNet-1001 pre-act, batch 64", "10.2M | 4.62 (4.69±0.20) | -", net="preact_resnet1001_cifar"),
    ),
    protocol="1-crop",
    statistic="median",
    runs=5,
)

V1 = {"stride_on": "1x1"}
TABLE5 = Table(
    "p2-table5",
    "Single-crop error on ImageNet validation",
    (Column("top-1"), Column("top-5", "top5_error")),
    (
        row("ResNet-152 original, scale, 224", "23.0 | 6.7", net="resnet152_v1", protocol="1-crop"),
        row("ResNet-152 original, scale, 320", "21.3 | 5.5", net="resnet152_v1"),
        row("ResNet-152 pre-act, scale, 320", "21.1 | 5.5", net="preact_resnet152", **V1),
        row("ResNet-200 original, scale, 320", "21.8 | 6.0", net="resnet200", **V1),
        row("ResNet-200 pre-act, scale, 320", "20.7 | 5.3", net="preact_resnet200", **V1),
        row("ResNet-200 pre-act, scale+aspect, 320", "20.1 | 4.8", net="preact_resnet200", **V1),
        row("Inception v3, scale+aspect, 299", "21.2 | 5.6", outside=OTHER, protocol="1-crop", note="at 299"),
    ),
    data="imagenet",
    protocol="1-crop@320/320",
    note="All strides stand on the first 1x1, as in P1's nets and in P2's code; the paper does not say.",
)

TABLES = (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5)
