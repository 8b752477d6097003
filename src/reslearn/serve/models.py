"""Models by the names that they are served under. A replaced file becomes a new `Served` beside the old one, which goes
on answering the requests that it has begun and then ends."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.facts import facts_of
from ..bundle.file import Loaded
from ..data.preprocess import to_batch
from ..engine.exported import Exported, seen_beside
from ..engine.models import Model
from ..interpret.heats import Heats
from ..measure.metrics import softmax
from ..predictor.answers import Answer, answer
from ..predictor.predictor import Predictor
from ..runtime.container import sealed_in
from ..runtime.envelope import weights_beside
from ..spec.errors import UserError
from ..spec.preprocess import Preprocess
from ..spec.served import NAME, check_name, name_of
from .batcher import Batcher, Row
from .metrics import Metrics
from .settings import Settings

Path_ = str | os.PathLike[str]
Models = Path_ | Model | Sequence[Path_] | Mapping[str, Path_ | Model]
Stamp = tuple[tuple[int, int, int], ...]  # what tells a file from the one that it was


@dataclass(eq=False)
class Served:
    """An opened model, its engine and its thread. It never changes, so neither do the answers of those who hold it."""

    name: str
    predictor: Predictor
    batcher: Batcher
    stamp: Stamp | None  # of the files that it was opened from; None in memory
    heats: Heats | None  # what draws heat; None for an exported file without class maps
    users: int = 0
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        self.sha256 = _sha256(self.predictor.model)

    @property
    def preprocess(self) -> Preprocess:
        """How pictures become its input."""
        return self.predictor.model.bundle.preprocess

    @property
    def classes(self) -> int:
        """How many logits it gives."""
        return self.predictor.model.bundle.num_classes

    @property
    def labels(self) -> Sequence[str]:
        """The classes' names, or their numbers."""
        return self.predictor.model.bundle.classes or tuple(map(str, range(self.classes)))

    @property
    def takes_normalised(self) -> bool:
        """Whether it takes what the network reads; a graph that prepares pictures itself takes pixels alone."""
        return not self.predictor.scorer.takes_bytes

    def answers(self, logits: Sequence[Row], top: int) -> list[tuple[Answer, ...]]:
        """The best classes of each picture, as `predict` names them."""
        bundle = self.predictor.model.bundle
        found = softmax(np.stack(logits), bundle.temperature or 1.0)
        return [answer(probabilities, bundle, top) for probabilities in found]

    def to_json(self) -> dict[str, Any]:
        """What `/models` says of it."""
        return facts_of(self.predictor.model.bundle) | {
            "name": self.name, "sha256": self.sha256, "size": self.preprocess.size, "engine": self.predictor.engine,
            "precision": self.predictor.precision, "cam": self.heats is not None,
        }  # fmt: skip


class Slot:
    """A name, and the model that answers under it now."""

    def __init__(self, name: str, source: Path_ | Model, settings: Settings, metrics: Metrics) -> None:
        self.name, self.source = name, source
        self._settings, self._metrics = settings, metrics
        self._lock = threading.Lock()
        self.current = self.open()

    @property
    def path(self) -> Path | None:
        """Where its file lies; None in memory, and for an address."""
        if not isinstance(self.source, (str, os.PathLike)) or not Path(self.source).exists():
            return None
        return sealed_in(self.source)

    def open(self) -> Served:
        """The model as it lies there now, verified and warm. Raises `UserError` for what cannot be opened."""
        settings, stamp = self._settings, stamp_of(self.path)
        predictor = Predictor(self.source, engine=settings.engine, batch_size=settings.max_batch)
        warm(predictor, settings.max_batch)
        batcher = Batcher(
            predictor.scorer,
            max_batch=settings.max_batch,
            max_wait=settings.max_wait_ms / 1000,
            most=settings.queue,
            scored=self._metrics.batches(self.name),
        )
        return Served(self.name, predictor, batcher, stamp, _heats_of(predictor))

    @contextlib.contextmanager
    def using(self) -> Iterator[Served]:
        """The model of one request, from its first picture to its last, whatever is swapped in meanwhile."""
        with self._lock:
            served = self.current
            served.users += 1
        try:
            yield served
        finally:
            with self._lock:
                served.users -= 1
                last = not served.users and served is not self.current
            if last:
                served.batcher.close()

    def swap(self, fresh: Served) -> None:
        """From now on `fresh` answers; the one before ends with its last request."""
        with self._lock:
            old, self.current = self.current, fresh
            last = not old.users
        if last:
            old.batcher.close()

    @property
    def accepted(self) -> int:
        """Pictures that are accepted and not answered yet."""
        return self.current.batcher.accepted


