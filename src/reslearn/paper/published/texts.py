"""Numbers that stand in the papers' texts alone, and the challenge's line that they are part of. None is trained here.

ILSVRC: top-5 error on the challenge's test server, each year's best entry and its neighbours.
"""

from __future__ import annotations

from .tables import Column, Table, row

SERVER = "an entry to the challenge, scored by its own server"
TEXT = "stands in the paper's text, without a table; not among the trainings here"

ILSVRC = Table(
    "p1-ilsvrc",
    "ILSVRC classification, top-5 error (%) on the test set, 2012 to 2017",
    (Column("top-5", "top5_error"),),
    (
        row("2012 AlexNet", "15.3", outside=SERVER, note="NIPS 2012: seven nets, two trained on more data"),
        row("2013 Clarifai", "11.7", outside=SERVER, note="arXiv 1409.0575"),
        row("2014 VGG", "7.32", outside=SERVER, note="P1 table 5"),
        row("2014 GoogLeNet", "6.66", outside=SERVER, note="P1 table 5"),
        row("2014 one trained person", "5.1", outside="a person, on 1,500 pictures", note="arXiv 1409.0575"),
        row("2015 ResNet", "3.57", outside=SERVER, note="P1 table 5: six nets"),
        row("2016 ResNeXt", "3.03", outside=SERVER, note="P3 section 1: second place"),
        row("2016 winner", "2.99", outside=SERVER, note="P3"),
        row("2017 SENet", "2.251", outside=SERVER, note="P4 section 1"),
    ),
    protocol="ensemble",
    data="imagenet",
)

P1_TEXT = Table(
    "p1-text",
    "Training error of ResNet-1202 (section 4.2)",
    (Column("training error", "train_error"),),
    (row("ResNet-1202", "<0.1", outside=TEXT, note="its 7.93 % test error stands in p1-table6"),),
    data="cifar10",
    protocol="training pictures",
)

P2_TEXT = Table(
    "p2-text",
    "ResNet-101 with BN after the addition, ImageNet validation (section 4.1)",
    (Column("top-1"), Column("top-5", "top5_error")),
    (row("BN after addition", "24.6 | 7.5", outside=f"{TEXT}; its block is variant=bn_after_addition",
         note="against 23.6 | 7.1 of the original"),),
    data="imagenet",
    protocol="1-crop",
)  # fmt: skip

P3_TEXT = Table(
    "p3-text",
    "ResNeXt-101: training errors (section 5.1), and multi-scale testing of 64x4d (section 5.1)",
    (Column("training error", "train_error", protocol="training pictures"),
     Column("top-1", protocol="multi-scale"), Column("top-5", "top5_error", protocol="multi-scale")),
    (
        row("ResNet-101", "~20 | - | -", outside=TEXT),
        row("ResNeXt-101 32x4d", "~16 | - | -", outside=TEXT),
        row("ResNeXt-101 64x4d", "- | 17.7 | 3.7", outside=TEXT),
    ),
    data="imagenet",
)  # fmt: skip

TABLES = (ILSVRC, P1_TEXT, P2_TEXT, P3_TEXT)
