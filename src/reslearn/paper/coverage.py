"""What each paper prints, table by table and figure by figure, and what of it is here, from the data themselves.

runnable  at least one row can be trained here, or the figure drawn from such trainings; `why` says of what is not
measured  counted, or measured without training
drawn     a diagram that `reslearn draw` makes from the specs
outside   its numbers stand here, each with the reason why it is not run
absent    not here; named in this list alone
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Literal

from .experiments import experiments
from .published.claims import PAPERS, TABLES

State = Literal["runnable", "measured", "drawn", "outside", "absent"]


@dataclass(frozen=True)
class Covered:
    """One printed table, figure or text."""

    paper: str  # P1 to P5
    what: str  # table 6, figure 1, text
    title: str
    state: State
    name: str  # what `paper show` calls it; a command where it is drawn; empty where it is absent
    why: str  # of what is outside or absent, of all of it or of a part


# How many tables and figures each paper has.
PRINTED: Mapping[str, tuple[int, int]] = MappingProxyType(
    {"P1": (14, 7), "P2": (5, 6), "P3": (8, 7), "P4": (16, 7), "P5": (9, 4)}
)
# Tables and figures that stand here under another name than their own.
ELSEWHERE: Mapping[tuple[str, str], str] = MappingProxyType(
    {("P5", "table 7"): "p5-table8", ("P3", "figure 6"): "p3-table6"}
)


def _blocks(net: str, *changes: str) -> str:
    """The command that draws a block of a net, changed in each of these ways."""
    return " ".join(["draw", *(net + change for change in changes), "--block"])


DRAWINGS: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        ("P1", "figure 2"): ("A residual block", "draw resnet34 --block"),
        ("P1", "figure 3"): ("VGG-19, plain and residual net of 34 layers", "draw vgg19 plain34 resnet34"),
        ("P1", "figure 5"): ("A basic block and a bottleneck", "draw resnet34 resnet50 --block"),
        ("P2", "figure 2"): ("Shortcuts of other kinds", _blocks("resnet110_cifar", "", *(
            "+variant=" + v for v in ("constant_scaling:0.5,0.5", "exclusive_gate:-6", "shortcut_gate:-6")),
            "+shortcut=C", "+variant=dropout_shortcut:0.5")),
        ("P2", "figure 4"): ("Orders of activation", _blocks("resnet110_cifar", "", *(
            "+variant=" + v for v in ("bn_after_addition", "relu_before_addition", "relu_only_preactivation")),
            "+activation=pre")),
        ("P3", "figure 1"): ("A block of ResNet and one of ResNeXt", "draw resnet50 resnext50_32x4d --block"),
        ("P3", "figure 3"): ("Equivalent forms of a ResNeXt block", "draw resnext50_32x4d --block"),
        ("P4", "figure 1"): ("A squeeze-and-excitation gate", "draw se_resnet50 --block"),
        ("P4", "figure 3"): ("A residual block with a gate", "draw resnet50 se_resnet50 --block"),
        ("P4", "figure 5"): ("Places of the gate", _blocks("se_resnet50", "", *(
            f"+variant=se_{v}" for v in ("pre", "post", "identity")))),
        ("P5", "figure 1"): ("Blocks, basic, bottleneck and wide",
                             "draw preact_resnet110_cifar preact_resnet164_cifar wrn28_10_cifar "
                             "wrn28_10_cifar+dropout=0.3 --block"),
    }
)  # fmt: skip
DETECTION = "object detection and localisation: reslearn classifies whole pictures"
ABSENT: Mapping[tuple[str, str], tuple[str, str]] = MappingProxyType(
    {
        **{("P1", f"table {n}"): ("Detection and localisation", DETECTION) for n in range(9, 15)},
        ("P2", "figure 5"): ("Pre-activation as asymmetric activation", "a drawing of the argument, not of a net"),
        ("P3", "figure 2"): ("Inner products as split-transform-merge", "a drawing of the argument, not of a net"),
        ("P3", "figure 4"): ("Aggregated blocks of depth 2", "equal to a wider dense block, so no net is made of it"),
        ("P4", "figure 2"): ("SE-Inception", "Inception nets are not in the catalogue"),
        ("P5", "table 1"): ("Structure of wide nets", "it prints widths as formulas; `reslearn show wrn28_10_cifar`"),
        ("P5", "figure 3"): ("Dropout on SVHN, curves", "its final errors are rows of p5-table6"),
    }
)
# What of a figure is not here although the rest is.
PARTLY: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("P4", "figure 4"): "without its BN-Inception: Inception nets are not in the catalogue",
        ("P4", "figure 6"): "the last gate of each stage; the paper has the two before the very last, too",
        ("P4", "figure 7"): "the last gate of each stage; the paper has the two before the very last, too",
        ("P5", "figure 2"): "CIFAR-10 alone; the paper has CIFAR-100, too",
    }
)
OTHERS: tuple[tuple[str, str, str, str], ...] = (
    ("P4", "text", "Inception-ResNet and Inception, with gates and without", "Inception nets are not in the catalogue"),
    ("P1", "notes", "ndb796's layout of ResNet-18 weights", "a study note's code, not a paper; other layouts are read"),
)


@cache
def coverage() -> tuple[Covered, ...]:
    """Every printed table and figure in order, then the texts, then what else is asked for and absent."""
    printed = [line for paper in PAPERS for line in _printed(paper)]
    texts = [_table(TABLES[name].paper, "text", name) for name in TABLES if not name.split("-")[1].startswith("table")]
    others = [Covered(paper, what, title, "absent", "", why) for paper, what, title, why in OTHERS]
    return (*printed, *texts, *others)


def _printed(paper: str) -> Iterator[Covered]:
    tables, figures = PRINTED[paper]
    for what in (*(f"table {n}" for n in range(1, tables + 1)), *(f"figure {n}" for n in range(1, figures + 1))):
        key = (paper, what)
        name = ELSEWHERE.get(key) or f"{paper}-{what}".lower().replace("figure ", "fig").replace(" ", "")
        if name in TABLES:
            yield _table(paper, what, name)
        elif name in experiments():
            experiment = experiments()[name]
            state: State = "measured" if experiment.measured else "runnable"
            yield Covered(paper, what, experiment.title, state, name, PARTLY.get(key, ""))
        elif key in DRAWINGS:
            yield Covered(paper, what, DRAWINGS[key][0], "drawn", DRAWINGS[key][1], "")
        else:
            yield Covered(paper, what, ABSENT[key][0], "absent", "", ABSENT[key][1])


def _table(paper: str, what: str, name: str) -> Covered:
    table, experiment = TABLES[name], experiments().get(name)
    reasons = list(dict.fromkeys(row.outside for row in table.rows if row.outside))
    if experiment and any(entry.net for entry in experiment.entries):
        without = sum(row.outside is not None for row in table.rows)
        why = f"outside: {without} of {len(table.rows)} rows ({'; '.join(reasons)})" if without else ""
        return Covered(paper, what, table.title, "runnable", name, why)
    if not reasons:
        return Covered(paper, what, table.title, "measured", name, "")
    return Covered(paper, what, table.title, "outside", name, "; ".join(reasons))
