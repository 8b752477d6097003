"""Pictures read by worker processes, a whole batch per task: what a set too large for memory is trained from."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal

import numpy as np
from torch import Tensor

from ...spec.choices import OnBadFile
from ...spec.errors import UserError
from ...spec.preprocess import Preprocess
from ...spec.recipe import Augment
from ..augment.crops import cut_batch
from ..dataset import Dataset, Image, Indices
from ..memory import Subset
from ..preprocess import apply, to_batch
from ..table import as_pictures
from ..workers import Workers, in_threads, map_chunks
from .ahead import ahead
from .batch import Batch, Finisher, TrainLoader
from .sampling import EndlessOrder


class StreamingLoader(TrainLoader):
    """The training loader for sets of any size. `workers` 0 reads in this process."""

    kind = "streaming"

    def __init__(
        self,
        dataset: Dataset,
        sequence: EndlessOrder,
        finish: Finisher,
        *,
        workers: int = 0,
        on_bad_file: OnBadFile = "stop",
        start_method: Literal["fork", "spawn", "forkserver"] | None = None,
    ) -> None:
        super().__init__(sequence, finish)
        reader = _Reader(dataset, sequence, finish.normalise.preprocess, finish.augment, finish.seed, on_bad_file)
        self._ids, self._dataset = dataset.ids, dataset
        self._pool = Workers(reader, workers, pin=finish.device.type == "cuda", start_method=start_method)

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps start ... stop - 1."""
        with self._ahead(start, stop) as reached:
            for images, labels, positions, samples, epochs, skipped in self._pool.map(range(start, stop)):
                reached(int(positions[-1]))
                self.skipped |= {self._ids[i]: reason for i, reason in skipped.items()}
                images = images.to(self._finish.device, non_blocking=True)
                yield self._finish(images, labels, positions, samples, epochs)

    def _ahead(self, start: int, stop: int) -> contextlib.AbstractContextManager[Callable[[int], None]]:
        """What is told the position that was reached, and fetches what comes next where that lies elsewhere."""
        fetch = as_pictures(self._dataset).reader.ahead
        if fetch is None or start >= stop:
            return contextlib.nullcontext(lambda position: None)
        size = self._sequence.batch_size
        return ahead(self._sequence, as_pictures(self._dataset).where, fetch, start * size, stop * size)


@dataclass(frozen=True, eq=False)
class _Reader:
    """step -> this rank's raw pictures: uint8 (b, 3, S, S), labels, positions, samples, epochs, skipped."""

    dataset: Dataset
    sequence: EndlessOrder
    preprocess: Preprocess
    augment: Augment
    seed: int
    on_bad_file: OnBadFile

    def __call__(self, step: int) -> tuple[Tensor, Indices, Indices, Indices, Indices, dict[int, str]]:
        positions, samples, epochs = self.sequence.step(step)
        skipped: dict[int, str] = {}
        images: list[Image] = []
        if self.on_bad_file == "stop":
            images = list(read_many(self.dataset, samples))
        else:
            for row, position in enumerate(positions):
                image, samples[row] = self._read(int(position), int(samples[row]), skipped)
                images.append(image)
        if self.augment.crop in {"random-resized", "scale"}:
            images = cut_batch(images, positions, self.augment, self.seed, self.preprocess.size)
        else:
            images = [apply(image, self.preprocess) for image in images]
        return to_batch(images), np.asarray(self.dataset.labels)[samples], positions, samples, epochs, skipped

    def _read(self, position: int, sample: int, skipped: dict[int, str]) -> tuple[Image, int]:
        """The picture at a position; an unreadable one gives way to the next readable one of the epoch's order."""
        for other in chain([sample], self.sequence.instead(position)):
            if other in skipped:
                continue
            try:
                return self.dataset.read(other)[0], other
            except UserError as error:
                if self.on_bad_file == "stop":
                    raise
                skipped[other] = str(error)
        raise UserError(f"none of the pictures can be read; the first: {skipped[sample]}")


def read_many(dataset: Dataset, samples: Indices) -> Iterator[Image]:
    """The pictures at `samples` in their order; by many threads where reading is waiting."""
    return in_threads(lambda i: dataset.read(int(i))[0], samples, as_pictures(dataset).reader.threads)


def readable(dataset: Dataset, workers: int = 0) -> tuple[Dataset, dict[str, str]]:
    """The pictures that decode, and the others' identities with the reasons. Reads all of them once."""
    every: Indices = np.arange(len(dataset), dtype=np.int64)
    bad: dict[int, str] = {}
    for part in map_chunks(partial(_tried, dataset), every, workers):
        bad |= part
    if not bad:
        return dataset, {}
    kept = np.setdiff1d(every, list(bad))
    return Subset(dataset, kept), {dataset.ids[i]: reason for i, reason in sorted(bad.items())}


def _tried(dataset: Dataset, chunk: Indices) -> dict[int, str]:
    """{index: reason} of those in a chunk that cannot be read."""
    bad = {}
    for i in chunk:
        try:
            dataset.read(int(i))
        except UserError as error:
            bad[int(i)] = str(error)
    return bad
