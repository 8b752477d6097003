"""Every picture prepared once and kept as uint8 on the device; a batch is then one gather."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...spec.choices import OnBadFile
from ...spec.errors import UserError
from ...spec.preprocess import Preprocess
from ..dataset import Dataset, Progress
from ..memory import ArrayDataset
from ..parts.keys import read_all
from ..preprocess import apply
from ..table import as_pictures
from .batch import Batch, Finisher, TrainLoader
from .sampling import EndlessOrder


def prepare(dataset: Dataset, preprocess: Preprocess) -> ArrayDataset:
    """Every picture read, resized and cropped into memory. The first unreadable one raises its `UserError`."""
    images, _ = read_prepared(dataset, preprocess)
    return ArrayDataset(
        images,
        dataset.labels,
        classes=dataset.classes,
        ids=dataset.ids,
        splits=dataset.splits,
        path=dataset.path,
        prepared=preprocess,
    )


def read_prepared(
    dataset: Dataset,
    preprocess: Preprocess,
    *,
    on_bad_file: OnBadFile = "stop",
    progress: Progress | None = None,
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    """(N, S, S, 3), read with threads (decoders release the interpreter's lock), and why pictures could not be read.

    The first unreadable picture raises its `UserError`, or with `skip` is noted by its index, and black.
    """
    count, size = len(dataset), preprocess.size
    images = _whole_array(dataset, preprocess)
    if images is not None:
        return images, {}
    target, bad = np.zeros((count, size, size, 3), np.uint8), {}

    def read(i: int) -> None:
        try:
            target[i] = apply(dataset.read(i)[0], preprocess)
        except UserError as error:
            if on_bad_file == "stop":
                raise
            bad[i] = str(error)

    read_all(read, np.arange(count), _threads(dataset), progress)
    if bad and len(bad) == count:
        raise UserError(f"none of the {count} pictures can be read; the first: {bad[min(bad)]}")
    return target, bad


def _whole_array(dataset: Dataset, preprocess: Preprocess) -> NDArray[np.uint8] | None:
    """The pictures of an in-memory set that need no preparation, without reading them one by one."""
    pictures = as_pictures(dataset)
    images, prepared = pictures.reader.images, pictures.reader.prepared
    if images is None or images.shape[1:3] != (preprocess.size, preprocess.size):
        return None
    if prepared != preprocess and (prepared or (preprocess.mode == "crop" and preprocess.resize != preprocess.size)):
        return None
    return images if pictures.root is pictures else np.asarray(images[pictures.where])


def _threads(dataset: Dataset) -> int:
    """Small pictures cost more in handing over the interpreter's lock than decoding them in parallel saves."""
    if as_pictures(dataset).reader.threads:
        return as_pictures(dataset).reader.threads
    try:
        small = dataset.read(0)[0].size < 100_000
    except UserError:
        small = False
    return 1 if small else (os.cpu_count() or 1)


class ResidentLoader(TrainLoader):
    """The training loader for sets that fit: uint8 (N, 3, S, S) on the device."""

    kind = "resident"

    def __init__(
        self,
        dataset: Dataset,
        sequence: EndlessOrder,
        finish: Finisher,
        *,
        on_bad_file: OnBadFile = "stop",
        progress: Progress | None = None,
    ) -> None:
        super().__init__(sequence, finish)
        if finish.augment.crop in {"random-resized", "scale"}:
            raise UserError(
                f"crop '{finish.augment.crop}' needs whole pictures; "
                "use the streaming loader (--set settings.loader=streaming)"
            )
        images, bad = read_prepared(dataset, finish.normalise.preprocess, on_bad_file=on_bad_file, progress=progress)
        planar = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
        self._images: Tensor = torch.from_numpy(planar).to(finish.device)
        self._labels = np.asarray(dataset.labels)
        self._bad = frozenset(bad)
        self.skipped = {dataset.ids[i]: reason for i, reason in sorted(bad.items())}

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps start ... stop - 1."""
        for step in range(start, stop):
            positions, samples, epochs = self._sequence.step(step)
            for row in [r for r, s in enumerate(samples) if int(s) in self._bad] if self._bad else ():
                samples[row] = next(s for s in self._sequence.instead(int(positions[row])) if s not in self._bad)
            where = torch.from_numpy(samples).to(self._images.device, non_blocking=True)
            images = self._images.index_select(0, where)
            yield self._finish(images, self._labels[samples], positions, samples, epochs)
