"""The results of one experiment, grouped by tier and data set; the group that says most is what figures show.

A comparison says most where most of its nets were trained alike, however long one of them was trained alone; a row's
own verdict takes its best result wherever that stands (`verdicts.judge`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..cells.store import Result
from ..cells.tiers import identity
from ..entry import CLASSES, Entry, Experiment
from ..published.orders import of
from ..recipes import REVISIONS
from .verdicts import Judged, Ordered, check_order, judge, rank


@dataclass(frozen=True)
class Group:
    """Results of one tier on one data set, by the entry's label; several seeds each."""

    tier: str  # as a person reads it
    data: str
    results: Mapping[str, Sequence[Result]]

    @property
    def first(self) -> Result:
        """Any result of the group: tier, data and machine are (nearly) the same in all."""
        return next(iter(self.results.values()))[0]

    def curves(self) -> dict[str, Result]:
        """Label -> the run whose curve is shown: the one of median test error."""
        chosen = {}
        for label, results in self.results.items():
            ordered = sorted(results, key=lambda r: 101.0 if r.test_error is None else r.test_error)
            chosen[label] = ordered[(len(ordered) - 1) // 2]
        return chosen


def start_identity(experiment: Experiment, entry: Entry) -> str:
    """Identity of an entry of an experiment, its starting net included."""
    start = identity(experiment.entry(entry.start)) if entry.start else ""
    return identity(entry, start)


def of_older_recipes(experiment: Experiment, results: Sequence[Result]) -> int:
    """How many results are of this experiment's nets by an earlier revision of their recipes. No group has them."""
    revised = [entry for entry in experiment.entries if entry.net and entry.recipe.name in REVISIONS]
    older = {identity(entry, revision=n) for entry in revised for n in range(1, REVISIONS[entry.recipe.name])}
    return sum(result.identity in older for result in results)


def groups_of(experiment: Experiment, results: Sequence[Result]) -> list[Group]:
    """The groups with at least one result of this experiment, the one that says most first. On the pictures of the
    smoke tier a row of several data sets is one."""
    wanted: dict[str, list[Entry]] = {}
    for entry in experiment.entries:
        if entry.net:
            wanted.setdefault(start_identity(experiment, entry), []).append(entry)
    found: dict[tuple[str, str], dict[str, list[Result]]] = {}
    for result in results:
        for entry in wanted.get(result.identity, ()):
            fits = not entry.twin if result.tier == "smoke" else result.data["classes"] == CLASSES[entry.data]
            if fits:
                key = (result.tier_label, f"{result.data['name']}-{result.data['fingerprint'][:8]}")
                found.setdefault(key, {}).setdefault(entry.label, []).append(result)
    made = [
        Group(tier, data, {e.label: by_label[e.label] for e in experiment.entries if e.label in by_label})
        for (tier, data), by_label in found.items()
    ]
    return sorted(made, key=_says, reverse=True)


def _says(group: Group) -> tuple[bool, int, tuple[int, float, int]]:
    """How much a group says: the smoke tier least, then by how many rows it compares, then by how long they trained."""
    return group.first.tier != "smoke", len(group.results), rank(group.first)


def judged(experiment: Experiment, groups: Sequence[Group]) -> list[tuple[Entry, list[Judged]]]:
    """The verdict on every published error of an experiment, entry by entry."""
    return [(entry, [judge(claim, _of_data(entry, groups)) for claim in entry.claims]) for entry in experiment.entries]


def checked_orders(experiment: Experiment, group: Group | None) -> list[Ordered]:
    """Every order that the papers claim among the rows of an experiment, on one group."""
    results = group.results if group else {}
    return [
        check_order(order, results.get(order.subject, ()), results.get(order.other, ()))
        for order in of(experiment.name)
    ]


def _of_data(entry: Entry, groups: Sequence[Group]) -> list[Sequence[Result]]:
    return [group.results[entry.label] for group in groups if entry.label in group.results]
