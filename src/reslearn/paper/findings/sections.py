"""The report as values: for each experiment its published numbers beside ours, orders, figure and conclusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

from ..cells.store import Result, Store
from ..entry import DATA_NAMES, Entry, Experiment
from ..overview import command, kind
from ..published.tables import Claim
from .captions import CAPTIONS
from .conclusions import SMOKE_ONLY, WORDS, conclude
from .figures import FIGURES, PANELS, curves
from .groups import Group, checked_orders, groups_of, judged
from .missing import left_out, missing_rows, probed, undrawn
from .operations import chart
from .part_conclusions import MEASURED, computer
from .part_figures import MEASURED_FIGURES, PART_FIGURES
from .study_figures import STUDY_FIGURES, ensemble
from .verdicts import Judged, Ordered, rank

DRAWN: Mapping[str, Callable[[Group], Figure]] = {**FIGURES, **STUDY_FIGURES, **PART_FIGURES}


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
    """One experiment of the report. `draw` makes its figure; None where there is nothing to draw, and then `missing`
    says why and what to run, as it does of results that are left out."""

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
    missing: str = ""

    @property
    def has_results(self) -> bool:
        """Whether the store holds anything of it (or it needs nothing)."""
        return bool(self.shown)

    @property
    def idle(self) -> str:
        """What is said in the place of results where there are none."""
        return f"Not run: `{self.command}`." if self.command else "Nothing of it can be run here; each row says why."

    @property
    def told(self) -> tuple[str, ...]:
        """The conclusion without the claims about pairs of nets, which stand in a table of their own."""
        return tuple(text for text in self.conclusion if not text.startswith("Claimed"))


def make_section(experiment: Experiment, results: Sequence[Result], store: Store) -> Section:
    """Everything the report says of one experiment, from these results alone."""
    groups = [group for group in groups_of(experiment, results) if _compares(experiment, group)]
    best = groups[0] if groups else None
    after = [v for v in store.after(experiment.name) if best and (v["tier"], v["fraction"]) == _tier(best)]
    measured = store.measured(experiment.name) if experiment.measured else None
    checked = checked_orders(experiment, best)
    draw = _drawing(experiment, best, after, measured)
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
        conclusion=tuple(_concluded(experiment, best, checked, after, measured)),
        shown=_shown(experiment, groups, measured),
        trainings=tuple(_trainings(experiment, groups, undrawn(experiment, best) if draw else ())),
        draw=draw,
        caption=CAPTIONS.get(experiment.figure or "", ""),
        missing=". ".join(
            filter(None, (missing_rows(experiment, best, drawn=draw is not None), left_out(experiment, results)))
        ),
    )


def _concluded(
    experiment: Experiment, best: Group | None, checked: Sequence[Ordered], after: Sequence[Any], measured: Any
) -> list[str]:
    if experiment.measured:
        told = list(MEASURED[experiment.measured](measured)) if measured else ["Not run."]
        return [*told, SMOKE_ONLY] if measured and _is_smoke(experiment, measured) else told
    return conclude(experiment.name, best, checked, after)


def _shown(experiment: Experiment, groups: Sequence[Group], measured: Any) -> str:
    if experiment.measured:
        smoke = "smoke, " if measured and _is_smoke(experiment, measured) else ""
        return f"{smoke}measured on {computer(measured)}" if measured else ""
    if not experiment.entries:
        return "counted"
    if not groups:
        return ""
    longer = [_beside(group) for group in groups[1:] if rank(group.first) > rank(groups[0].first)]
    return "; ".join([f"{groups[0].tier} on {_data(groups[0].first)}", *longer])


def _is_smoke(experiment: Experiment, measured: Any) -> bool:
    """Whether what was measured is a trial alone; what is the same at every tier never is."""
    return experiment.by_tier and measured["tier"] == "smoke"


def _beside(group: Group) -> str:
    """Rows that were trained for longer than those shown, but too few to compare."""
    errors = {label: run.test_error for label, run in group.curves().items()}
    said = ", ".join(f"{label} {_percent(error)}" for label, error in errors.items() if error is not None)
    return f"besides, {group.tier} of {said} test error"


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
            why=one.why if ours or entry.outside else _needs(entry, one.why),
        )


def _needs(entry: Entry, why: str) -> str:
    return "; ".join(filter(None, (f"needs {DATA_NAMES[entry.data]} at --data", why and f"context: {why}")))


def _published(claim: Claim) -> str:
    runs = "" if claim.runs == 1 else f" ({claim.statistic} of {claim.runs})"
    return claim.printed + runs


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} %"


def _data(result: Result) -> str:
    leaked = f", of which {result.seen.trained:,} were trained on" if result.seen.trained else ""
    return f"{result.data['name']} ({result.data['train']:,} training, {result.data['test']:,} test pictures{leaked})"


def _trainings(experiment: Experiment, groups: Sequence[Group], without: Sequence[str]) -> Iterator[str]:
    """How each row that is shown was trained: of a table the training whose error stands in it, else that of the group
    shown, but for the rows that its figure is `without`."""
    for label in [entry.label for entry in experiment.entries if entry.label not in without]:
        having = [group for group in groups if label in group.results]
        if kind(experiment.name) == "table":
            having = sorted(having, key=lambda group: rank(group.results[label][0]), reverse=True)
        elif having and having[0] is not groups[0]:
            continue
        if not having:
            continue
        results = having[0].results[label]
        first = results[0]
        recipe, settings = first.recipe, first.settings
        steps = recipe.get("iterations") or (first.curve.step[-1] if first.curve.step else 0)
        hours = sum(result.seconds for result in results) / 3600
        where = ", ".join([*(first.machine.get("gpus") or [first.machine.get("cpu", "")])])
        told = "".join(f"; {note}" for result in results for note in result.notes)
        time = f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
        yield (
            f"{label}: {steps:,} steps of {recipe['batch_size']} ({recipe['name']}), {len(results)} run"
            f"{'s' if len(results) > 1 else ''}, {settings.get('precision', 'fp32')}, {time} on {where} "
            f"({first.images_per_second:,.0f} images/s in the last steps){told}"
        )


def _drawing(
    experiment: Experiment, group: Group | None, after: Sequence[Any], measured: Any
) -> Callable[[], Figure] | None:
    wanted = experiment.figure
    if wanted == "operations":
        return chart
    if experiment.measured:
        return (lambda: MEASURED_FIGURES[experiment.measured or ""](measured)) if measured else None
    if wanted is None or group is None:
        return None
    if wanted == "ensemble":
        return (lambda: ensemble(after[0])) if after else None
    if any(entry.probes for entry in experiment.entries) and not probed(experiment, group):
        return None
    if wanted == "curves":
        return lambda: curves(PANELS[experiment.name], group)
    draw = DRAWN[wanted]
    return lambda: draw(group)
