"""What the papers argue with, each as a small experiment that one machine can run; sources in each question.

The nets are P1's shallow ones where the argument allows, so that the short tier fits a laptop. Where an entry is the
same training as a figure's, the results store holds it once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..paper import recipes as r
from .entry import Entry, Experiment


def cifar(label: str, net: str, *probes: str, **changes: Any) -> Entry:
    """A net on CIFAR-10 by P1's recipe."""
    return Entry(label, net, changes, r.P1_CIFAR, probes=probes)


def small_resnext(label: str, groups: int, group_width: int, **changes: Any) -> Entry:
    """A 29-layer bottleneck net of a quarter of ResNeXt-29's width: P3's question at 47 M multiply-adds."""
    shape: dict[str, Any] = {
        "stem_channels": 16,
        "stage_channels": (64, 128, 256),
        "groups": groups,
        "group_width": group_width,
    }
    return cifar(label, "resnext29_1x64d_cifar", **shape, **changes)


CONTINUED = replace(
    r.P1_CIFAR,
    name="paper-cifar-continued",
    source="1512.03385 section 4.2",
    departures=("a quarter of the budget, at the second learning rate: 16,000 iterations at 0.01",),
    iterations=16_000,
    lr=0.01,
    schedule="constant",
    milestones=(),
)

DEGRADATION = Experiment(
    "study-degradation",
    "Degradation is neither over-fitting nor vanishing gradients",
    (
        *(cifar(f"plain-{d}", f"plain{d}_cifar", "gradients") for d in (20, 56)),
        *(cifar(f"ResNet-{d}", f"resnet{d}_cifar", "gradients") for d in (20, 56)),
    ),
    "degradation",
    "P1 section 1 and 4.1: the deeper plain net is worse on the training set too, so it does not over-fit; and P1 "
    "found its gradients, with BN, to be healthy. Measured: final errors, and gradient norms per layer, before and "
    "after training.",
)

CONSTRUCTED = Experiment(
    "study-constructed",
    "The constructed solution",
    (
        cifar("ResNet-20", "resnet20_cifar"),
        cifar("ResNet-56", "resnet56_cifar"),
        Entry("ResNet-56 built from ResNet-20", "resnet56_cifar", recipe=CONTINUED, start="ResNet-20"),
    ),
    "constructed",
    "P1 section 1: a deeper net whose added layers do nothing is as good as the shallow one, so a deeper net should "
    "never train worse. Measured: ResNet-56 built from a trained ResNet-20 by blocks with f = 0, then trained on.",
)

SHORTCUTS = Experiment(
    "study-shortcuts",
    "Shortcut options",
    tuple(
        cifar(label, net, **changes)
        for label, net, changes in (
            ("none (plain)", "plain20_cifar", {}),
            ("A: zero padding", "resnet20_cifar", {}),
            ("B: projections where shapes change", "resnet20_cifar", {"shortcut": "B"}),
            ("C: projections everywhere", "resnet20_cifar", {"shortcut": "C"}),
        )
    ),
    "bars",
    "P1 section 4.1, of 34 layers on ImageNet: options A, B and C are all far better than none, and differ little from "
    "each other. Here it is 20 layers on CIFAR-10.",
)

DEPTH = Experiment(
    "study-depth",
    "Depth",
    (
        *(cifar(f"plain-{d}", f"plain{d}_cifar") for d in (20, 32, 44, 56)),
        *(cifar(f"ResNet-{d}", f"resnet{d}_cifar") for d in (20, 32, 44, 56)),
    ),
    "depth",
    "P1 section 4.2: plain nets get worse with depth, residual nets get better.",
)

GATE = Experiment(
    "study-gate",
    "A gate that closes against an identity that cannot",
    tuple(
        cifar(label, "resnet20_cifar", *probes, **changes)
        for label, probes, changes in (
            ("identity", (), {}),
            ("exclusive gate, b=0", ("gates",), {"variant": "exclusive_gate:0"}),
            ("exclusive gate, b=-6", ("gates",), {"variant": "exclusive_gate:-6"}),
            ("shortcut gate, b=0", ("gates",), {"variant": "shortcut_gate:0"}),
            ("shortcut gate, b=-6", ("gates",), {"variant": "shortcut_gate:-6"}),
        )
    ),
    "gates",
    "P1 section 2 and P2 section 3: an identity shortcut is never closed; a gate can close, and the further it is from "
    "open at the start, the worse the net. Measured: test error, and how open each block's shortcut ends.",
)

