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
    return (*_p1(), *_p2(), *_p3(), *_p4_p5(), *_studies(), *_studies_of_parts())


def of(experiment: str) -> list[Order]:
    """The orders claimed in one experiment."""
    return [order for order in orders() if order.experiment == experiment]


def _p1() -> Iterator[Order]:
    for name in ("p1-fig1", "p1-fig6", "study-degradation", "study-depth"):
        for metric in ("train_error", "test_error"):
            yield Order(name, "P1 fig. 1, 4.2", "plain-56", "worse", "plain-20", metric)
    yield Order("p1-fig6", "P1 4.2", "plain-110", "worse", "plain-56")
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


def _p4_p5() -> Iterator[Order]:
    for net in ("ResNet-110", "ResNet-164", "WRN-16-8"):
        for table in ("p4-table4", "p4-table5"):
            yield Order(table, f"P4 table {table[8:]}", f"SE-{net}", "better", net)
    for net in ("ResNet-50", "ResNet-152", "ResNeXt-50"):
        yield Order("p4-fig4", "P4 fig. 4", f"SE-{net}", "better", net)
        yield Order("p4-fig4", "P4 fig. 4", f"SE-{net}", "better", net, "train_error")
    yield Order("p4-270-epochs", "P4 6, footnote", "SE-ResNet-50", "better", "ResNet-50")
    for table, subject, relation, other in (
        ("p4-table11", "avg", "better", "max"),
        ("p4-table12", "sigmoid", "better", "tanh"),
        ("p4-table12", "tanh", "better", "ReLU"),
        ("p4-table13", "SE all", "better", "SE stage 4"),
        ("p4-table13", "SE stage 4", "better", "ResNet-50"),
        ("p4-table14", "SE", "better", "SE-POST"),
    ):
        yield Order(table, f"P4 table {table[8:]}", subject, relation, other)  # type: ignore[arg-type]
    yield Order("p5-table2", "P5 table 2", "B(3,3)", "better", "B(1,3)")
    for convs in ("l=1", "l=3", "l=4"):
        yield Order("p5-table3", "P5 table 3", "l=2", "better", convs)
    yield Order("p5-fig2", "P5 fig. 2", "WRN-28-10", "better", "ResNet-164 pre-act")


def _studies_of_parts() -> Iterator[Order]:
    longer = "plain-56, three times the budget"
    yield Order("study-convergence", "P1 4.1", longer, "worse", "plain-20", "train_error")
    yield Order("study-convergence", "P1 4.1", longer, "worse", "ResNet-56", "train_error")
    yield Order("study-size", "P3 table 4", "more paths: 8x6d, 29 layers", "better", "deeper: 4x6d, 56 layers")
    yield Order("study-size", "P3 table 4", "more paths: 8x6d, 29 layers", "better", "wider: 4x10d, 29 layers")
    yield Order("study-bn-noise", "1502.03167 3.4", "BN over 8", "worse", "BN over 128", "train_error")
    for net in ("plain-20", "ResNet-20"):
        subject, other = f"{net}, gamma and beta", f"{net}, neither"
        yield Order("study-bn-affine", "1502.03167 3", subject, "not worse", other)
    for form in ("max", "ReLU", "tanh", "POST"):
        yield Order("study-se-forms", "P4 6.2 to 6.5", "gate (mean, sigmoid)", "better", form)
    yield Order("study-se-forms", "P4 6", "gate (mean, sigmoid)", "better", "no gate")


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
