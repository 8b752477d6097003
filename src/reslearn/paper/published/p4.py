"""P4: Hu, Shen, Albanie, Sun, Wu, "Squeeze-and-Excitation Networks", arXiv 1709.01507 (journal version).

Its ResNets stride on the first 1x1 as P1's do (3.86 G), its ResNeXts on the 3x3. Tables 10 to 15 are ablations of
SE-ResNet-50 with a longer schedule, label smoothing and no bias in the gate: compare them with their own baseline.
"""

from __future__ import annotations

from typing import Any

from .tables import Column, Table, row

OTHER = "not a residual network of the catalogue"
GATE = "a gate of another form, which the catalogue's SE field does not express"
V1: dict[str, Any] = {"stride_on": "1x1"}
ABLATION: dict[str, Any] = {"net": "se_resnet50", **V1, "se_bias": False}
ERRORS = (Column("top-1"), Column("top-5", "top5_error"))

TABLE2 = Table(
    "p4-table2",
    "Errors on ImageNet validation, single crop, and complexity",
    (Column("original top-1"), Column("original top-5", "top5_error"), *ERRORS, Column("GFLOPs", "macs")),
    (
        row("ResNet-50", "24.7 | 7.8 | 24.80 | 7.48 | 3.86G", net="resnet50_v1"),
        row("SE-ResNet-50", "- | - | 23.29 | 6.62 | 3.87G", net="se_resnet50", **V1),
        row("ResNet-101", "23.6 | 7.1 | 23.17 | 6.52 | 7.58G", net="resnet101_v1"),
        row("SE-ResNet-101", "- | - | 22.38 | 6.07 | 7.60G", net="se_resnet101", **V1),
        row("ResNet-152", "23.0 | 6.7 | 22.42 | 6.34 | 11.30G", net="resnet152_v1"),
        row("SE-ResNet-152", "- | - | 21.57 | 5.73 | 11.32G", net="se_resnet152", **V1),
        row("ResNeXt-50", "22.2 | - | 22.11 | 5.90 | 4.24G", net="resnext50_32x4d"),
        row("SE-ResNeXt-50", "- | - | 21.10 | 5.49 | 4.25G", net="se_resnext50_32x4d"),
        row("ResNeXt-101", "21.2 | 5.6 | 21.18 | 5.57 | 7.99G", net="resnext101_32x4d"),
        row("SE-ResNeXt-101", "- | - | 20.70 | 5.01 | 8.00G", net="se_resnext101_32x4d"),
        row("VGG-16", "- | - | 27.02 | 8.81 | 15.47G", net="vgg16_bn"),
        row("SE-VGG-16", "- | - | 25.22 | 7.70 | 15.48G", outside="VGG with SE gates"),
        row("BN-Inception", "25.2 | 7.82 | 25.38 | 7.89 | 2.03G", outside=OTHER),
        row("SE-BN-Inception", "- | - | 24.23 | 7.14 | 2.04G", outside=OTHER),
        row("Inception-ResNet-v2", "19.9 | 4.9 | 20.37 | 5.21 | 11.75G", outside=OTHER),
        row("SE-Inception-ResNet-v2", "- | - | 19.80 | 4.79 | 11.76G", outside=OTHER),
    ),
    data="imagenet",
    protocol="1-crop",
    note="One row per network; the paper prints baseline and SE side by side.",
)

CIFAR = (
    ("ResNet-110", "preact_resnet110_cifar", "6.37", "26.88"),
    ("SE-ResNet-110", "se_preact_resnet110_cifar", "5.21", "23.85"),
    ("ResNet-164", "preact_resnet164_cifar", "5.46", "24.33"),
    ("SE-ResNet-164", "se_preact_resnet164_cifar", "4.39", "21.31"),
    ("WRN-16-8", "wrn16_8_cifar", "4.27", "20.43"),
    ("SE-WRN-16-8", "se_wrn16_8_cifar", "3.88", "19.14"),
    ("Shake-Shake + Cutout", None, "2.56", "15.85"),
    ("SE-Shake-Shake + Cutout", None, "2.12", "15.41"),
)
SHAKE = "Shake-Shake 26 2x96d is not in the catalogue"

