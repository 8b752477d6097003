"""The results store: one folder per cell, keyed by what was trained, so that tables and figures share trainings.

    STORE/short-0.1/cifar10-jpeg-1f2e3d4c/resnet20_cifar-0a1b2c3d4e/seed0/result.json
                                                                         /run/     the run folder, to resume or probe
                                                                         /start.safetensors  of a constructed net
    STORE/short-0.1/cifar10-jpeg-1f2e3d4c/after/study-ensemble-seed0.json
    STORE/measured/study-gradients.json                                        what is measured without training

Stores of several machines merge by copying the folders together. Delete a `result.json` and its cell is not run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...runtime.files import read_json, write_atomic, write_json
from ...runtime.opening import read_document
from ...spec.codec import from_json, to_json
from ...spec.errors import UserError
from ...spec.seen import Seen, seen_from_json
from .shapes import AFTER, MEASURED, RESULT, misfit
from .tiers import TIERS, Cell, tier_label

FORMAT = 1
ANEW = "remove it, and `reslearn paper run` makes it anew"


@dataclass(frozen=True)
class Curve:
    """One line per epoch. Losses in nats, errors in percent; training ones are the running means of the epoch."""

    step: tuple[int, ...] = ()
    train_loss: tuple[float, ...] = ()
    train_error: tuple[float, ...] = ()
    test_loss: tuple[float | None, ...] = ()
    test_error: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Result:
    """What one training gave. Everything a report shows of it."""

    identity: str
    net: str
    spec: dict[str, Any]
    recipe: dict[str, Any]  # as run, at its tier
    tier: str
    fraction: float
    seed: int
    data: dict[str, Any]  # name, fingerprint, classes, train, test
    test: dict[str, Any]  # protocol -> an `evaluate` object
    curve: Curve
    probes: dict[str, Any] = field(default_factory=dict)
    diverged: int | None = None  # the step at which the loss was no number any more
    seconds: float = 0.0  # in the training loop
    images_per_second: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # of the run's record: what its numbers must not be read without
    created: str = ""
    format: int = FORMAT

    @property
    def test_error(self) -> float | None:
        """Top-1 error in percent, single crop; None for a diverged training."""
        found = self.test.get("1-crop")
        return None if found is None else float(found["top1_error"])

    @property
    def seen(self) -> Seen:
        """How many of the test pictures were trained on, too; not known of a result of before."""
        return seen_from_json(self.test.get("1-crop", {}).get("seen"))

    @property
    def train_error(self) -> float | None:
        """Training error in percent over the last epoch, on augmented pictures."""
        return self.curve.train_error[-1] if self.curve.train_error and self.diverged is None else None

    @property
    def tier_label(self) -> str:
        """`short (1/10)`."""
        return tier_label(self.tier, self.fraction)


class Store:
    """One or more result folders read as one, of which the first that has a result counts; new ones go to the first."""

    def __init__(self, *roots: str | Path):
        self.roots = [Path(root) for root in roots]

    def folder(self, cell: Cell, data_key: str) -> Path:
        """Where a cell's run and result lie, on data of that key (`name-fingerprint`)."""
        name = f"{cell.entry.net}-{cell.identity}"
        return self.roots[0] / _tier_folder(cell.tier, cell.fraction) / data_key / name / f"seed{cell.seed}"

    def after_file(self, experiment: str, cell: Cell, data_key: str) -> Path:
        """Where what is computed from all of an experiment's nets together lies."""
        folder = self.roots[0] / _tier_folder(cell.tier, cell.fraction) / data_key / "after"
        return folder / f"{experiment}-seed{cell.seed}.json"

    def results(self) -> Iterator[Result]:
        """Every result in the store, in a stable order; a training that lies there twice, copied, is one."""
        seen: set[tuple[Any, ...]] = set()
        for root in self.roots:
            for path in sorted(root.glob("*/*/*/seed*/result.json")):
                result = read_result(path)
                data = (result.data["name"], result.data["fingerprint"])
                key = (result.identity, result.tier, result.fraction, result.seed, data)
                if key not in seen:
                    yield result
                seen.add(key)

    def after(self, experiment: str) -> Iterator[dict[str, Any]]:
        """What was computed from all of an experiment's nets together, one value per tier, data and seed."""
        seen: set[Path] = set()
        for root in self.roots:
            for path in sorted(root.glob(f"*/*/after/{experiment}-seed*.json")):
                value = _read_object(path)
                if wrong := misfit(value, AFTER):
                    raise UserError(f"{path}: {wrong}; {ANEW}")
                if (place := path.relative_to(root)) not in seen:
                    yield value
                seen.add(place)

    def measured_file(self, experiment: str) -> Path:
        """Where what an experiment measures without training lies."""
        return self.roots[0] / "measured" / f"{experiment}.json"

    def measured(self, experiment: str) -> dict[str, Any] | None:
        """What an experiment measured without training; of several stores, the first that has it."""
        found = (root / "measured" / f"{experiment}.json" for root in self.roots)
        return next((read_measured(path) for path in found if path.exists()), None)

    def copy_results(self, target: str | Path) -> int:
        """Copy every result, without run folders, into another store (small enough to commit); returns how many."""
        count = 0
        for root in self.roots:
            after = (*root.glob("*/*/after/*.json"), *root.glob("measured/*.json"))
            for path in (*root.glob("*/*/*/seed*/result.json"), *after):
                place = Path(target) / path.relative_to(root)
                place.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(place, read_document(path))
                count += path.name == "result.json"
        return count


def _tier_folder(tier: str, fraction: float) -> str:
    return f"short-{fraction:g}" if tier == "short" else tier


def read_result(path: Path) -> Result:
    """Read one `result.json`. Raises `UserError` for a damaged one, or one of a newer format."""
    data = _read_object(path)
    if isinstance(number := data.get("format", 0), int) and number > FORMAT:
        raise UserError(f"{path}: format {number} is newer than this reslearn reads ({FORMAT}); update reslearn")
    try:
        result = from_json(Result, data, str(path))
    except UserError as error:
        raise UserError(f"{error}; {ANEW}") from None
    lengths = {len(column) for column in vars(result.curve).values()}
    wrong = (
        _no_tier(result.tier)
        or misfit(data, RESULT)
        or ("" if len(lengths) == 1 else "the columns of curve have several lengths")
    )
    if wrong:
        raise UserError(f"{path}: {wrong}; {ANEW}")
    return result


def read_measured(path: Path) -> dict[str, Any]:
    """Read what was measured without training. Raises `UserError` for a damaged file."""
    data = _read_object(path, "tier", "rows", "machine")
    shape = {"machine": RESULT["machine?"], **MEASURED.get(path.stem, {"rows": ({},)})}
    if wrong := _no_tier(data["tier"]) or misfit(data, shape):
        raise UserError(f"{path}: {wrong}; {ANEW}")
    return data


def _no_tier(tier: Any) -> str:
    return "" if tier in TIERS else f"tier is {tier!r}, none of {', '.join(TIERS)}"


def _read_object(path: Path, *keys: str) -> dict[str, Any]:
    """A JSON object that has these keys; anything else is an error that says how to be rid of it."""
    try:
        data = read_json(path)
    except UserError as error:
        raise UserError(f"{error}; {ANEW}") from None
    if not isinstance(data, dict) or (missing := [key for key in keys if key not in data]):
        what = f"it has no {', '.join(missing)}" if isinstance(data, dict) else "not a JSON object"
        raise UserError(f"{path}: {what}; {ANEW}")
    return data


def write_result(folder: Path, result: Result) -> None:
    """Write a result atomically into its cell's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "result.json", to_json(result))
