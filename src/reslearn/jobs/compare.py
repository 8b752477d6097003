"""`compare`: is B better than A? Both answer the same pictures; several trainings of each are used where they are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..bundle.file import Loaded
from ..data.dataset import Dataset
from ..measure.comparison import Comparison, compare
from ..measure.evaluation import Evaluation
from ..measure.metrics import correct
from ..measure.scoring import Scoring
from ..runtime.container import FILE_NAME
from ..spec.codec import fields_to_json, to_json
from ..spec.cost import cost
from ..spec.errors import UserError
from ..spec.seen import Seen
from .differing import Difference, differences
from .members import OF_RUNS, common_pictures, load_all, score_all
from .subject import Data, open_for, read_training, run_folder
from .unseen import watched


@dataclass(frozen=True)
class Side:
    """One of the two models, in all its trainings."""

    name: str
    models: tuple[Path, ...]
    networks: tuple[str, ...]
    parameters: int
    macs: int
    scores: tuple[Evaluation, ...]

    def to_json(self) -> dict[str, Any]:
        """Names and numbers."""
        return fields_to_json(self)


@dataclass(frozen=True)
class Compared:
    """The outcome of `compare A B`."""

    a: Side
    b: Side
    data: str | None
    split: str
    comparison: Comparison
    seen: Seen  # by any of the models
    pictures: Dataset  # that both were scored on, in the order of their scores
    differs: tuple[Difference, ...] = ()  # beside the answers, between the first training of each

    def __repr__(self) -> str:
        return f"Compared({self.verdict})"

    @property
    def verdict(self) -> str:
        """The outcome in words, with the models' names."""
        return self.comparison.verdict(self.a.name, self.b.name)

    def to_json(self) -> dict[str, Any]:
        """Everything, as `--json` prints it."""
        facts = self.comparison.to_json() | {"verdict": self.verdict, "data": self.data, "split": self.split}
        facts |= {"differs": to_json(self.differs)}
        return facts | {"seen": self.seen.to_json(), "a": self.a.to_json(), "b": self.b.to_json()}


def compare_models(
    a: str | os.PathLike[str],
    b: str | os.PathLike[str],
    *,
    data: Data | None = None,
    scoring: Scoring = OF_RUNS,
) -> Compared:
    """Compare two models (or two folders of runs that differ in their seed) on pictures that neither has seen.

    Without `data`, the data of the first run; without a split in `scoring`, `test` where there is one, else the common
    `val`.
    """
    paths = [trainings(a), trainings(b)]
    loaded = load_all([*paths[0], *paths[1]], scoring)
    dataset = open_for(loaded, data if data is not None else _data_of(loaded[0], a))
    split = scoring.split
    if split is None and "test" not in dataset.splits and any(run_folder(one) is not None for one in loaded):
        split = "val"
    subject, scores, seen = watched(
        loaded,
        [common_pictures(loaded, dataset, split)],
        dataset,
        scoring,
        lambda w: (w[0].subject, score_all(loaded, w[0], dataset, scoring), w[0].lookout.seen()),
    )
    right = [correct(score.logits, score.labels) for score in scores]
    cut = len(paths[0])
    names = _names(a, b)
    return Compared(
        a=_side(names[0], paths[0], loaded[:cut], scores[:cut]),
        b=_side(names[1], paths[1], loaded[cut:], scores[cut:]),
        data=dataset.path,
        split=subject.split,
        comparison=compare(right[:cut], right[cut:]),
        seen=seen,
        pictures=subject.pictures,
        differs=differences(loaded[0], loaded[cut]),
    )


def trainings(path: str | os.PathLike[str]) -> list[Path]:
    """A model's trainings: itself, or each run inside a folder that is none. Raises `UserError` where there is none."""
    folder = Path(path)
    if not folder.is_dir() or (folder / FILE_NAME).exists() or (folder / "run.json").exists():
        return [folder]
    inside = sorted(file.parent for file in folder.glob(f"*/{FILE_NAME}"))
    if not inside:
        raise UserError(f"{folder}: neither a run nor a folder of finished runs")
    return inside


def _side(name: str, paths: list[Path], loaded: list[Loaded], scores: list[Evaluation]) -> Side:
    first = loaded[0].bundle
    costs = [cost(member.spec, first.preprocess.size) for member in first.members]
    networks = dict.fromkeys(member.spec.name for one in loaded for member in one.bundle.members)
    return Side(
        name, tuple(paths), tuple(networks), sum(c.parameters for c in costs), sum(c.macs for c in costs), tuple(scores)
    )


def _data_of(loaded: Loaded, given: str | os.PathLike[str]) -> str:
    folder = run_folder(loaded)
    known = None if folder is None else read_training(folder).data["path"]
    if known is None:
        raise UserError(f"{given}: does not say which pictures it belongs to; name them with --data")
    return str(known)


def _names(a: str | os.PathLike[str], b: str | os.PathLike[str]) -> tuple[str, str]:
    """Short names that differ."""
    one, other = Path(a).resolve(), Path(b).resolve()
    short = one.stem if one.suffix else one.name, other.stem if other.suffix else other.name
    return short if short[0] != short[1] else (str(a), str(b))
