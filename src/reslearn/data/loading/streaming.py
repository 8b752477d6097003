"""Pictures read by worker processes, a whole batch per task: what a set too large for memory is trained from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...spec.choices import OnBadFile
from ...spec.errors import UserError
from ...spec.preprocess import Preprocess
from ...spec.recipe import Augment
from ..augment.crops import cut_batch
from ..dataset import Dataset, Image, Indices
from ..memory import Subset
from ..preprocess import apply, to_batch
from ..workers import Workers, parallel_map
from .batch import Batch, Finisher
from .sampling import EndlessOrder, positions_of


class StreamingLoader:
    """The training loader for sets of any size. `workers` 0 reads in this process."""

    kind: Literal["resident", "streaming"] = "streaming"

    def __init__(
        self,
        dataset: Dataset,
        sequence: EndlessOrder,
        finish: Finisher,
        share: tuple[int, int, int],
        *,
        workers: int = 0,
        on_bad_file: OnBadFile = "stop",
        start_method: Literal["fork", "spawn", "forkserver"] | None = None,
    ) -> None:
        self._finish = finish
        self.skipped: dict[str, str] = {}
        self.epoch_length = sequence.epoch_length
        self.steps_per_epoch = -(-sequence.epoch_length // share[0])
        preprocess = finish.normalise.preprocess
        reader = TrainReader(dataset, sequence, preprocess, finish.augment, finish.seed, share, on_bad_file)
        pin = torch.device(finish.device).type == "cuda"
        self._ids = dataset.ids
        self._pool = Workers(reader, workers, pin=pin, start_method=start_method)

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps start ... stop - 1."""
        for images, labels, positions, samples, epochs, skipped in self._pool.map(range(start, stop)):
            self.skipped |= {self._ids[i]: reason for i, reason in skipped.items()}
            images = images.to(self._finish.device, non_blocking=True)
            yield self._finish(images, labels, positions, samples, epochs)


class TrainReader:
    """step -> this rank's raw pictures: uint8 (b, 3, S, S), labels, positions, samples, epochs, skipped."""

    def __init__(
        self,
        dataset: Dataset,
        sequence: EndlessOrder,
        preprocess: Preprocess,
        augment: Augment,
        seed: int,
        share: tuple[int, int, int],
        on_bad_file: OnBadFile,
    ) -> None:
        self.dataset, self.sequence, self.preprocess = dataset, sequence, preprocess
        self.augment, self.seed, self.share, self.on_bad_file = augment, seed, share, on_bad_file

    def __call__(self, step: int) -> tuple[Tensor, Indices, Indices, Indices, Indices, dict[int, str]]:
        positions = positions_of(step, *self.share)
        samples, epochs = self.sequence.at(positions)
        skipped: dict[int, str] = {}
        images: list[Image] = []
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
        try:
            return self.dataset.read(sample)[0], sample
        except UserError as error:
            if self.on_bad_file == "stop":
                raise
            skipped[sample] = str(error)
        for other in self.sequence.instead(position):
            if other in skipped:
                continue
            try:
                return self.dataset.read(other)[0], other
            except UserError as error:
                skipped[other] = str(error)
        raise UserError(f"none of the pictures can be read; the first: {skipped[sample]}")


def readable(dataset: Dataset, workers: int = 0) -> tuple[Dataset, dict[str, str]]:
    """The pictures that decode, and the others' identities with the reasons. Reads all of them once."""
    chunks = [np.arange(i, min(i + 64, len(dataset)), dtype=np.int64) for i in range(0, len(dataset), 64)]
    bad: dict[int, str] = {}
    for part in parallel_map(_Trial(dataset), chunks, workers):
        bad |= part
    if not bad:
        return dataset, {}
    kept = np.setdiff1d(np.arange(len(dataset), dtype=np.int64), list(bad))
    return Subset(dataset, kept), {dataset.ids[i]: reason for i, reason in sorted(bad.items())}


class _Trial:
    """A chunk of indices to {index: reason} of those that cannot be read; picklable."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __call__(self, chunk: Indices) -> dict[int, str]:
        bad = {}
        for i in chunk:
            try:
                self.dataset.read(int(i))
            except UserError as error:
                bad[int(i)] = str(error)
        return bad
