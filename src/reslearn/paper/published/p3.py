"""P3: Xie, Girshick, Dollar, Tu, He, "Aggregated Residual Transformations for Deep Neural Networks", arXiv 1611.05431.

Nets stride on the 3x3 (its ResNet-50 has 4.1 G multiply-adds, not P1's 3.8 G). ImageNet errors are single-crop.
"""

from __future__ import annotations

from .tables import Column, Table, row

OTHER = "not a residual network of the catalogue"
FB, P2 = "quoted from fb.resnet.torch", "quoted from P2 table 5"
ZCA = "quoted from P5 table 4: ZCA whitening, which no recipe here has"
ERRORS = (Column("top-1"), Column("top-5", "top5_error"))

TABLE1 = Table(
    "p3-table1",
    "ResNet-50 and ResNeXt-50 (32x4d)",
    (Column("params", "parameters"), Column("FLOPs", "macs")),
    (
        row("ResNet-50", "25.5M | 4.1G", net="resnet50"),
        row("ResNeXt-50 (32x4d)", "25.0M | 4.2G", net="resnext50_32x4d"),
    ),
)

TABLE2 = Table(
    "p3-table2",
    "Cardinality against width for the template of conv2",
    (
        Column("d", "width", part="group"),
        Column("width of the group conv", "width", part="bottleneck"),
        Column("params of a block", "parameters", part="block"),
        Column("FLOPs of a block", "macs", part="block"),
    ),
    (
        row("C=1", "64 | 64 | ~70k | ~0.22G", net="resnet50"),
        row("C=2", "40 | 80 | ~70k | ~0.22G", net="resnext50_2x40d"),
        row("C=4", "24 | 96 | ~70k | ~0.22G", net="resnext50_4x24d"),
        row("C=8", "14 | 112 | ~70k | ~0.22G", net="resnext50_8x14d"),
        row("C=32", "4 | 128 | ~70k | ~0.22G", net="resnext50_32x4d"),
    ),
)

