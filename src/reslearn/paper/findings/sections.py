"""The report as values: for each experiment its published numbers beside ours, orders, figure and conclusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from ..cells.store import Result, Store
from ..entry import DATA_NAMES, Entry, Experiment
from ..overview import command, kind
from ..published.tables import Claim
from .conclusions import WORDS, conclude
from .figures import FIGURES, PANELS, curves
from .groups import Group, checked_orders, groups_of, judged
from .operations import chart
from .study_figures import STUDY_FIGURES, ensemble
from .verdicts import Judged


@dataclass(frozen=True)
class Line:
    """One published error beside ours, as text."""

    row: str
    column: str
    published: str
    ours: str
    runs: str
    spread: str
    tier: str
    data: str
    verdict: str
    why: str


@dataclass(frozen=True)
class OrderLine:
    """One claim about two nets, as text."""

    where: str
    claim: str
    subject: str
    other: str
    holds: str


@dataclass(frozen=True)
class Section:
    """One experiment of the report. `draw` makes its figure; None where there is nothing to draw."""

    name: str
    kind: str  # table, figure, study
    title: str
    question: str
    command: str | None
    lines: tuple[Line, ...]
    orders: tuple[OrderLine, ...]
    conclusion: tuple[str, ...]
    shown: str  # which results figure, orders and conclusion are about
    trainings: tuple[str, ...]  # one line per row: steps, recipe, machine, time
    draw: Callable[[], Figure] | None
    caption: str

    @property
    def has_results(self) -> bool:
        """Whether the store holds anything of it (or it needs nothing)."""
        return bool(self.shown)


def make_section(experiment: Experiment, results: Sequence[Result], store: Store) -> Section:
    """Everything the report says of one experiment, from these results alone."""
    groups = [group for group in groups_of(experiment, results) if _compares(experiment, group)]
    best = groups[0] if groups else None
    after = [v for v in store.after(experiment.name) if best and (v["tier"], v["fraction"]) == _tier(best)]
    checked = checked_orders(experiment, best)
    static = not experiment.entries
    return Section(
        name=experiment.name,
        kind=kind(experiment.name),
        title=experiment.title,
        question=experiment.question,
        command=command(experiment),
        lines=tuple(line for entry, found in judged(experiment, groups) for line in _lines(entry, found)),
        orders=tuple(
            OrderLine(o.order.where, o.order.text, _percent(o.subject), _percent(o.other), WORDS.get(o.holds, o.holds))
            for o in checked
        ),
        conclusion=tuple(conclude(experiment.name, best, checked, after)),
        shown="counted" if static else f"{best.tier} on {_data(best.first)}" if best else "",
        trainings=tuple(_trainings(best)) if best else (),
        draw=_drawing(experiment, best, after),
        caption=_caption(experiment),
    )


def _compares(experiment: Experiment, group: Group) -> bool:
    """A study compares: a row that it shares with another study says nothing on its own."""
    return kind(experiment.name) != "study" or len(group.results) > 1 or len(experiment.entries) == 1


def _tier(group: Group) -> tuple[str, float]:
    return group.first.tier, group.first.fraction


def _lines(entry: Entry, found: Sequence[Judged]) -> Iterator[Line]:
    for one in found:
        ours, claim = one.ours, one.claim
        yield Line(
            row=entry.label,
            column=claim.column,
            published=_published(claim),
            ours="" if ours is None else f"{ours.value:.2f}" if ours.value < 100 or not ours.diverged else "diverged",
            runs="" if ours is None else str(ours.n),
            spread="" if ours is None else f"{ours.mean:.2f}" + ("" if ours.std is None else f" ± {ours.std:.2f}"),
            tier="" if ours is None else ours.tier,
            data="" if ours is None else ours.data,
            verdict=one.verdict,
            why=one.why or ("" if ours else f"needs {DATA_NAMES[entry.data]} at --data"),
        )


def _published(claim: Claim) -> str:
    runs = "" if claim.runs == 1 else f" ({claim.statistic} of {claim.runs})"
    return claim.printed + runs


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} %"


def _data(result: Result) -> str:
    leaked = f", of which {result.seen.trained:,} were trained on" if result.seen.trained else ""
    return f"{result.data['name']} ({result.data['train']:,} training, {result.data['test']:,} test pictures{leaked})"


def _trainings(group: Group) -> Iterator[str]:
    for label, results in group.results.items():
        first = results[0]
        recipe, settings = first.recipe, first.settings
        steps = recipe["iterations"] or (first.curve.step[-1] if first.curve.step else 0)
        hours = sum(result.seconds for result in results) / 3600
        where = ", ".join([*(first.machine.get("gpus") or [first.machine.get("cpu", "")])])
        time = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
        yield (
            f"{label}: {steps:,} steps of {recipe['batch_size']} ({recipe['name']}), {len(results)} run"
            f"{'s' if len(results) > 1 else ''}, {settings.get('precision', 'fp32')}, {time} at "
            f"{first.images_per_second:,.0f} images/s on {where}"
        )


def _drawing(experiment: Experiment, group: Group | None, after: Sequence[Any]) -> Callable[[], Figure] | None:
    wanted = experiment.figure
    if wanted == "operations":
        return chart
    if wanted is None or group is None:
        return None
    if wanted == "ensemble":
        return (lambda: ensemble(after[0])) if after else None
    if wanted in ("responses", "gates", "lesion", "degradation") and not _probed(experiment, group):
        return None
    if wanted == "curves":
        return lambda: curves(PANELS[experiment.name], group)
    draw = FIGURES[wanted] if wanted in FIGURES else STUDY_FIGURES[wanted]
    return lambda: draw(group)


def _probed(experiment: Experiment, group: Group) -> bool:
    probes = {probe for entry in experiment.entries for probe in entry.probes}
    return any(probes & set(result.probes) for results in group.results.values() for result in results)


CAPTIONS = {
    "curves": "Error against iterations; thin dashed: training (running mean over an epoch of augmented pictures), "
    "bold: test.",
    "loss_curves": "Training loss (dashed, left axis) and test error (solid, right axis) against iterations.",
    "responses": "Standard deviation of each 3x3 layer's output after BN, before the ReLU or the addition; plain nets "
    "dashed. Right: every layer against what BN's own parameters promise; on the line they are equal.",
    "cardinality": "Test error against model size from one baseline; bars are one standard error of the mean.",
    "bars": "Final errors; each dot is one run.",
    "degradation": "Left: final errors. Middle, right: Euclidean norm of the loss's gradient at each convolution's "
    "output, one batch of 128 training pictures, before the first step and after the last.",
    "constructed": "Training error; the star is the net as built, measured before its first step.",
    "depth": "Final errors against depth.",
    "gates": "Left: final errors. Right: mean share of each block's shortcut that its gate lets through.",
    "lesion": "Test error with one shape-preserving block replaced by its shortcut; dashed: the whole net.",
    "ensemble": "Test error of each member, and of the ensemble as members join from the left.",
    "operations": "Published top-5 error over counted multiply-adds; area: parameters; filled: 10-crop, hollow: single "
    "crop; dotted: the same net with squeeze-and-excitation gates.",
}


def _caption(experiment: Experiment) -> str:
    return CAPTIONS.get(experiment.figure or "", "")