def _heats_of(predictor: Predictor) -> Heats | None:
    try:
        return Heats(predictor.model, predictor.scorer)
    except UserError:
        return None


def open_slots(sources: Mapping[str, Path_ | Model], settings: Settings, metrics: Metrics) -> dict[str, Slot]:
    """Every model, opened. Raises `UserError` for one that cannot be; then none is left running."""
    found: dict[str, Slot] = {}
    try:
        for name, source in sources.items():
            found[name] = Slot(name, source, settings, metrics)
    except BaseException:
        for slot in found.values():
            slot.current.batcher.close()
        raise
    return found


def named(models: Models) -> dict[str, Path_ | Model]:
    """Models by name: of `NAME=MODEL` the name, else that of the file, or of its folder where that says more. Raises
    `UserError` for names that are none or double."""
    if isinstance(models, Mapping):
        pairs = [(check_name(name), source) for name, source in models.items()]
    elif isinstance(models, (str, os.PathLike, Loaded, Exported)):
        pairs = [_pair(models)]
    else:
        pairs = [_pair(one) for one in models]
    if not pairs:
        raise UserError("no model to serve; name a run folder, a sealed or an exported file")
    found: dict[str, Path_ | Model] = {}
    for name, source in pairs:
        if name in found:
            raise UserError(
                f"two models are called '{name}'; name them apart: a={_where(found[name])} b={_where(source)}"
            )
        found[name] = source
    return found


def _pair(given: Path_ | Model) -> tuple[str, Path_ | Model]:
    if isinstance(given, (Loaded, Exported)):
        return name_of(given.path), given
    text = os.fspath(given)
    name, equals, path = text.partition("=")
    if equals and not os.path.exists(text) and NAME.fullmatch(name):
        if not path:
            raise UserError(f"'{text}': no model after the name; write NAME=MODEL")
        return name, path
    return name_of(Path(text)), given


def _where(source: Path_ | Model) -> str:
    return os.fspath(source if isinstance(source, (str, os.PathLike)) else source.path)


def _sha256(model: Model) -> str:
    if isinstance(model, Exported):
        return model.sha256
    return model.bundle.sha256 if model.bundle.sha256 and model.as_sealed else model.identity()


def stamp_of(path: Path | None) -> Stamp | None:
    """What the system says of a model's files; None where the model lies in none, or in none that is there."""
    if path is None or not path.is_file():
        return None
    found = [path, seen_beside(path), *([weights_beside(path)] if path.suffix.lower() == ".xml" else [])]
    stamps = []
    for one in found:
        with contextlib.suppress(OSError):
            status = one.stat()
            stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(stamps)


def warm(predictor: Predictor, max_batch: int) -> None:
    """Score black pictures, so that nobody's first request waits for an engine to get ready, and a model that cannot
    answer is found out now."""
    size = predictor.model.bundle.preprocess.size
    counts = [1]
    if predictor.engine == "compiled":  # which builds its kernels anew for every power of two
        while counts[-1] < max_batch:
            counts.append(counts[-1] * 2)
    with predictor.scorer.ready():
        for count in counts:
            predictor.scorer(to_batch([np.zeros((size, size, 3), np.uint8)] * count))