TABLE3 = Table(
    "p3-table3",
    "Cardinality against width at equal complexity, ImageNet validation",
    (Column("FLOPs", "macs"), Column("top-1")),
    (
        row("ResNet-50 1x64d", "~4.1G | 23.9", net="resnet50"),
        row("ResNeXt-50 2x40d", "~4.1G | 23.0", net="resnext50_2x40d"),
        row("ResNeXt-50 4x24d", "~4.1G | 22.6", net="resnext50_4x24d"),
        row("ResNeXt-50 8x14d", "~4.1G | 22.3", net="resnext50_8x14d"),
        row("ResNeXt-50 32x4d", "~4.1G | 22.2", net="resnext50_32x4d"),
        row("ResNet-101 1x64d", "~7.8G | 22.0", net="resnet101"),
        row("ResNeXt-101 2x40d", "~7.8G | 21.7", net="resnext101_2x40d"),
        row("ResNeXt-101 4x24d", "~7.8G | 21.4", net="resnext101_4x24d"),
        row("ResNeXt-101 8x14d", "~7.8G | 21.3", net="resnext101_8x14d"),
        row("ResNeXt-101 32x4d", "~7.8G | 21.2", net="resnext101_32x4d"),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLE4 = Table(
    "p3-table4",
    "Twice the complexity: deeper, wider, or more cardinality",
    (Column("FLOPs", "macs"), *ERRORS),
    (
        row("ResNet-101", "~7.8G | 22.0 | 6.0", net="resnet101"),
        row("ResNeXt-101 32x4d", "~7.8G | 21.2 | 5.6", net="resnext101_32x4d"),
        row("ResNet-200", "~15G | 21.7 | 5.8", net="preact_resnet200", context=FB),
        row("ResNet-101, wider (1x100d)", "~15G | 21.3 | 5.7", net="resnet101", group_width=100),
        row("ResNeXt-101 2x64d", "~15G | 20.7 | 5.5", net="resnext101_2x64d"),
        row("ResNeXt-101 64x4d", "~15.6G | 20.4 | 5.3", net="resnext101_64x4d"),
    ),
    data="imagenet",
    protocol="1-crop",
    note="15.6 G for 64x4d is printed by the released code's README.",
)

RESIDUAL = Table(
    "p3-residual",
    "Shortcuts removed (section 5.1)",
    (Column("with shortcuts"), Column("without shortcuts", changes={"shortcut": "none"})),
    (
        row("ResNet-50", "23.9 | 31.2", net="resnet50"),
        row("ResNeXt-50 32x4d", "22.2 | 26.1", net="resnext50_32x4d"),
    ),
    data="imagenet",
    protocol="1-crop",
)

TABLE5 = Table(
    "p3-table5",
    "Comparison on ImageNet validation, single crop",
    (
        Column("224 top-1", protocol="1-crop"),
        Column("224 top-5", "top5_error", protocol="1-crop"),
        Column("320 top-1", protocol="1-crop@320/320"),
        Column("320 top-5", "top5_error", protocol="1-crop@320/320"),
    ),
    (
        row("ResNet-101", "22.0 | 6.0 | - | -", net="resnet101"),
        row("ResNet-200", "21.7 | 5.8 | 20.1 | 4.8", net="preact_resnet200", context=f"{FB} | {FB} | {P2} | {P2}"),
        row("Inception-v3", "- | - | 21.2 | 5.6", outside=OTHER, note="at 299"),
        row("Inception-v4", "- | - | 20.0 | 5.0", outside=OTHER, note="at 299"),
        row("Inception-ResNet-v2", "- | - | 19.9 | 4.9", outside=OTHER, note="at 299"),
        row("ResNeXt-101 64x4d", "20.4 | 5.3 | 19.1 | 4.4", net="resnext101_64x4d"),
    ),
    data="imagenet",
)

BACKBONES = ("ResNet-50", "ResNeXt-50", "ResNet-101", "ResNeXt-101")
TABLE6 = Table(
    "p3-table6",
    "ImageNet-5K: errors of the 5K-way classifier, and of its scores for the 1K classes",
    (
        Column("5K-way top-1", protocol="1-crop, 5K-way"),
        Column("5K-way top-5", "top5_error", protocol="1-crop, 5K-way"),
        Column("1K-way top-1", protocol="1-crop, 1K-way"),
        Column("1K-way top-5", "top5_error", protocol="1-crop, 1K-way"),
    ),
    tuple(
        row(label, cells, outside="ImageNet-5K, a part of ImageNet-22K that is not given out as a set")
        for label, cells in zip(
            BACKBONES,
            ("45.5 | 19.4 | 27.1 | 8.2", "42.3 | 16.8 | 24.4 | 6.6", "42.4 | 16.9 | 24.2 | 6.8",
             "40.1 | 15.1 | 22.2 | 5.7"),
            strict=True,
        )
    ),
    data="imagenet",
)  # fmt: skip

TABLE7 = Table(
    "p3-table7",
    "Test error on CIFAR",
    (Column("params", "parameters"), Column("CIFAR-10", data="cifar10"), Column("CIFAR-100", data="cifar100")),
    (
        row("Wide ResNet", "36.5M | 4.17 | 20.50", net="wrn28_10_cifar", stat="median of 5", context=ZCA),
        row("ResNeXt-29 8x64d", "34.4M | 3.65 | 17.77", net="resnext29_8x64d_cifar"),
        row("ResNeXt-29 16x64d", "68.1M | 3.58 | 17.31", net="resnext29_16x64d_cifar"),
    ),
    protocol="1-crop",
    statistic="mean",
    runs=10,
)

TABLE8 = Table(
    "p3-table8",
    "Object detection on COCO minival, AP (%), Faster R-CNN",
    (Column("AP@.5", "map", protocol="AP@.5"), Column("AP", "map", protocol="AP@[.5,.95]")),
    tuple(
        row(label, cells, outside="object detection: reslearn classifies whole pictures")
        for label, cells in zip(BACKBONES, ("47.6 | 26.5", "49.7 | 27.5", "51.1 | 29.8", "51.9 | 30.0"), strict=True)
    ),
)

TABLES = (TABLE1, TABLE2, TABLE3, TABLE4, RESIDUAL, TABLE5, TABLE6, TABLE7, TABLE8)
