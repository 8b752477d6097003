"""Run a cell: train (or resume), test under the paper's protocols, measure its probes, write its result.

The test pictures are what `fit` gets as validation, because the papers' curves show test error while training. Nothing
is decided on them: the last weights are kept, and recipes that would look at validation are refused (`Cell.recipe`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...bundle.file import Loaded, load
from ...bundle.file import save as seal
from ...bundle.header import Member
from ...measure.evaluate import evaluate
from ...measure.scoring import Scoring
from ...nets.build import create_model
from ...runtime.choice import decide, planned_workload
from ...runtime.environment import environment, now
from ...runtime.settings import Precision, Settings
from ...runtime.switches import owned
from ...spec.catalogue import get_spec
from ...spec.codec import to_json
from ...spec.errors import UserError
from ...spec.net import Spec, spec_to_json
from ...spec.preprocess import Preprocess
from ...train.events import Watch
from ...train.fit import finished_run, fit, resume
from ...train.folder import refuse_existing
from ...train.loop import Diverged
from ...train.records.journal import read_journal
from ...train.records.run import read_record
from ..entry import Experiment
from ..recipes import preprocess_for
from .construct import from_shallow
from .pictures import Pictures
from .probes import PROBES, Trained, ensemble, start_probe
from .store import Curve, Result, Store, read_result, write_result
from .tiers import Cell


class Runner:
    """Runs the cells of one experiment on one data set into one store."""

    def __init__(
        self,
        store: Store,
        pictures: Pictures,
        *,
        precision: Precision | None = None,
        tuned_allocator: bool = False,
        watch: Watch | None = None,
        say: Callable[[str], None] = lambda line: None,
    ):
        self.store, self.pictures, self.watch, self.say = store, pictures, watch, say
        self.precision, self.tuned_allocator = precision, tuned_allocator

    def run(self, cell: Cell) -> Result:
        """The result of a cell: read if it is there and has every probe, else made, resuming what was begun."""
        folder = self.folder(cell)
        if (folder / "result.json").exists():
            result = read_result(folder / "result.json")
            probes = [probe for probe in cell.entry.probes if probe not in result.probes]
            protocols = [protocol for protocol in cell.protocols if protocol not in result.test]
            if not (probes or protocols) or result.diverged is not None:
                return result
            return self._measure_more(cell, result, probes, protocols)
        return self._make(cell)

    def after(self, experiment: Experiment, cells: list[Cell]) -> None:
        """What is computed from all nets of one seed together, once every one of them is trained."""
        for seed in sorted({cell.seed for cell in cells}):
            members = [cell for cell in cells if cell.seed == seed]
            path = self.store.after_file(experiment.name, members[0], self.pictures.key)
            ready = all((self.folder(cell) / "run" / "model.safetensors").exists() for cell in members)
            if experiment.after != "ensemble" or path.exists() or not ready:
                continue
            from ...runtime.files import write_json

            device = self.settings(members[0]).device
            value = ensemble({cell.entry.label: self._trained(cell, device) for cell in members})
            path.parent.mkdir(parents=True, exist_ok=True)
            where = {"tier": members[0].tier, "fraction": members[0].fraction, "seed": seed, "data": self._data()}
            write_json(path, where | value)

    def folder(self, cell: Cell) -> Path:
        """Where the cell's run and result lie."""
        return self.store.folder(cell, self.pictures.key)

    def spec(self, cell: Cell) -> Spec:
        """The cell's network, with as many classes as the pictures have."""
        return get_spec(cell.entry.spec, num_classes=len(self.pictures.train.classes))

    def settings(self, cell: Cell) -> Settings:
        """Device, precision, compilation and threads, from this machine's facts and the planned work.

        The smoke tier's steps are too small for any of that: fp32 on one thread, the same on every machine.
        """
        if cell.tier == "smoke":
            return Settings(tuned_allocator=self.tuned_allocator)
        workload = planned_workload(self.spec(cell), cell.recipe, len(self.pictures.train), cell.image_size)
        return decide(workload, precision=self.precision, tuned_allocator=self.tuned_allocator)

    def preprocess(self, cell: Cell) -> Preprocess:
        """How its pictures reach the net."""
        return preprocess_for(cell.entry.data, cell.image_size)

    def _make(self, cell: Cell) -> Result:
        if cell.start is not None:
            self.run(cell.start)
        run, settings = self.folder(cell) / "run", self.settings(cell)  # a refusal comes before anything is written
        run.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._train(cell, run, settings)
        except Diverged as error:
            self.say(f"{cell.entry.label}: {error}")
            result = self._result(cell, run, diverged=_last_step(run))
        else:
            test = dict(self._test(self._load(cell, settings.device), cell.protocols, settings.device))
            result = self._result(cell, run, test=test)
            result = replace(result, probes=self._probes(cell, cell.entry.probes, settings))
        write_result(self.folder(cell), result)
        torch.compiler.reset()  # else a process that trains many nets runs out of its recompilations and turns eager
        for checkpoint in (run / "checkpoints").glob("*.safetensors"):
            checkpoint.unlink()  # the sealed file is all that probes need
        return result

    def _train(self, cell: Cell, run: Path, settings: Settings) -> None:
        begun = _begun(run)
        if begun and (cell.start is None or read_record(run).weights):
            resume(run, train_data=self.pictures.train, val_data=self.pictures.test, watch=self.watch)
            return
        if settings.source:
            self.say(f"{cell.entry.label}: {settings.source}")
        fit(
            self.spec(cell),
            self.pictures.train,
            self.pictures.test,
            cell.recipe,
            out=run,
            seed=cell.seed,
            weights=self._weights(cell, settings.device),
            settings=settings,
            preprocess=self.preprocess(cell),
            overwrite=begun,  # by an earlier release, whose record does not say what a constructed net starts from
            watch=self.watch,
        )

    def _fresh(self, cell: Cell, device: str) -> nn.Module:
        """The cell's net before its first step: drawn, or constructed from the trained net of `cell.start`."""
        with torch.random.fork_rng():
            torch.manual_seed(cell.seed)  # as `fit` does
            spec = self.spec(cell)
            return from_shallow(spec, self._load(cell.start, device).net) if cell.start else create_model(spec)

    def _weights(self, cell: Cell, device: str) -> str | None:
        """The sealed file that a constructed net starts from, which has seen what the net of `cell.start` has seen."""
        if cell.start is None:
            return None
        shallow = self._load(cell.start, device)
        bundle = replace(shallow.bundle, members=(Member(self.spec(cell)),), scores={})
        path = self.folder(cell) / "start.safetensors"
        seal(path, [self._fresh(cell, device)], bundle, mean_image=shallow.mean_image, known=shallow.known)
        return str(path)

    def _load(self, cell: Cell, device: str) -> Loaded:
        return load(self.folder(cell) / "run", device=device)

    def _trained(self, cell: Cell, device: str) -> Trained:
        return Trained(self._load(cell, device), lambda: self._fresh(cell, device), self.pictures, device)

    def _probes(self, cell: Cell, names: Sequence[str], settings: Settings) -> dict[str, Any]:
        trained = self._trained(cell, settings.device)
        with owned(settings.threads):
            found = {name: PROBES[name](trained) for name in names}
            if cell.start is not None:
                found["start"] = start_probe(trained, self._load(cell.start, settings.device).net)
        return found

    def _measure_more(self, cell: Cell, result: Result, probes: list[str], protocols: list[str]) -> Result:
        """A result with what another row of the same training wants of it."""
        if not (self.folder(cell) / "run" / "model.safetensors").exists():
            missing = ", ".join([*probes, *protocols])
            self.say(f"{cell.entry.label}: its trained net is not in the store, so {missing} is left out")
            return result
        settings = self.settings(cell)
        if probes:
            result = replace(result, probes=result.probes | self._probes(cell, probes, settings))
        if protocols:
            loaded = self._load(cell, settings.device)
            result = replace(result, test=result.test | dict(self._test(loaded, protocols, settings.device)))
        write_result(self.folder(cell), result)
        return result

    def _result(
        self, cell: Cell, run: Path, *, test: dict[str, Any] | None = None, diverged: int | None = None
    ) -> Result:
        lines = read_journal(run / "metrics.jsonl")
        end: dict[str, Any] = next((line for line in reversed(lines) if line["kind"] == "end"), {})
        record = read_record(run)  # a resumed run's own, whatever would be decided now
        return Result(
            identity=cell.identity,
            net=cell.entry.net or "",
            spec=spec_to_json(self.spec(cell)),
            recipe=to_json(cell.recipe),
            tier=cell.tier,
            fraction=cell.fraction,
            seed=cell.seed,
            data=self._data(),
            test=test or {},
            curve=_curve(lines),
            diverged=diverged,
            seconds=end.get("seconds", 0.0),
            images_per_second=end.get("images_per_second", 0.0),
            settings=to_json(record.settings),
            machine=machine(),
            notes=record.notes,
            created=now(),
        )

    def _test(self, loaded: Loaded, protocols: Sequence[str], device: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for protocol in protocols:
            score = evaluate(loaded, self.pictures.test, Scoring(protocol=protocol, device=device))
            yield protocol, score.to_json()

    def _data(self) -> dict[str, Any]:
        return {
            "name": self.pictures.name,
            "fingerprint": self.pictures.fingerprint,
            "classes": len(self.pictures.train.classes),
            "train": len(self.pictures.train),
            "test": len(self.pictures.test),
        }


def _begun(run: Path) -> bool:
    """Whether a run was begun in this folder. Raises `UserError` for what is damaged, with the way out."""
    begun = (run / "run.json").exists()
    try:
        if begun:
            read_record(run)
            finished_run(run)
        else:
            refuse_existing(run, overwrite=False)
    except UserError as error:
        what = error if begun else f"{run}: not empty, and no run"
        raise UserError(f"{what}; remove {run}, and `reslearn paper run` makes it anew") from None
    return begun


def machine() -> dict[str, Any]:
    """What of the environment a report shows of each result."""
    facts = environment()
    packages = facts["packages"]
    return {
        "cpu": facts["cpu"],
        "cores": facts["cores"],
        "gpus": facts["gpus"],
        "torch": packages.get("torch"),
        "reslearn": packages.get("reslearn"),
        "git": facts["git"],
    }


def _curve(lines: list[dict[str, Any]]) -> Curve:
    epochs = [line for line in lines if line["kind"] == "epoch"]
    columns = {"step": "step", "train_loss": "train_loss", "train_error": "train_error",
               "test_loss": "val_loss", "test_error": "val_error"}  # fmt: skip
    return Curve(**{ours: tuple(_short(line[theirs]) for line in epochs) for ours, theirs in columns.items()})


def _short(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else value


def _last_step(run: Path) -> int:
    steps = [line["step"] for line in read_journal(run / "metrics.jsonl") if line["kind"] == "step"]
    return (max(steps) + 1) if steps else 0
