"""What to train so that a published table or figure can be checked: rows of (network, recipe, data, protocol, runs).

    p1-table6        a published table: one entry per row whose network the catalogue can express
    p1-fig6          a published figure: the nets whose curves it shows
    study-shortcuts  a question that the papers argue about (`studies.py`)

An entry is a value; `tiers.py` shortens it, `run.py` trains it, `store.py` keeps what came out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from ..paper import recipes as r
from ..spec.errors import unknown
from ..spec.recipe import Recipe
from .entry import Entry, Experiment
from .published.claims import TABLES, errors
from .published.tables import Claim
from .studies import STUDIES
from .studies_of_parts import STUDIES_OF_PARTS

# Which recipe a table's nets are trained with, by the kind of data.
TABLE_RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "p1/cifar": r.P1_CIFAR,
        "p1/imagenet": r.P1_IMAGENET,
        "p2/cifar": r.P2_CIFAR,
        "p2/imagenet": r.P1_IMAGENET,
        "p3/cifar": r.P3_CIFAR,
        "p3/imagenet": r.P3_IMAGENET,
        "p4/cifar": r.P4_CIFAR,
        "p4/imagenet": r.P4_IMAGENET,
        "p5/cifar": r.P5_CIFAR,
        "p5/svhn": r.P5_SVHN,
        "p5/imagenet": r.FB_IMAGENET,
    }
)
# Tables and rows that were trained otherwise than the rest of their paper.
TABLE_OWN: Mapping[str, Recipe] = MappingProxyType(
    {**{f"p4-table{n}": r.P4_ABLATION for n in range(10, 17)}, "p4-270-epochs": r.P4_FIXED}
)
ROW_RECIPES: Mapping[tuple[str, str], Recipe] = MappingProxyType(
    {
        ("p1-table3", "VGG-16"): r.VGG_IMAGENET,
        ("p1-table4", "VGG (v5)"): r.VGG_IMAGENET,
        ("p2-table4", "ResNet-1001 pre-act, batch 64"): r.P2_CIFAR_64,
        ("p2-table5", "ResNet-200 pre-act, scale+aspect, 320"): r.P2_IMAGENET_ASPECT,
        ("p3-table7", "Wide ResNet"): r.P5_CIFAR,
        **{(f"p4-table{n}", f"{se}WRN-16-8"): r.P5_CIFAR for n in (4, 5) for se in ("", "SE-")},
        **{("p5-table5", f"original-ResNet-{depth}"): r.P1_CIFAR for depth in (110, 1202)},
        **{("p5-table5", f"stoc-depth-{depth}"): r.STOCHASTIC_DEPTH for depth in (110, 1202)},
        **{("p5-table5", f"pre-act-ResNet-{depth}"): r.P2_CIFAR for depth in (110, 164, 1001)},
    }
)


def _recipe(table: str, row: str, data: str) -> Recipe:
    found = ROW_RECIPES.get((table, row)) or TABLE_OWN.get(table)
    return found or TABLE_RECIPES.get(f"{table.split('-')[0]}/{data.rstrip('01')}", r.P1_CIFAR)


def _from_table(name: str) -> Experiment:
    """One entry per row and, where columns are other nets or other data, per column."""
    groups: dict[tuple[Any, ...], list[Claim]] = {}
    for claim in errors(name):
        changes = tuple(sorted((key, repr(value)) for key, value in claim.changes.items()))
        groups.setdefault((claim.row, claim.net, changes, claim.data), []).append(claim)
    shared = [key[0] for key in groups]
    entries: list[Entry] = []
    for (row, net, _, data), claims in groups.items():
        label = row if shared.count(row) == 1 else f"{row}, {claims[0].column}"
        twins = [e.label for e in entries if e.net and e.claims[0].row == row and e.data != data and e.net == net]
        entries.append(
            Entry(
                label=label,
                net=None if claims[0].outside else net,
                changes=claims[0].changes,
                recipe=_recipe(name, row, str(data)),
                data=str(data),
                protocols=tuple(dict.fromkeys(str(claim.protocol) for claim in claims)),
                runs=max(claim.runs for claim in claims),
                claims=tuple(claims),
                outside=claims[0].outside,
                twin=twins[0] if twins else None,
            )
        )
    return Experiment(name, TABLES[name].title, tuple(entries))


def _cifar(kind: str, depths: tuple[int, ...], **rest: Any) -> Iterator[Entry]:
    """6n+2 nets of P1; the published errors of the residual ones stand in table 6."""
    for depth in depths:
        yield Entry(f"{'ResNet' if kind == 'resnet' else kind}-{depth}", f"{kind}{depth}_cifar", **rest)


def _imagenet(*names: str, **changes: Any) -> Iterator[Entry]:
    for name in names:
        label = name.replace("resnet", "ResNet-").replace("plain", "plain-")
        own = changes if name.startswith("resnet") else {}
        yield Entry(label, name, own, r.P1_IMAGENET, "imagenet")


def _p2(label: str, net: str = "resnet110_cifar", **changes: Any) -> Entry:
    return Entry(label, net, changes, r.P2_CIFAR)


def _resnext29(label: str, groups: int, width: int) -> Entry:
    changes = {"groups": groups, "group_width": width}
    return Entry(label, "resnext29_1x64d_cifar", changes, r.P3_CIFAR, runs=10)


def _figures() -> Iterator[Experiment]:
    yield Experiment("p1-fig1", "Degradation: plain-20 and plain-56", tuple(_cifar("plain", (20, 56))), "curves")
    yield Experiment(
        "p1-fig4",
        "Plain nets and ResNets of 18 and 34 layers on ImageNet",
        (*_imagenet("plain18", "plain34"), *_imagenet("resnet18", "resnet34", shortcut="A")),
        "curves",
    )
    depths = (20, 32, 44, 56, 110, 1202)
    yield Experiment(
        "p1-fig6",
        "Plain nets and ResNets of growing depth on CIFAR-10",
        (*_cifar("plain", depths[:5]), *_cifar("resnet", depths)),
        "curves",
    )
    probes = ("responses",)
    yield Experiment(
        "p1-fig7",
        "Standard deviation of layer responses",
        (*_cifar("plain", (20, 56), probes=probes), *_cifar("resnet", (20, 56, 110), probes=probes)),
        "responses",
    )
    yield Experiment(
        "p2-fig1",
        "1001 layers: the original unit and the pre-activation unit",
        (_p2("original", "resnet1001_cifar"), _p2("pre-activation", "preact_resnet1001_cifar")),
        "loss_curves",
    )
    yield Experiment(
        "p2-fig3",
        "ResNet-110 with other shortcuts",
        (
            _p2("original"),
            _p2("constant scaling", variant="constant_scaling:0.5,0.5"),
            _p2("exclusive gating", variant="exclusive_gate:-6"),
            _p2("shortcut-only gating", variant="shortcut_gate:0"),
            _p2("1x1 conv", shortcut="C"),
        ),
        "loss_curves",
    )
    yield Experiment(
        "p2-fig6",
        "BN after the addition (110 layers), and pre-activation (164 layers)",
        (
            _p2("110, original"),
            _p2("110, BN after addition", variant="bn_after_addition"),
            _p2("164, original", "resnet164_cifar"),
            _p2("164, pre-activation", "preact_resnet164_cifar"),
        ),
        "loss_curves",
    )
    yield Experiment(
        "p3-fig5",
        "ResNet and ResNeXt of equal complexity on ImageNet",
        tuple(
            Entry(label, net, {}, r.P3_IMAGENET, "imagenet")
            for label, net in (
                ("ResNet-50", "resnet50"),
                ("ResNeXt-50 32x4d", "resnext50_32x4d"),
                ("ResNet-101", "resnet101"),
                ("ResNeXt-101 32x4d", "resnext101_32x4d"),
            )
        ),
        "curves",
    )
    yield Experiment(
        "p3-fig7",
        "CIFAR-10 error against model size: more cardinality or more width",
        (
            *(_resnext29(f"{c}x64d", c, 64) for c in (1, 2, 4, 8, 16)),
            # One group, as wide as makes the model as large as 2, 4, 8 groups of 64.
            *(_resnext29(f"1x{d}d", 1, d) for d in (99, 148, 219)),
        ),
        "cardinality",
    )


def _later_figures() -> Iterator[Experiment]:
    """Figures of P4 and P5."""
    v1 = {"stride_on": "1x1"}
    nets: tuple[tuple[str, str, dict[str, Any]], ...]
    nets = (("ResNet-50", "resnet50_v1", {}), ("SE-ResNet-50", "se_resnet50", v1),
            ("ResNet-152", "resnet152_v1", {}), ("SE-ResNet-152", "se_resnet152", v1),
            ("ResNeXt-50", "resnext50_32x4d", {}), ("SE-ResNeXt-50", "se_resnext50_32x4d", {}))  # fmt: skip
    yield Experiment(
        "p4-fig4",
        "Nets with gates and without, on ImageNet",
        tuple(Entry(label, net, changes, r.P4_IMAGENET, "imagenet") for label, net, changes in nets),
        "curves",
    )
    excited = (Entry("SE-ResNet-50", "se_resnet50", v1, r.P4_IMAGENET, "imagenet", probes=("excitations",)),)
    yield Experiment("p4-fig6", "Excitations by class at growing depth", excited, "excitations")
    yield Experiment("p4-fig7", "Excitations within a class at growing depth", excited, "excitation_spread")
    yield Experiment(
        "p5-fig2",
        "A thin and a wide net on CIFAR-10",
        (
            Entry("ResNet-164 pre-act", "preact_resnet164_cifar", {}, r.P5_CIFAR),
            Entry("WRN-28-10", "wrn28_10_cifar", {}, r.P5_CIFAR),
        ),
        "curves",
    )
    yield Experiment(
        "p5-fig4",
        "Time of one minibatch, forward and backward: thin and wide nets",
        (),
        "times",
        "P5 section 1 and figure 4: a wide net of 16 layers is as good as a thin one of 1000 with about as many "
        "parameters, and several times faster to train. Measured here: the median time of a minibatch, forward and "
        "backward.",
        measured="times",
        by_tier=True,
    )


def _all() -> Iterator[Experiment]:
    yield from (_from_table(name) for name in TABLES if errors(name))
    yield from _figures()
    yield from _later_figures()
    yield from STUDIES
    yield from STUDIES_OF_PARTS


@cache
def experiments() -> Mapping[str, Experiment]:
    """Every experiment by name, in the order of papers, figures, studies."""
    return MappingProxyType({experiment.name: experiment for experiment in _all()})


def get_experiment(name: str) -> Experiment:
    """The experiment of that name; an unknown one names its nearest neighbours."""
    known = experiments()
    if name not in known:
        raise unknown("experiment", name, known)
    return known[name]
