"""`paper run` as one call: which cells an experiment needs, which are done, which cannot be run here; then run them."""

from __future__ import annotations

import fnmatch
import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import cast

from ...runtime.settings import Precision
from ...spec.choices import Tier
from ...spec.errors import UserError, unknown
from ...spec.text import counted
from ...train.events import Watch
from ..entry import DATA_NAMES, Entry, Experiment
from ..experiments import experiments
from ..published.claims import TABLES
from ..told import CellLine, CellScores, Measured, Outcome
from .pictures import Pictures, open_pictures, refusal
from .store import Result, Store, read_result
from .tiers import Cell, cells, shard, too_large

DEFAULTS = {"tier": "smoke", "store": "runs/paper"}  # what the command need not say
LEAST_STEPS = 50  # of a short training: fewer show nothing, not even that it works


class Session:
    """What `paper run` resolves to before anything is trained."""

    def __init__(
        self,
        name: str,
        *,
        tier: Tier = "smoke",
        data: str | None = None,
        rows: list[str] | None = None,
        seeds: int | None = None,
        fraction: float | None = None,
        shard_text: str | None = None,
        store: str | Path = "runs/paper",
        precision: Precision | None = None,
    ) -> None:
        """`rows` are labels or shell patterns of labels. Raises `UserError` for unknown names, rows, tiers, shards, for
        what has no row that can be run at this tier, and for a precision at the smoke tier, which computes in fp32."""
        self.experiment = _runnable_experiment(name)
        self.tier, self.data, self.store, self.precision = tier, data, Store(store), precision
        self.rows, self.seeds, self.fraction = rows, seeds, fraction
        if self.experiment.measured and (rows or data or shard_text or seeds or fraction or precision):
            options = "--rows, --data, --shard, --seeds, --fraction or --precision"
            raise UserError(f"{name} measures untrained nets: it takes no {options}")
        chosen = _matching(self.experiment.name, [e.label for e in self.experiment.entries], rows) if rows else None
        self.all_cells = cells(self.experiment, tier, rows=chosen, seeds=seeds, fraction=fraction)
        if tier == "smoke" and precision not in (None, "fp32"):
            raise UserError(f"--precision is {precision}; the smoke tier computes in fp32, on every machine alike")
        self.mine, self.shard_text = list(shard(self.all_cells, shard_text)), shard_text
        path = data or ("digits" if tier == "smoke" and not self.experiment.measured else None)
        self.pictures: Pictures | None = open_pictures(path, tier) if path else None
        self.left_out = [] if rows else [(e, why) for e in self.experiment.entries if (why := _left_out(e, tier))]
        if not self.all_cells and not self.experiment.measured:
            entry, why = self.left_out[0]
            raise UserError(f"{name} has nothing to run at the {tier} tier: {entry.label}: {why}")
        if tier == "short":
            self._check_steps()

    def _check_steps(self) -> None:
        """Raise `UserError` where the fraction leaves a training next to nothing."""
        count = len(self.pictures.train) if self.pictures else 0
        able = [cell for cell in self.all_cells if cell.recipe.iterations or not self.refused(cell)]
        for cell in sorted(able, key=lambda cell: cell.recipe.total_steps(count)):
            steps, whole = (recipe.total_steps(count) for recipe in (cell.recipe, cell.entry.recipe))
            if steps < LEAST_STEPS <= whole:
                raise UserError(
                    f"--fraction {cell.fraction:g} leaves {counted(steps, 'step')} of the {whole:,} of "
                    f"{cell.entry.label}; the least is {LEAST_STEPS}, here --fraction "
                    f"{math.ceil(1e6 * LEAST_STEPS / whole) / 1e6:g}"
                )

    def refused(self, cell: Cell) -> str | None:
        """Why a cell cannot be run on these pictures."""
        return refusal(cell.entry, self.pictures, self.tier)

    def command(self, entry: Entry) -> str:
        """What runs an entry where its data are."""
        words = ["reslearn", "paper", "run", self.experiment.name, "--tier", self.tier, "--rows", entry.label]
        return shlex.join([*words, "--data"]) + f" {DATA_NAMES[entry.data].upper()}"

    @property
    def again(self) -> str:
        """The command that goes on with this one: what is done in the store stays, what was begun goes on."""
        options = {"tier": self.tier, "data": self.data, "rows": ";".join(self.rows or []) or None,
                   "seeds": self.seeds, "fraction": self.fraction, "shard": self.shard_text,
                   "store": str(self.store.roots[0]), "precision": self.precision}  # fmt: skip
        asked = [(name, str(value)) for name, value in options.items() if value not in (None, DEFAULTS.get(name))]
        words = [word for name, value in asked for word in (f"--{name}", value)]
        return shlex.join(["reslearn", "paper", "run", self.experiment.name, *words])

    def to_json(self) -> Outcome:
        """Everything that was resolved, as `--dry-run` prints it."""
        value: Outcome = {
            "experiment": self.experiment.name,
            "tier": self.tier,
            "data": self.pictures.key if self.pictures else None,
            "store": str(self.store.roots[0]),
            "cells": [self._cell(cell) for cell in self.mine],
            "left_out": [{"row": entry.label, "why": why} for entry, why in self.left_out],
        }
        if self.all_cells and not self.mine:
            count = counted(len(self.all_cells), "training")
            value["note"] = f"shard {self.shard_text} has none of the {count}: there are more shards than trainings"
        return value | {"measured": None} if self.experiment.measured else value

    def run(
        self,
        *,
        tuned_allocator: bool = False,
        watch: Watch | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> Outcome:
        """Run what is not done yet and tell of every cell. Raises `UserError` when no cell can be run on these data;
        what ends it before its end names the same command, which goes on from the store."""
        from ...train.stopping import going_on  # torch

        with going_on(self.store.roots[0], ".", self.again):
            return self._run(tuned_allocator=tuned_allocator, watch=watch, say=say)

    def _run(self, *, tuned_allocator: bool, watch: Watch | None, say: Callable[[str], None]) -> Outcome:
        if self.experiment.measured:
            from .measured import measure  # torch

            found = cast(Measured, measure(self.experiment, self.tier, self.store))
            return self.to_json() | {"measured": found}
        can = [cell for cell in self.mine if not self.refused(cell)]
        if self.mine and (self.pictures is None or not can):
            cell = self.mine[0]
            raise UserError(f"{cell.entry.label}: not run: {self.refused(cell)}; {self.command(cell.entry)}")
        from .run import Runner  # torch

        done: list[CellLine] = []
        if self.pictures is not None:
            runner = Runner(self.store, self.pictures, precision=self.precision, tuned_allocator=tuned_allocator,
                            watch=watch, say=say)  # fmt: skip
            for number, cell in enumerate(self.mine, 1):
                line = self._cell(cell)
                if line["state"] in ("to run", "begun"):
                    say(f"[{number}/{len(self.mine)}] {cell.entry.label}, seed {cell.seed}: {line['state']}")
                if line["state"] != "not run":
                    line = {**line, "state": "done", **_scores(runner.run(cell))}
                done.append(line)
            if not any(self.refused(cell) for cell in self.all_cells):
                runner.after(self.experiment, self.all_cells)
        return self.to_json() | {"cells": done}

    def _cell(self, cell: Cell) -> CellLine:
        recipe, why = cell.recipe, self.refused(cell)
        steps = recipe.total_steps(len(self.pictures.train)) if self.pictures and not why else recipe.iterations
        value: CellLine = {
            "row": cell.entry.label,
            "seed": cell.seed,
            "net": cell.entry.net,
            "changes": dict(cell.entry.changes),
            "recipe": recipe.name,
            "tier": cell.tier_label,
            "needs": DATA_NAMES[cell.entry.data],
            "image_size": cell.image_size,
            "steps": steps,
            "batch_size": recipe.batch_size,
            "macs": cell.macs,
            "state": "not run",
        }
        if why or self.pictures is None:
            return value | {"why": why, "command": self.command(cell.entry)}
        folder = self.store.folder(cell, self.pictures.key)
        value["folder"] = str(folder)
        if (folder / "result.json").exists():
            return {**value, "state": "done", **_scores(read_result(folder / "result.json"))}
        value["state"] = "begun" if (folder / "run" / "run.json").exists() else "to run"
        return value


def _runnable_experiment(name: str) -> Experiment:
    """The experiment of that name. Raises `UserError` where nothing of it can be run, naming what can."""
    known = experiments()
    able = [key for key, e in known.items() if e.measured or any(entry.net for entry in e.entries)]
    if name in able:
        return known[name]
    if name in known and not known[name].entries:
        raise UserError(f"{name} trains nothing; see it with: reslearn paper report --only {name}")
    if name in known or name in TABLES:
        raise UserError(f"{name} has nothing to train; see it with: reslearn paper show {name}")
    raise unknown("experiment", name, able)


def _scores(result: Result) -> CellScores:
    return {
        "test_error": result.test_error,
        "train_error": result.train_error,
        "seen": result.seen.to_json(),
        "diverged": result.diverged,
        "seconds": result.seconds,
        "images_per_second": result.images_per_second,
    }


def _left_out(entry: Entry, tier: str) -> str | None:
    if entry.net is None:
        return entry.outside
    if tier == "smoke" and entry.twin:
        return f"one number on digits stands for it: {entry.twin}"
    if tier == "smoke" and too_large(entry):
        return "too large for the smoke tier; name it with --rows to run it all the same"
    return None


def _matching(name: str, labels: list[str], patterns: list[str]) -> list[str]:
    """Labels that any pattern matches, in their order; a pattern that matches none is an error."""
    found: list[str] = []
    for pattern in patterns:
        matched = [label for label in labels if label == pattern or fnmatch.fnmatchcase(label, pattern)]
        if not matched:
            raise unknown(f"row of {name}", pattern, labels)
        found += matched
    return [label for label in labels if label in found]
