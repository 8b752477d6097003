"""What a section of the report does not show, and why: rows not run, rows without what the figure draws."""

from __future__ import annotations

from collections.abc import Sequence

from ..cells.store import Result
from ..entry import Entry, Experiment
from ..overview import command
from .captions import PROBED
from .groups import Group, of_older_recipes

# Figures that draw nothing of a row but what was measured on its trained net.
PROBES_ALONE = ("responses", "lesion", "branches", "excitations", "excitation_spread")


def left_out(experiment: Experiment, results: Sequence[Result]) -> str:
    """How many results are of an earlier form of the recipes, if any."""
    count = of_older_recipes(experiment, results)
    return f"Left out: {count} results of an earlier form of these recipes" if count else ""


def probed(experiment: Experiment, group: Group) -> list[str]:
    """The rows of which the run that is shown has what the figure draws of trained nets."""
    runs = group.curves()
    return [e.label for e in experiment.entries if e.label in runs and set(e.probes) & set(runs[e.label].probes)]


def undrawn(experiment: Experiment, best: Group | None) -> list[str]:
    """The rows that are not in the figure although they were trained."""
    return _unprobed(experiment, best) if best and experiment.figure in PROBES_ALONE else []


def missing_rows(experiment: Experiment, best: Group | None, *, drawn: bool) -> str:
    """Which rows are not among those shown; where there is no figure although there are results, why, and what to
    run."""
    if best is None or experiment.figure is None:
        return ""
    lacking = [entry.label for entry in experiment.entries if entry.net and entry.label not in best.results]
    wanted = _named(experiment.entries)
    if drawn:
        hidden = undrawn(experiment, best)
        unseen = [e.label for e in experiment.entries if e.label in (*lacking, *hidden)]
        told = [f"Not among these: {', '.join(unseen)}"] if unseen else []
        if unprobed := _unprobed(experiment, best):
            rest = "" if hidden else "; their final errors alone are drawn"
            told.append(f"Of {', '.join(unprobed)} the store lacks {wanted}{rest}")
        return ". ".join(told)
    why = f"needs {wanted}, measured on the trained nets, which are not in the store" if wanted else ""
    if experiment.after:
        why = "needs all its rows trained by one machine"
    return (
        f"Its figure {why or 'needs results'}"
        + (f"; not run: {', '.join(lacking)}" if lacking else "")
        + (f". Run: `{command(experiment)}`")
    )


def _unprobed(experiment: Experiment, group: Group) -> list[str]:
    having = probed(experiment, group)
    return [e.label for e in experiment.entries if e.probes and e.label in group.results and e.label not in having]


def _named(entries: Sequence[Entry]) -> str:
    return ", ".join(PROBED[probe] for probe in sorted({probe for entry in entries for probe in entry.probes}))
