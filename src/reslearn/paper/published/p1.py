"""P1: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", arXiv 1512.03385 / CVPR 2016.

Its ImageNet bottleneck nets stride on the first 1x1 (`_v1`), its ResNets of table 2 use option A, and every error
there is 10-crop. "FLOPs" are multiply-adds (section 3.3).
"""

from __future__ import annotations

from .tables import Column, Table, row

SIZES = tuple(Column(f"{s} size", "output_size", part=s) for s in ("conv1", "conv2", "conv3", "conv4", "conv5", "pool"))
COUNTS = tuple(Column(f"{s} blocks", "blocks", part=s) for s in ("conv2", "conv3", "conv4", "conv5"))
ERRORS = (Column("top-1"), Column("top-5", "top5_error"))
OTHER = "not a residual network"

TABLE1 = Table(
    "p1-table1",
    "Architectures for ImageNet",
    (Column("layers", "depth"), *SIZES, *COUNTS, Column("FLOPs", "macs")),
    (
        row("18-layer", "18 | 112 | 56 | 28 | 14 | 7 | 1 | 2 | 2 | 2 | 2 | 1.8G", net="resnet18"),
        row("34-layer", "34 | 112 | 56 | 28 | 14 | 7 | 1 | 3 | 4 | 6 | 3 | 3.6G", net="resnet34", shortcut="A"),
        row("50-layer", "50 | 112 | 56 | 28 | 14 | 7 | 1 | 3 | 4 | 6 | 3 | 3.8G", net="resnet50_v1"),
        row("101-layer", "101 | 112 | 56 | 28 | 14 | 7 | 1 | 3 | 4 | 23 | 3 | 7.6G", net="resnet101_v1"),
        row("152-layer", "152 | 112 | 56 | 28 | 14 | 7 | 1 | 3 | 8 | 36 | 3 | 11.3G", net="resnet152_v1"),
    ),
    note="Transposed: the paper prints one column per network.",
)

TABLE2 = Table(
    "p1-table2",
    "Top-1 error on ImageNet validation, plain against residual",
    (Column("top-1"),),
    (
        row("plain-18", "27.94", net="plain18"),
        row("plain-34", "28.54", net="plain34"),
        row("ResNet-18", "27.88", net="resnet18", shortcut="A"),
        row("ResNet-34", "25.03", net="resnet34", shortcut="A"),
    ),
    data="imagenet",
    protocol="10-crop",
)

TABLE3 = Table(
    "p1-table3",
    "Errors on ImageNet validation, 10-crop testing",
    ERRORS,
    (
        row("VGG-16", "28.07 | 9.33", net="vgg16", context="another group's released net, tested by the authors"),
        row("GoogLeNet", "- | 9.15", outside=OTHER),
        row("PReLU-net", "24.27 | 7.38", outside=OTHER),
        row("plain-34", "28.54 | 10.02", net="plain34"),
        row("ResNet-34 A", "25.03 | 7.76", net="resnet34", shortcut="A"),
        row("ResNet-34 B", "24.52 | 7.46", net="resnet34"),
        row("ResNet-34 C", "24.19 | 7.40", net="resnet34", shortcut="C"),
        row("ResNet-50", "22.85 | 6.71", net="resnet50_v1"),
        row("ResNet-101", "21.75 | 6.05", net="resnet101_v1"),
        row("ResNet-152", "21.43 | 5.71", net="resnet152_v1"),
    ),
    data="imagenet",
    protocol="10-crop",
)

