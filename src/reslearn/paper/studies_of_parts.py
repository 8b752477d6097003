"""Studies of what a net is made of: gradients, responses, size, batch norm, gates, blocks; sources in each question.

`study-gradients` trains nothing and takes seconds. The nets are small, as in `studies.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..paper import recipes as r
from .entry import Entry, Experiment
from .studies import cifar, small_resnext

GRADIENTS = Experiment(
    "study-gradients",
    "Gradients before training",
    (),
    "gradients",
    "P1 section 4.1: with BN a plain net's gradients do not vanish. Measured on untrained nets, one batch of noise: "
    "the median gradient norm of the first third of the layers over that of the last third; and, along a "
    "pre-activation ResNet-56, the factor 1 + F' by which each block multiplies the gradient on its way back.",
    measured="gradients",
)

LONGER = replace(
    r.P1_CIFAR,
    name="paper-cifar-x3",
    source="1512.03385 section 4.2",
    departures=("three times the budget: 192,000 iterations",),
    iterations=192_000,
)

CONVERGENCE = Experiment(
    "study-convergence",
    "How soon nets learn, and whether time cures degradation",
    (
        *(cifar(f"plain-{d}", f"plain{d}_cifar") for d in (20, 56)),
        *(cifar(f"ResNet-{d}", f"resnet{d}_cifar") for d in (20, 56)),
        replace(cifar("plain-56, three times the budget", "plain56_cifar"), recipe=LONGER),
    ),
    "convergence",
    "P1 section 4.1, on ImageNet: of 18 layers the net with shortcuts learns sooner, and three times the iterations "
    "did not cure the deep plain net. Measured: the end of the first epoch whose training error is no higher "
    "than the one with which plain-20 ends.",
)

RESPONSES = Experiment(
    "study-responses",
    "How much a block changes its signal",
    tuple(cifar(f"ResNet-{d}", f"resnet{d}_cifar", "branches") for d in (20, 56, 110)),
    "branches",
    "P1 section 4.2: residual functions might be generally closer to zero than non-residual ones, and a deeper net "
    "changes its signal less in each layer. Measured: |F| / |x| of each block with an identity shortcut, over the test "
    "pictures.",
)

SIZE = Experiment(
    "study-size",
    "Depth, width or cardinality at one budget",
    (
        small_resnext("4x6d, 29 layers", 4, 6),
        small_resnext("deeper: 4x6d, 56 layers", 4, 6, stage_blocks=(6, 6, 6)),
        small_resnext("wider: 4x10d, 29 layers", 4, 10),
        small_resnext("more paths: 8x6d, 29 layers", 8, 6),
    ),
    "bars",
    "P3 section 5.1, table 4, of 101 layers on ImageNet: twice the operations are better spent on cardinality than on "
    "depth or width. Measured: errors of one small net and of three that cost 1.8 to 1.9 times as much.",
)


def _noise() -> Iterator[Entry]:
    for batch in (8, 64, 128):
        told = (f"batch statistics over {batch} pictures instead of 64",)
        other = replace(r.P1_CIFAR, name=f"paper-cifar-bn{batch}", bn_batch=batch, departures=told)
        recipe = r.P1_CIFAR if batch == 64 else other
        yield replace(cifar(f"BN over {batch}", "resnet20_cifar"), recipe=recipe)


BN_NOISE = Experiment(
    "study-bn-noise",
    "The noise of batch statistics",
    tuple(_noise()),
    "bars",
    "1502.03167 section 3.4: a picture's normalisation depends on its neighbours in the batch, which regularises. "
    "Measured: training and test error with statistics over 8, 64 (P1's) and 128 pictures of the same batches.",
)

AFFINE = Experiment(
    "study-bn-affine",
    "What gamma and beta do for the half that ReLU cuts",
    (
        cifar("plain-20, gamma and beta", "plain20_cifar", "cut"),
        cifar("plain-20, neither", "plain20_cifar", "cut", variant="no_affine"),
        cifar("ResNet-20, gamma and beta", "resnet20_cifar", "cut"),
        cifar("ResNet-20, neither", "resnet20_cifar", "cut", variant="no_affine"),
    ),
    "cut",
    "1502.03167 section 3: a normalised signal has mean 0, so that the ReLU behind it would cut half of it; gamma and "
    "beta let the net choose. Measured: errors, and the share of each BN's output below 0.",
)


def _gate_forms() -> Iterator[Entry]:
    shape: dict[str, Any] = {"stem_channels": 16, "stage_channels": (64, 128, 256), "groups": 1, "group_width": 16}
    yield cifar("no gate", "resnext29_1x64d_cifar", **shape)
    for label, variant in (
        ("gate (mean, sigmoid)", None),
        ("max", "se_max"),
        ("no squeeze", "se_no_squeeze"),
        ("ReLU", "se_relu"),
        ("tanh", "se_tanh"),
        ("stage 2 alone", "se_stage:2"),
        ("stage 3 alone", "se_stage:3"),
        ("stage 4 alone", "se_stage:4"),
        ("PRE", "se_pre"),
        ("POST", "se_post"),
        ("Identity", "se_identity"),
        ("after the 3x3", "se_3x3"),
    ):
        yield cifar(label, "resnext29_1x64d_cifar", se_reduction=16, variant=variant, **shape)


SE_FORMS = Experiment(
    "study-se-forms",
    "Gates of other forms and in other places",
    tuple(_gate_forms()),
    "bars",
    "P4 sections 6.2 to 6.6 on a small bottleneck net: mean and sigmoid are the better squeeze and gate, the place "
    "matters little as long as it is before the addition.",
)

EXCITATIONS = Experiment(
    "study-excitations",
    "What gates say of classes, by depth",
    (cifar("SE-ResNet-20, r = 4", "se_resnet20_cifar", "excitations", se_reduction=4),),
    "excitations",
    "P4 section 7.2: gates are alike for all classes in early stages and differ by class further back, until the last "
    "ones, which are nearly alike again. Measured: the mean excitation of each channel for four classes, and over all, "
    "in the last gate of each stage.",
)

STUDIES_OF_PARTS: tuple[Experiment, ...] = (
    GRADIENTS,
    CONVERGENCE,
    RESPONSES,
    SIZE,
    BN_NOISE,
    AFFINE,
    SE_FORMS,
    EXCITATIONS,
)
