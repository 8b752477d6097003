"""P4: Hu, Shen, Albanie, Sun, Wu, "Squeeze-and-Excitation Networks", arXiv 1709.01507 (journal version).

Its ResNets stride on the first 1x1 as P1's do (3.86 G), its ResNeXts on the 3x3. Its ablations stand in
`p4_ablations`. Of tables 8 and 9 the paper's own rows stand here, not those of other groups.
"""

from __future__ import annotations

from typing import Any

from .tables import Column, Table, row

OTHER = "not a residual network of the catalogue"
V1: dict[str, Any] = {"stride_on": "1x1"}
ERRORS = (Column("top-1"), Column("top-5", "top5_error"))
ORIGINAL = "quoted from the net's own paper"
DETECTION = "object detection: reslearn classifies whole pictures"

TABLE1 = Table(
    "p4-table1",
    "Hidden widths of the gates in SE-ResNet-50 and SE-ResNeXt-50, r = 16",
    tuple(Column(f"conv{s}", "width", part=f"gate{s}") for s in (2, 3, 4, 5)),
    tuple(
        row(label, "16 | 32 | 64 | 128", net=net, outside="an architecture table: counted, there is nothing to train")
        for label, net in (("SE-ResNet-50", "se_resnet50"), ("SE-ResNeXt-50 32x4d", "se_resnext50_32x4d"))
    ),
    note="The paper prints the layers of P1 table 1 and P3 table 1 beside them.",
)

TABLE2 = Table(
    "p4-table2",
    "Errors on ImageNet validation, single crop, and complexity",
    (
        Column("original top-1", context=ORIGINAL),
        Column("original top-5", "top5_error", context=ORIGINAL),
        *ERRORS,
        Column("GFLOPs", "macs"),
    ),
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

TABLE3 = Table(
    "p4-table3",
    "Errors of small nets on ImageNet validation, single crop",
    ERRORS,
    tuple(
        row(label, cells, outside=OTHER)
        for label, cells in (
            ("MobileNet", "28.4 | 9.4"),
            ("SE-MobileNet", "25.3 | 7.7"),
            ("ShuffleNet", "32.6 | 12.5"),
            ("SE-ShuffleNet", "31.0 | 11.1"),
        )
    ),
    data="imagenet",
    protocol="1-crop",
)

FROM_P2: dict[str, Any] = {"stat": "median of 5", "context": "quoted from P2 tables 3 and 4"}
FROM_P5: dict[str, Any] = {"stat": "median of 5", "context": "quoted from P5 table 5"}
ELSEWHERE: dict[str, Any] = {"context": "quoted, the paper does not say from where"}
# label, net, error on CIFAR-10, on CIFAR-100, what is quoted of the first and of the second
CIFAR: tuple[tuple[str, str, str, str, dict[str, Any], dict[str, Any]], ...] = (
    ("ResNet-110", "preact_resnet110_cifar", "6.37", "26.88", FROM_P2, ELSEWHERE),
    ("SE-ResNet-110", "se_preact_resnet110_cifar", "5.21", "23.85", {}, {}),
    ("ResNet-164", "preact_resnet164_cifar", "5.46", "24.33", FROM_P2, FROM_P2),
    ("SE-ResNet-164", "se_preact_resnet164_cifar", "4.39", "21.31", {}, {}),
    ("WRN-16-8", "wrn16_8_cifar", "4.27", "20.43", FROM_P5, FROM_P5),
    ("SE-WRN-16-8", "se_wrn16_8_cifar", "3.88", "19.14", {}, {}),
)

TABLE4 = Table(
    "p4-table4",
    "Error on CIFAR-10 (the ResNets are P2's pre-activation ones)",
    (Column("error"),),
    (
        *(row(label, ten, net=net, **own) for label, net, ten, _, own, _ in CIFAR),
        row("Shake-Shake 26 2x96d + Cutout", "2.56", outside="Shake-Shake is not in the catalogue"),
        row("SE-Shake-Shake 26 2x96d + Cutout", "2.12", outside="Shake-Shake is not in the catalogue"),
    ),
    data="cifar10",
    protocol="1-crop",
)

TABLE5 = Table(
    "p4-table5",
    "Error on CIFAR-100 (the ResNets are P2's pre-activation ones)",
    (Column("error"),),
    (
        *(row(label, hundred, net=net, **own) for label, net, _, hundred, _, own in CIFAR),
        row("Shake-Even 29 2x4x64d + Cutout", "15.85", outside="Shake-Even is not in the catalogue"),
        row("SE-Shake-Even 29 2x4x64d + Cutout", "15.41", outside="Shake-Even is not in the catalogue"),
    ),
    data="cifar100",
    protocol="1-crop",
)

TABLE6 = Table(
    "p4-table6",
    "Errors on Places365 validation, single crop",
    ERRORS,
    tuple(
        row(label, cells, outside="Places365: reslearn has no experiment on it")
        for label, cells in (
            ("Places-365-CNN", "41.07 | 11.48"),
            ("ResNet-152", "41.15 | 11.61"),
            ("SE-ResNet-152", "40.37 | 11.01"),
        )
    ),
    data="places365",
    protocol="1-crop",
)

TABLE7 = Table(
    "p4-table7",
    "Object detection on COCO minival, AP (%), Faster R-CNN",
    (Column("AP@.5", "map", protocol="AP@.5"), Column("AP", "map", protocol="AP@[.5,.95]")),
    tuple(
        row(label, cells, outside=DETECTION)
        for label, cells in (
            ("ResNet-50", "57.9 | 38.0"),
            ("SE-ResNet-50", "61.0 | 40.4"),
            ("ResNet-101", "60.1 | 39.9"),
            ("SE-ResNet-101", "62.7 | 41.9"),
        )
    ),
)

SENET154 = "SENet-154 (a 64x4d ResNeXt-152 with other stems, widths and shortcuts) is not in the catalogue"
TABLE8 = Table(
    "p4-table8",
    "SENet-154 on ImageNet validation, single crop",
    (
        Column("224 top-1", protocol="1-crop"),
        Column("224 top-5", "top5_error", protocol="1-crop"),
        Column("320 top-1", protocol="1-crop@320/320"),
        Column("320 top-5", "top5_error", protocol="1-crop@320/320"),
    ),
    (row("SENet-154", "18.68 | 4.47 | 17.28 | 3.79", outside=SENET154),),
    data="imagenet",
)

TABLE9 = Table(
    "p4-table9",
    "SENet-154 trained after the challenge at 320 pixels, ImageNet validation, single crop",
    ERRORS,
    (row("SENet-154", "16.88 | 3.58", outside=SENET154),),
    data="imagenet",
    protocol="1-crop@320/320",
)

TABLES = (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, TABLE7, TABLE8, TABLE9)