RESNEXT_SHORTCUTS = Experiment(
    "study-resnext-shortcuts",
    "Shortcuts removed from a ResNeXt",
    (
        small_resnext("ResNet-29, 1x16d", 1, 16),
        small_resnext("ResNet-29, 1x16d, no shortcuts", 1, 16, shortcut="none"),
        small_resnext("ResNeXt-29, 4x6d", 4, 6),
        small_resnext("ResNeXt-29, 4x6d, no shortcuts", 4, 6, shortcut="none"),
    ),
    "bars",
    "P3 section 5.1, of 50 layers on ImageNet: without shortcuts both families lose much, and aggregated "
    "transformations stay the better representation: cardinality helps with shortcuts and without.",
)


def _norm_entries() -> Iterator[Entry]:
    for norm, variant in (("BN", {"he": None, "small": "init:0.01"}),
                          ("no BN", {"he": "no_norm", "small": "no_norm_init:0.01"})):  # fmt: skip
        for init in ("he", "small"):
            for lr in (0.1, 0.01):
                slow = replace(r.P1_CIFAR, name="paper-cifar-lr0.01", lr=lr, departures=("lr 0.01 instead of 0.1",))
                recipe = r.P1_CIFAR if lr == 0.1 else slow
                how = "He" if init == "he" else "std 0.01"
                entry = cifar(f"{norm}, {how}, lr {lr:g}", "plain20_cifar", variant=variant[init])
                yield replace(entry, recipe=recipe)


NORM = Experiment(
    "study-bn",
    "Batch normalisation, learning rate and initialisation",
    tuple(_norm_entries()),
    "bars",
    "1502.03167: with BN a net trains at higher learning rates and minds less how it was initialised. Expected of the "
    "20 layers here: without it they diverge or stand still unless both are right.",
)

LESION = Experiment(
    "study-lesion",
    "One block dropped from a trained net",
    (
        cifar("plain-56", "plain56_cifar", "lesion"),
        cifar("ResNet-56", "resnet56_cifar", "lesion"),
    ),
    "lesion",
    "1605.06431: a residual net hardly notices a missing block, a plain net breaks. Measured: test error with each "
    "shape-preserving block left out, so that its input goes on as it is, on the same pictures.",
)

CARDINALITY = Experiment(
    "study-cardinality",
    "Cardinality against width at equal cost",
    tuple(small_resnext(f"{c}x{d}d", c, d) for c, d in ((1, 16), (2, 10), (4, 6))),
    "bars",
    "P3 section 5.1: at equal parameters and operations, more groups of smaller width give the lower error.",
)

RATIO = Experiment(
    "study-se",
    "Squeeze-and-excitation by reduction ratio",
    (
        cifar("no gate", "resnet20_cifar"),
        *(cifar(f"r = {ratio}", "se_resnet20_cifar", se_reduction=ratio) for ratio in (16, 8, 4, 2)),
    ),
    "bars",
    "P4 section 6.1, of SE-ResNet-50 on ImageNet: gates help, and how narrow they are matters little. Here a stage has "
    "16 channels, where r = 16 leaves one unit.",
)

PREACTIVATION = Experiment(
    "study-preactivation",
    "Order of activation",
    tuple(
        cifar(label, "resnet20_cifar", **changes)
        for label, changes in (
            ("original", {}),
            ("BN after addition", {"variant": "bn_after_addition"}),
            ("ReLU before addition", {"variant": "relu_before_addition"}),
            ("ReLU-only pre-activation", {"variant": "relu_only_preactivation"}),
            ("full pre-activation", {"activation": "pre", "projection_norm": False}),
        )
    ),
    "bars",
    "P2 section 4: what stands between two additions matters. The published gains are at 110 layers and more; at 20 "
    "they are expected to be small, and BN after the addition to hurt.",
)

ENSEMBLE = Experiment(
    "study-ensemble",
    "An ensemble of different depths",
    tuple(cifar(f"ResNet-{d}", f"resnet{d}_cifar") for d in (20, 32, 44, 56)),
    "ensemble",
    "P1 section 4.1: the winning entry combined six nets of different depth. Measured: the mean of the members' "
    "probabilities, on the test set, beside the members.",
    after="ensemble",
)

OPERATIONS = Experiment(
    "study-operations",
    "Accuracy against operations, parameters and memory",
    (),
    "operations",
    "P1 table 3, P3 and P4: published ImageNet errors over counted multiply-adds and over the activations that a "
    "training must keep, for AlexNet, GoogLeNet, VGG, ResNet, ResNeXt and SENet. Nothing is trained.",
)

STUDIES: tuple[Experiment, ...] = (
    DEGRADATION,
    CONSTRUCTED,
    SHORTCUTS,
    DEPTH,
    GATE,
    RESNEXT_SHORTCUTS,
    NORM,
    LESION,
    CARDINALITY,
    RATIO,
    PREACTIVATION,
    ENSEMBLE,
    OPERATIONS,
)
