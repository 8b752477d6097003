"""Beside a run from weights: a linear probe on the features of those weights. What did training them give over it?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ..data.dataset import Dataset
from ..data.preprocess import Normalise
from ..measure.features import linear_probe
from ..nets.build import create_model
from ..runtime.device import is_here, present
from ..runtime.files import read_json, write_json
from ..spec.errors import UserError
from ..train.fit import Run
from ..train.mean_image import load_mean_image
from ..train.records.run import RunRecord, read_record

FILE_NAME = "probe.json"
Parts = Callable[[RunRecord], tuple[Dataset, Dataset | None]]


def probed(run: Run, parts: Parts) -> Run:
    """The run with what its linear probe reached, where its recipe asks for one: as `probe.json` says, or fitted now.

    `parts` opens its training and validation pictures. `gain` is how much better the run is on them, in 0..1.
    """
    record = read_record(run.path)
    if not record.recipe.probe or record.weights is None:
        return run
    found = read_probe(run.path)
    if found is None:
        found = _fitted(run, record, parts)
    return run if found is None else replace(run, probe=found)


def _fitted(run: Run, record: RunRecord, parts: Parts) -> dict[str, float] | None:
    try:
        train, val = parts(record)
        if val is None or run.val is None:
            raise UserError("there are no validation pictures to choose on")
        net = create_model(record.spec, weights=record.weights, prefer=record.prefer).eval()
        normalise = Normalise(record.preprocess, load_mean_image(run.path, record))
        own = record.settings.device
        probe, _ = linear_probe(net, normalise, train, val, device=own if is_here(own) else present(None))
    except UserError as error:
        warnings.warn(f"no linear probe beside the run: {error}", stacklevel=2)
        return None
    found: dict[str, float] = probe.to_json() | {"gain": run.val["top1"] - probe.top1}
    write_json(run.path / FILE_NAME, found)
    return found


def read_probe(folder: Path) -> dict[str, float] | None:
    """What `probe.json` of a run says; None where there is none, and for a damaged one, which is made anew."""
    try:
        value = read_json(folder / FILE_NAME)
    except (OSError, UserError):
        return None
    numbers = isinstance(value, dict) and {"top1", "gain"} <= value.keys() and all(map(_is_number, value.values()))
    return value if numbers and 0 <= value["top1"] <= 1 and -1 <= value["gain"] <= 1 else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def verdict(probe: Mapping[str, float]) -> str:
    """For a person: what fine-tuning gave over the probe, or that it lost to it."""
    gap = 100 * probe.get("gain", 0.0)
    what = f"a linear probe on the weights' features: top-1 {100 * probe['top1']:.2f} % of the same pictures"
    if gap < 0:
        return f"{what}; fine-tuning lost to it by {-gap:.2f} points: use the probe's features, or train otherwise"
    return f"{what}; fine-tuning gained {gap:.2f} points over it"