TABLE4 = Table(
    "p4-table4",
    "Error on CIFAR-10 (the ResNets are P2's pre-activation ones)",
    (Column("error"),),
    tuple(row(label, ten, net=net, outside=None if net else SHAKE) for label, net, ten, _ in CIFAR),
    data="cifar10",
    protocol="1-crop",
)

TABLE5 = Table(
    "p4-table5",
    "Error on CIFAR-100 (the ResNets are P2's pre-activation ones)",
    (Column("error"),),
    tuple(row(label, hundred, net=net, outside=None if net else SHAKE) for label, net, _, hundred in CIFAR),
    data="cifar100",
    protocol="1-crop",
)

TABLE10 = Table(
    "p4-table10",
    "SE-ResNet-50 by reduction ratio",
    (*ERRORS, Column("params", "parameters")),
    (
        row("r=2", "22.29 | 6.00 | 45.7M", **ABLATION, se_reduction=2),
        row("r=4", "22.25 | 6.09 | 35.7M", **ABLATION, se_reduction=4),
        row("r=8", "22.26 | 5.99 | 30.7M", **ABLATION, se_reduction=8),
        row("r=16", "22.28 | 6.03 | 28.1M", **ABLATION, se_reduction=16),
        row("r=32", "22.72 | 6.20 | 26.9M", **ABLATION, se_reduction=32),
        row("original", "23.30 | 6.55 | 25.6M", net="resnet50_v1"),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLE11 = Table(
    "p4-table11",
    "SE-ResNet-50 by squeeze operator",
    ERRORS,
    (row("max", "22.57 | 6.09", outside=GATE), row("avg", "22.28 | 6.03", **ABLATION)),
    data="imagenet",
    protocol="1-crop",
)

TABLE12 = Table(
    "p4-table12",
    "SE-ResNet-50 by excitation operator",
    ERRORS,
    (
        row("ReLU", "23.47 | 6.98", outside=GATE),
        row("tanh", "23.00 | 6.38", outside=GATE),
        row("sigmoid", "22.28 | 6.03", **ABLATION),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLE13 = Table(
    "p4-table13",
    "ResNet-50 with SE gates in one stage",
    (*ERRORS, Column("params", "parameters")),
    (
        row("ResNet-50", "23.30 | 6.55 | 25.6M", net="resnet50_v1"),
        row("SE stage 2", "23.03 | 6.48 | 25.6M", outside="gates in conv2_x alone"),
        row("SE stage 3", "23.04 | 6.32 | 25.7M", outside="gates in conv3_x alone"),
        row("SE stage 4", "22.68 | 6.22 | 26.4M", outside="gates in conv4_x alone"),
        row("SE all", "22.28 | 6.03 | 28.1M", **ABLATION),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLE14 = Table(
    "p4-table14",
    "SE-ResNet-50 by place of the gate",
    ERRORS,
    (
        row("SE", "22.28 | 6.03", **ABLATION),
        row("SE-PRE", "22.23 | 6.00", outside=GATE),
        row("SE-POST", "22.78 | 6.35", outside=GATE),
        row("SE-Identity", "22.20 | 6.15", outside=GATE),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLE15 = Table(
    "p4-table15",
    "SE-ResNet-50 with the gate inside the block",
    (*ERRORS, Column("params", "parameters")),
    (
        row("SE", "22.28 | 6.03 | 28.1M", **ABLATION),
        row("SE_3x3", "22.48 | 6.02 | 25.8M", outside="the gate after the 3x3 convolution"),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLES = (TABLE2, TABLE4, TABLE5, TABLE10, TABLE11, TABLE12, TABLE13, TABLE14, TABLE15)
