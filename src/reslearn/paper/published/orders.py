"""What the papers claim about pairs of nets: which has the higher error. These can be checked at any tier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Literal

Metric = Literal["test_error", "train_error"]


@dataclass(frozen=True)
class Order:
    """`subject` is worse / better / not worse than `other`, both rows of `experiment`, by `metric`."""

    experiment: str
    where: str  # paper and section
    subject: str
    relation: Literal["worse", "better", "not worse"]
    other: str
    metric: Metric = "test_error"

    @property
    def text(self) -> str:
        """The claim as a sentence without its full stop."""
        on = "training" if self.metric == "train_error" else "test"
        return f"{self.subject} is {self.relation} than {self.other} on {on} error"


@cache
def orders() -> tuple[Order, ...]:
    """Every order the papers claim, by experiment."""
    return (*_p1(), *_p2(), *_p3(), *_studies())


def of(experiment: str) -> list[Order]:
    """The orders claimed in one experiment."""
    return [order for order in orders() if order.experiment == experiment]


def _p1() -> Iterator[Order]:
    for name in ("p1-fig1", "p1-fig6", "study-degradation", "study-depth"):
        for metric in ("train_error", "test_error"):
            yield Order(name, "P1 fig. 1, 4.2", "plain-56", "worse", "plain-20", metric)
    for name in ("p1-fig6", "study-degradation", "study-depth"):
        yield Order(name, "P1 fig. 6, 4.2", "ResNet-56", "not worse", "ResNet-20", "train_error")
        yield Order(name, "P1 fig. 6, 4.2", "ResNet-56", "better", "ResNet-20")
        yield Order(name, "P1 4.2", "ResNet-56", "better", "plain-56")
    for deep, shallow in ((32, 20), (44, 32), (56, 44), (110, 56)):
        yield Order("p1-table6", "P1 table 6", f"ResNet-{deep}", "better", f"ResNet-{shallow}")
    yield Order("p1-table6", "P1 4.2", "ResNet-1202", "worse", "ResNet-110")
    for name in ("p1-fig4", "p1-table2"):
        yield Order(name, "P1 table 2", "plain-34", "worse", "plain-18")
        yield Order(name, "P1 table 2", "ResNet-34", "better", "ResNet-18")
    yield Order("p1-fig4", "P1 fig. 4", "plain-34", "worse", "plain-18", "train_error")
    ladder = ("plain-34", "ResNet-34 A", "ResNet-34 B", "ResNet-50", "ResNet-101", "ResNet-152")
    for worse, better in (*pairwise(ladder), ("ResNet-34 B", "ResNet-34 C")):
        yield Order("p1-table3", "P1 table 3", better, "better", worse)


def _p2() -> Iterator[Order]:
    others = ("constant scaling (0.5, 1)", "constant scaling (0.5, 0.5)", "exclusive gating, b=-6",
              "shortcut-only gating, b=0", "1x1 conv shortcut", "dropout shortcut")  # fmt: skip
    for case in others:
        yield Order("p2-table1", "P2 table 1", case, "worse", "original")
    for depth in ("ResNet-110", "ResNet-164"):
        yield Order("p2-table2", "P2 table 2", f"BN after addition, {depth}", "worse", f"original, {depth}")
        yield Order("p2-table2", "P2 table 2", f"full pre-activation, {depth}", "better", f"original, {depth}")
    yield Order("p2-fig1", "P2 fig. 1", "pre-activation", "better", "original")
    yield Order("p2-fig1", "P2 fig. 1", "pre-activation", "better", "original", "train_error")
    for case in ("constant scaling", "exclusive gating", "shortcut-only gating", "1x1 conv"):
        yield Order("p2-fig3", "P2 fig. 3", case, "worse", "original")
        yield Order("p2-fig3", "P2 fig. 3", case, "worse", "original", "train_error")
    yield Order("p2-fig6", "P2 fig. 6", "110, BN after addition", "worse", "110, original")
    yield Order("p2-fig6", "P2 fig. 6", "164, pre-activation", "better", "164, original")


def _p3() -> Iterator[Order]:
    ladder = ("ResNet-50 1x64d", "ResNeXt-50 2x40d", "ResNeXt-50 4x24d", "ResNeXt-50 8x14d", "ResNeXt-50 32x4d")
    for worse, better in pairwise(ladder):
        yield Order("p3-table3", "P3 table 3", better, "better", worse)
    for net in ("ResNet-50", "ResNeXt-50 32x4d"):
        yield Order("p3-residual", "P3 5.1", f"{net}, without shortcuts", "worse", f"{net}, with shortcuts")
    yield Order("p3-table4", "P3 table 4", "ResNeXt-101 64x4d", "better", "ResNet-200")
    for cardinality, width in (("2x64d", "1x99d"), ("4x64d", "1x148d"), ("8x64d", "1x219d")):
        yield Order("p3-fig7", "P3 fig. 7", cardinality, "better", width)


def _studies() -> Iterator[Order]:
    for option in ("A: zero padding", "B: projections where shapes change", "C: projections everywhere"):
        yield Order("study-shortcuts", "P1 4.1", option, "better", "none (plain)")
    for case in ("exclusive gate, b=0", "shortcut gate, b=0"):
        yield Order("study-gate", "P2 3", case, "worse", "identity")
    yield Order("study-gate", "P2 3", "shortcut gate, b=0", "worse", "shortcut gate, b=-6")
    for net in ("ResNet-29, 1x16d", "ResNeXt-29, 4x6d"):
        yield Order("study-resnext-shortcuts", "P3 5.1", f"{net}, no shortcuts", "worse", net)
    yield Order("study-resnext-shortcuts", "P3 5.1", "ResNeXt-29, 4x6d", "better", "ResNet-29, 1x16d")
    yield Order("study-bn", "1502.03167", "no BN, He, lr 0.1", "worse", "BN, He, lr 0.1")
    yield Order("study-bn", "1502.03167", "no BN, std 0.01, lr 0.1", "worse", "BN, std 0.01, lr 0.1")
    yield Order("study-cardinality", "P3 5.1", "4x6d", "better", "1x16d")
    yield Order("study-se", "P4 6.1", "r = 16", "better", "no gate")
    yield Order("study-preactivation", "P2 4", "BN after addition", "worse", "original")
    yield Order("study-preactivation", "P2 4", "full pre-activation", "not worse", "original")
