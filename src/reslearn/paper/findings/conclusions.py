"""What each study found, in plain words, written by its numbers: the sentences change when the results do."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any

from .groups import Group
from .operations import points
from .part_conclusions import PARTS
from .verdicts import Ordered

SMOKE_ONLY = "The smoke tier only shows that the machinery works; read nothing into its numbers."
WORDS = {"holds": "as claimed", "contrary": "contrary to the claim", "unclear": "too close to tell"}


def conclude(
    name: str, group: Group | None, orders: Sequence[Ordered], after: Sequence[Mapping[str, Any]]
) -> list[str]:
    """The conclusion of an experiment: its claims about pairs of nets, then what its own measurements say."""
    if name == "study-operations":
        return list(_operations())
    if group is None:
        return ["Not run."]
    own = OWN.get(name)
    sentences = [sentence(found) for found in orders if found.holds not in ("not run", "not judged")]
    sentences += list(own(group)) if own else []
    if name == "study-ensemble":
        sentences += [text for value in after for text in _ensemble(value)]
    if group.first.tier == "smoke":
        sentences.append(SMOKE_ONLY)
    return sentences


def sentence(found: Ordered) -> str:
    """One claim about two nets with our numbers: `Claimed: ...; found: 9.1 % against 8.2 %, as claimed.`"""
    numbers = f"{found.subject:.2f} % against {found.other:.2f} %"
    return f"Claimed ({found.order.where}): {found.order.text}. Found: {numbers}, {WORDS[found.holds]}."


def _error(group: Group, label: str) -> float | None:
    values = [100.0 if r.test_error is None else r.test_error for r in group.results.get(label, ())]
    return statistics.fmean(values) if values else None


def _constructed(group: Group) -> Iterator[str]:
    for label, run in group.curves().items():
        start = run.probes.get("start")
        if start is None:
            continue
        yield (
            f"{label}: before its first step its training error is {start['train_error']:.2f} %, the shallow net's is "
            f"{start['shallow_train_error']:.2f} % (the same {start['pictures']:,} pictures); no logit differs by more "
            f"than {start['largest_difference']:.1g}."
        )
        scratch = group.curves().get("ResNet-56")
        if run.train_error is not None and scratch is not None and scratch.train_error is not None:
            yield (
                f"Trained on, it ends at {run.train_error:.2f} % training error, now of augmented pictures and so no "
                f"measure beside the line above, and {run.test_error:.2f} % test error; ResNet-56 from scratch ends at "
                f"{scratch.train_error:.2f} % and {scratch.test_error:.2f} %."
            )


def _gates(group: Group) -> Iterator[str]:
    for label, run in group.curves().items():
        found = [block["open"] for block in run.probes.get("gates", [])]
        if found:
            yield (
                f"{label}: its gates end {100 * statistics.fmean(found):.0f} % open on average, "
                f"{100 * min(found):.0f} % at the least."
            )


def _lesion(group: Group) -> Iterator[str]:
    for label, run in group.curves().items():
        found = run.probes.get("lesion")
        if found is None:
            continue
        errors = [error for _, error in found["dropped"]]
        yield (
            f"{label}: {found['intact']:.1f} % test error whole; with one block dropped "
            f"{statistics.median(errors):.1f} % in the median, {max(errors):.1f} % at worst "
            f"({found['pictures']:,} pictures)."
        )


def _ladder(group: Group) -> Iterator[str]:
    errors = {label: _error(group, label) for label in group.results}
    known = {label: error for label, error in errors.items() if error is not None}
    best = min(known, key=lambda label: known[label])
    yield f"Lowest test error: {best}, {known[best]:.2f} %; highest: {max(known.values()):.2f} %."


def _responses(group: Group) -> Iterator[str]:
    means = {}
    for label, run in group.curves().items():
        found = run.probes.get("responses")
        if found:
            means[label] = statistics.fmean(layer["std"] for layer in found)
            gap = max(abs(layer["std"] - layer["closed_form"]) / layer["closed_form"] for layer in found)
            yield (
                f"{label}: {len(found)} layers, mean deviation {means[label]:.3f}; a layer differs from what BN's own "
                f"parameters promise by at most {100 * gap:.1f} %."
            )
    for depth in ("20", "56"):
        plain, residual = means.get(f"plain-{depth}"), means.get(f"ResNet-{depth}")
        if plain and residual:
            word = "smaller" if residual < plain else "not smaller"
            yield f"At {depth} layers the residual net's responses are {word} ({residual:.3f} against {plain:.3f})."
    depths = [means[label] for label in ("ResNet-20", "ResNet-56", "ResNet-110") if label in means]
    if len(depths) > 1:
        falling = all(a > b for a, b in pairwise(depths))
        yield (
            f"Of these residual nets the deeper {'respond less' if falling else 'do not always respond less'}: "
            + ", ".join(f"{value:.3f}" for value in depths)
            + "."
        )


def _ensemble(value: Mapping[str, Any]) -> Iterator[str]:
    members, growing = value["members"], value["growing"]
    best = min(members.values())
    yield (
        f"{len(members)} nets together: {growing[-1]:.2f} % test error; the best member alone {best:.2f} % "
        f"(seed {value['seed']}, {value['pictures']:,} pictures)."
    )


def _operations() -> Iterator[str]:
    at = {point.name: point for point in points()}
    alex, google, vgg = at["AlexNet"], at["GoogLeNet"], at["VGG-16"]
    r50, r101, deep, x50 = at["ResNet-50"], at["ResNet-101"], at["ResNet-152"], at["ResNeXt-50"]
    yield (
        f"AlexNet has {alex.parameters / google.parameters:.1f} times GoogLeNet's parameters and "
        f"{alex.macs / google.macs:.2f} times its operations, and {alex.top5 / google.top5:.1f} times its error "
        f"({alex.top5:.1f} against {google.top5:.2f} %, both 10-crop). It keeps {alex.activations / 1e6:.1f} M "
        f"activations, GoogLeNet {google.activations / 1e6:.1f} M."
    )
    yield (
        f"VGG-16 takes {vgg.macs / google.macs:.1f} times GoogLeNet's operations and "
        f"{vgg.parameters / google.parameters:.0f} times its parameters, for {vgg.top5:.2f} % against "
        f"{google.top5:.2f} %."
    )
    yield (
        f"ResNet-152 is {deep.macs / vgg.macs:.2f} times VGG-16 in operations and "
        f"{deep.parameters / vgg.parameters:.2f} times in parameters, with a lower error ({deep.top5:.2f} % "
        f"single crop against {vgg.top5:.2f} % 10-crop), but keeps "
        f"{deep.activations / vgg.activations:.1f} times its activations."
    )
    yield (
        f"ResNeXt-50 reaches {x50.top5:.2f} % with {x50.macs / 1e9:.1f} G multiply-adds; ResNet-101 needs "
        f"{r101.macs / 1e9:.1f} G for {r101.top5:.2f} %. ResNeXt-50 keeps {x50.activations / r50.activations:.2f} "
        "times the activations of ResNet-50."
    )
    gain = [(name, at[name.removeprefix("SE-")].top5 - p.top5, p.macs / at[name.removeprefix("SE-")].macs - 1)
            for name, p in at.items() if name.startswith("SE-")]  # fmt: skip
    yield (
        f"Gates lower the error of all {len(gain)} nets they are added to, by {min(g for _, g, _ in gain):.2f} to "
        f"{max(g for _, g, _ in gain):.2f} points, for at most {100 * max(c for *_, c in gain):.2f} % more operations."
    )
    yield "Errors are as published; operations, parameters and activations are counted here."


OWN: Mapping[str, Callable[[Group], Iterator[str]]] = MappingProxyType(
    {
        **PARTS,
        "p1-fig7": _responses,
        "study-constructed": _constructed,
        "study-gate": _gates,
        "study-lesion": _lesion,
        "study-shortcuts": _ladder,
        "study-bn": _ladder,
        "study-cardinality": _ladder,
        "study-se": _ladder,
        "study-preactivation": _ladder,
        "study-size": _ladder,
        "study-bn-noise": _ladder,
        "study-se-forms": _ladder,
    }
)
