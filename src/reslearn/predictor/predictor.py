"""What is in these pictures? A model opened once on an engine, called as often as you like, from any thread."""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

from ..data.anything import Range
from ..engine.choice import default_engine
from ..engine.models import Model, open_model, scorer_of
from ..engine.scorer import Scorer, at_once
from ..measure.metrics import softmax
from ..runtime.choice import asked_threads
from ..runtime.device import present
from ..runtime.processor import cores
from ..spec.choices import Engine, Width
from ..spec.errors import UserError, check_at_least
from ..spec.rule import MOST, is_number
from .answers import Prediction, Unread, answer
from .given import Given, given
from .stream import Scored, batched, check_layer, scored

BATCH = 64  # pictures, unless told


class Predictor:
    """A model and what scores it. Built once; then calls are cheap, threads may share it, and it can be pickled.

    `model` is a run folder, a sealed file, an exported `.onnx` or `.xml`, or what `reslearn.load` returned. Without
    `engine` it follows from what is installed and from the machine: `why` says how. `precision` is fp32, or an exported
    file's own. `batch_size` pictures are scored at once, fewer of those above 256 pixels; `threads` (all cores unless
    given) compute, and as many decode. Raises `UserError` for an engine or a precision that there is not.

        predictor = reslearn.Predictor("run")
        predictor("cat.jpg")[0].label
        for one in predictor.stream("photos/"):
            print(one.path, one.label if isinstance(one, reslearn.Prediction) else one.error)
    """

    def __init__(
        self,
        model: Model | str | os.PathLike[str],
        *,
        engine: Engine | None = None,
        precision: Width | None = None,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> None:
        for name, number, most in (("batch_size", batch_size, math.inf), ("threads", threads, MOST)):
            if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
                raise UserError(f"{name} is {number}; it must be a whole number from 1")
            if number is not None and number > most:
                raise UserError(f"{name} is {number:,}; at most {most:,} do any good")
        opened = opened_model(model, engine)
        self.why = "asked for"
        if engine is None:
            choice = default_engine(opened, precision=precision)
            engine, self.why = choice.engine, choice.why
        scorer = scorer_of(opened, engine=engine, precision=precision, threads=threads, batch_size=batch_size or BATCH)
        self._set(opened, scorer, threads)

    @classmethod
    def of(cls, model: Model, scorer: Scorer, why: str = "asked for") -> Predictor:
        """An opened model on a scorer that is there already."""
        self = cls.__new__(cls)
        self.why = why
        self._set(model, scorer, None)
        return self

    def _set(self, model: Model, scorer: Scorer, threads: int | None) -> None:
        self.model, self.scorer, self.threads = model, scorer, threads

    def __reduce__(self) -> tuple[Any, ...]:
        """The model itself travels, so that the process which gets it needs no file; its engine is built there anew."""
        return _again, (self.model, self.engine, self.precision, self.scorer.batch_size, self.threads)

    def __repr__(self) -> str:
        return f"Predictor({self.model.path}, {self.precision} on {self.why if ':' in self.why else self.engine})"

    @property
    def engine(self) -> Engine:
        """What computes."""
        return self.scorer.engine

    @property
    def precision(self) -> Width:
        """In which it computes."""
        return self.scorer.precision

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The names that answers have; None where the model has none."""
        return self.model.bundle.classes

    @property
    def step(self) -> int:
        """Pictures of one batch."""
        size = self.model.bundle.preprocess.size
        return at_once(self.scorer.batch_size, size, size)

    def __call__(
        self, pictures: Any, top: int = 5, *, value_range: Range | None = None, allow_urls: bool = False
    ) -> list[Prediction]:
        """The `top` most probable classes of each picture, in order.

        `pictures` is one or many: paths, folders, patterns such as `photos/*.jpg`, tars, tables, manifests, data sets
        (torch's map-style ones, too, whose labels are not asked for); PIL images, RGB uint8 arrays (H, W, 3), tensors
        (3, H, W), floats of these shapes with their `value_range`; the bytes of a file; `http` addresses with
        `allow_urls`. Raises `UserError` naming the first that cannot be read.
        """
        found = []
        with self.scorer.ready():  # moved once, not for every batch
            for one in self.stream(pictures, top, value_range=value_range, allow_urls=allow_urls):
                if isinstance(one, Unread):
                    raise UserError(one.error)
                found.append(one)
        return found

    def stream(
        self,
        pictures: Any,
        top: int = 5,
        *,
        value_range: Range | None = None,
        allow_urls: bool = False,
        workers: int = 0,
    ) -> Iterator[Prediction | Unread]:
        """The same one by one, for any number in bounded memory; an iterator is asked for a few batches at a time.

        A picture that cannot be read is an `Unread` in its place. Threads decode ahead, or `workers` processes.
        """
        check_top(top)
        check_at_least("workers", workers, 0)
        some = batched(pictures, 4 * self.step) if isinstance(pictures, Iterator) else [pictures]
        for part in some:
            found = given(part, value_range=value_range, allow_urls=allow_urls)
            for one in self.scored(found, [range(len(found))], workers=workers):
                yield self.prediction(one, top) or Unread(one.path, one.error or "")

    def scored(
        self, pictures: Given, runs: Sequence[Sequence[int]], *, layer: str | None = None, workers: int = 0
    ) -> Generator[Scored]:
        """Logits of the pictures whose numbers are in `runs`; `stream.scored` says more."""
        threads = self.threads or asked_threads() or cores()
        preprocess = self.model.bundle.preprocess
        yield from scored(self.scorer, preprocess, pictures, runs, layer=layer, threads=threads, workers=workers)

    def prediction(self, one: Scored, top: int) -> Prediction | None:
        """Logits as named classes; None for a picture that was not read."""
        if one.logits is None:
            return None
        bundle = self.model.bundle
        [probabilities] = softmax(one.logits[None], bundle.temperature or 1.0)
        return Prediction(one.path, answer(probabilities, bundle, top), one.picture)

    def check_layer(self, layer: str | None) -> None:
        """Raise `UserError` for a layer whose map this model on this engine does not give."""
        check_layer(self.scorer, layer, self.model.bundle.preprocess.size)


def _again(model: Model, engine: Engine, precision: Width, batch_size: int, threads: int | None) -> Predictor:
    return Predictor(model, engine=engine, precision=precision, batch_size=batch_size, threads=threads)


def opened_model(model: Model | str | os.PathLike[str], engine: Engine | None = None) -> Model:
    """A model that is open, or that lies at a path; on a GPU where there is one that `engine` can use."""
    if isinstance(model, (str, os.PathLike)):
        return open_model(os.fspath(model), device=present(None, engine))
    if not isinstance(model, Model):
        raise UserError(
            f"a model is a run folder, a sealed or exported file, or what reslearn.load returned; found "
            f"{type(model).__name__}"
        )
    return model


def predict(
    loaded: Model | str | os.PathLike[str],
    images: Any | Iterable[Any],
    top: int = 5,
    *,
    precision: Width | None = None,
    batch_size: int = BATCH,
    device: str | None = None,
    engine: Engine | None = None,
    value_range: Range | None = None,
) -> list[Prediction]:
    """The `top` most probable classes of each picture, in order: a `Predictor` built for one call.

    `loaded` is a model of `reslearn.load`, a run folder, a sealed or exported file. `images` is one picture or many, as
    `Predictor` takes them: paths (a folder stands for the pictures in it), PIL images, RGB uint8 arrays (H, W, 3) or
    (N, H, W, 3), tensors (3, H, W) or (N, 3, H, W), map-style data sets; floats with `value_range`, such as (0, 1).
    Raises `UserError` naming a file that cannot be read whole, and for what is no picture: without a declared range,
    floats cannot be told from 0..255.
    """
    check_top(top)
    model = opened_model(loaded, engine)
    found = given(images, value_range=value_range)
    why = "asked for"
    if engine is None:
        choice = default_engine(model, precision=precision, device=device, count=len(found))
        engine, why = choice.engine, choice.why
    scorer = scorer_of(model, engine=engine, precision=precision, device=device, batch_size=batch_size)
    return Predictor.of(model, scorer, why)(found, top)


def check_top(top: int) -> None:
    """Raise `UserError` unless `top` classes can be named."""
    if not is_number(top, whole=True) or top < 1:
        raise UserError(f"top is {top!r}; it must be a whole number, at least 1")
