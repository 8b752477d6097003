"""`run.json`: everything a run is, written atomically before anything is trained; `resume` decides nothing anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..runtime.files import read_json
from ..runtime.settings import Settings
from ..spec.codec import from_json, to_json
from ..spec.errors import UserError
from ..spec.net import Spec, spec_from_json, spec_to_json
from ..spec.preprocess import Preprocess
from ..spec.recipe import Recipe
from ..spec.seen import Seen

FORMAT = 1


@dataclass(frozen=True)
class Split:
    """Which samples are trained on and which are validated on, by the names that the data gives them (`ids`)."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    seed: int
    identity: str = "path"  # or "content": what a picture is known by when parts are drawn, name and size or hash
    method: str = "stratified"  # or grouped, declared (by the data), none (all is trained on), given (from Python)


@dataclass(frozen=True)
class RunRecord:
    """The contents of `run.json`."""

    spec: Spec
    recipe: Recipe
    preprocess: Preprocess
    settings: Settings
    split: Split
    seed: int
    data: dict[str, Any]  # path, fingerprint, classes
    environment: dict[str, Any]
    command: str
    created: str
    weights: str | None = None
    weights_sha256: str | None = None  # of that file
    prefer: Literal["plain", "ema"] | None = None  # which of the plain and averaged weights in it
    on_bad_file: Literal["stop", "skip"] = "stop"
    forget_pictures: bool = False  # the sealed file does not say which pictures it has seen
    notes: tuple[str, ...] = field(default_factory=tuple)  # e.g. "not reproducible from its record"
    format: int = FORMAT

    @property
    def seen_names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The pictures that it trains on, and those that it decides something on."""
        return self.split.train, self.split.val if self.recipe.decides_on_validation else ()


def validation_by_names(record: RunRecord) -> Seen:
    """What a run has seen of its own validation pictures, by their names."""
    trained, selected = (len(set(record.split.val) & set(names)) for names in record.seen_names)
    return Seen.counted(trained, selected, "names" if record.weights is None else "nothing")


def record_to_json(record: RunRecord) -> dict[str, Any]:
    """The contents of `run.json`."""
    return {**to_json(record), "spec": spec_to_json(record.spec)}


def read_record(folder: Path) -> RunRecord:
    """Read `run.json`. Raises `UserError` where `folder` is no run, or one of a newer format."""
    path = folder / "run.json"
    if not path.exists():
        raise UserError(f"{folder}: no run here (no run.json); start one with `reslearn train DATA ... --out {folder}`")
    data = read_json(path)
    if data.get("format", 0) > FORMAT:
        raise UserError(
            f"{path}: format {data['format']} is newer than this reslearn reads ({FORMAT}); update reslearn"
        )
    return RunRecord(
        spec=spec_from_json(data["spec"], str(path)),
        recipe=from_json(Recipe, data["recipe"], str(path)),
        preprocess=from_json(Preprocess, data["preprocess"], str(path)),
        settings=from_json(Settings, data["settings"], str(path)),
        split=from_json(Split, data["split"], str(path)),
        **{key: data[key] for key in ("seed", "data", "environment", "command", "created", "weights", "format")},
        weights_sha256=data.get("weights_sha256"),
        prefer=data.get("prefer"),
        on_bad_file=data["on_bad_file"],
        forget_pictures=data.get("forget_pictures", False),
        notes=tuple(data["notes"]),
    )