TABLE4 = Table(
    "p1-table4",
    "Errors of single models on ImageNet validation, multi-scale testing",
    ERRORS,
    (
        row("VGG (ILSVRC'14)", "- | 8.43", outside="measured on the test set by the challenge's server"),
        row("GoogLeNet (ILSVRC'14)", "- | 7.89", outside=OTHER),
        row("VGG (v5)", "24.4 | 7.1", net="vgg19", context="quoted from arXiv 1409.1556 table 7: multi-crop and dense"),
        row("PReLU-net", "21.59 | 5.71", outside=OTHER),
        row("BN-inception", "21.99 | 5.81", outside=OTHER, note="arXiv 1502.03167 itself prints 5.82"),
        row("ResNet-34 B", "21.84 | 5.71", net="resnet34"),
        row("ResNet-34 C", "21.53 | 5.60", net="resnet34", shortcut="C"),
        row("ResNet-50", "20.74 | 5.25", net="resnet50_v1"),
        row("ResNet-101", "19.87 | 4.60", net="resnet101_v1"),
        row("ResNet-152", "19.38 | 4.49", net="resnet152_v1"),
    ),
    data="imagenet",
    protocol="multi-scale",
)

TABLE5 = Table(
    "p1-table5",
    "Top-5 error of ensembles on the ImageNet test set",
    (Column("top-5", "top5_error"),),
    (
        row("VGG (ILSVRC'14)", "7.32", outside=OTHER),
        row("GoogLeNet (ILSVRC'14)", "6.66", outside=OTHER),
        row("VGG (v5)", "6.8", outside=OTHER),
        row("PReLU-net", "4.94", outside=OTHER),
        row("BN-inception", "4.82", outside=OTHER),
        row(
            "ResNet (ILSVRC'15)",
            "3.57",
            outside="six nets of different depth, two of them 152 layers deep, on the challenge's own test server",
        ),
    ),
    data="imagenet",
    protocol="ensemble",
)

TABLE6 = Table(
    "p1-table6",
    "Error on the CIFAR-10 test set",
    (Column("layers", "depth"), Column("params", "parameters"), Column("error")),
    (
        row("Maxout", "- | - | 9.38", outside=OTHER),
        row("NIN", "- | - | 8.81", outside=OTHER),
        row("DSN", "- | - | 8.22", outside=OTHER),
        row("FitNet", "19 | 2.5M | 8.39", outside=OTHER),
        row("Highway-19", "19 | 2.3M | best 7.54 (7.72±0.16)", outside=OTHER),
        row("Highway-32", "32 | 1.25M | 8.80", outside=OTHER),
        row("ResNet-20", "20 | 0.27M | 8.75", net="resnet20_cifar"),
        row("ResNet-32", "32 | 0.46M | 7.51", net="resnet32_cifar"),
        row("ResNet-44", "44 | 0.66M | 7.17", net="resnet44_cifar"),
        row("ResNet-56", "56 | 0.85M | 6.97", net="resnet56_cifar"),
        row("ResNet-110", "110 | 1.7M | best 6.43 (6.61±0.16)", net="resnet110_cifar"),
        row("ResNet-1202", "1202 | 19.4M | 7.93", net="resnet1202_cifar"),
    ),
    data="cifar10",
    protocol="1-crop",
    note="Plain nets have no printed errors, only the curves of figures 1 and 6; plain-110 stays above 60 %.",
)

DETECTION = "object detection: reslearn classifies whole pictures"
VOC = (Column("VOC 2007 test", "map", protocol="mAP, trained on 07+12"),
       Column("VOC 2012 test", "map", protocol="mAP, trained on 07++12"))  # fmt: skip

TABLE7 = Table(
    "p1-table7",
    "Object detection on PASCAL VOC, mAP (%), baseline Faster R-CNN",
    VOC,
    (row("VGG-16", "73.2 | 70.4", outside=DETECTION), row("ResNet-101", "76.4 | 73.8", outside=DETECTION)),
)

TABLE8 = Table(
    "p1-table8",
    "Object detection on COCO validation, mAP (%), baseline Faster R-CNN",
    (Column("mAP@.5", "map", protocol="mAP@.5"), Column("mAP@[.5,.95]", "map", protocol="mAP@[.5,.95]")),
    (row("VGG-16", "41.5 | 21.2", outside=DETECTION), row("ResNet-101", "48.4 | 27.2", outside=DETECTION)),
)

TABLES = (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, TABLE7, TABLE8)
