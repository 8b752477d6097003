"""Batches for training and evaluation.

Training: step s holds positions [s B, (s + 1) B) of the endless sequence (`sampling.EndlessOrder`). The resident loader
keeps every picture on the device as uint8 and gathers; the streaming loader reads pictures in worker processes. Both
then do the same to the batch, so they give the same bits, for any number of workers or ranks and after any resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from ..spec.choices import OnBadFile
from ..spec.errors import UserError, check_choice
from ..spec.preprocess import Preprocess
from ..spec.recipe import Augment
from .dataset import Dataset, Indices
from .loading.batch import Batch, Finisher
from .loading.resident import ResidentLoader, prepare
from .loading.sampling import EndlessOrder
from .loading.streaming import StreamingLoader, readable
from .preprocess import Normalise, apply, to_batch
from .table import as_pictures
from .workers import parallel_map

__all__ = ["Batch", "TrainLoader", "eval_batches", "prepare", "readable", "train_loader"]


class TrainLoader(Protocol):
    """The endless sequence of training batches, this rank's part of it."""

    @property
    def epoch_length(self) -> int:
        """M: positions in one epoch."""
        ...

    @property
    def steps_per_epoch(self) -> int:
        """Steps until every position of an epoch was seen: ceil(M / B)."""
        ...

    @property
    def kind(self) -> Literal["resident", "streaming"]: ...

    @property
    def skipped(self) -> dict[str, str]:
        """Identity -> reason of every unreadable picture that another took the place of (`on_bad_file="skip"`)."""
        ...

    def batches(self, start: int, stop: int) -> Iterator[Batch]:
        """The batches of steps start ... stop - 1."""
        ...


def train_loader(
    dataset: Dataset,
    *,
    normalise: Normalise,
    augment: Augment,
    batch_size: int,
    seed: int,
    device: str = "cpu",
    rank: int = 0,
    world: int = 1,
    workers: int = 0,
    kind: Literal["auto", "resident", "streaming"] = "auto",
    on_bad_file: OnBadFile = "stop",
    progress: Callable[[int, int], None] | None = None,
) -> TrainLoader:
    """Training batches of `dataset` (already the training part); `batch_size` is global, over all `world` ranks.
    Pictures are prepared as `normalise.preprocess` says, normalised, and mixed, in its dtype.

    `auto` is resident where the prepared pictures fit (`resident_bytes` within a quarter of free memory) and the
    augmentation works on prepared pictures. A resident set reads every picture now: `progress(done, total)` is
    told, and a bad file raises `UserError` with its name (or is skipped and listed, with `on_bad_file="skip"`).
    """
    check_choice("kind", kind, ("auto", "resident", "streaming"))
    check_choice("on_bad_file", on_bad_file, get_args(OnBadFile))
    if batch_size % world:
        raise UserError(f"batch_size is {batch_size}; it must be a multiple of the {world} processes")
    if (augment.mixup or augment.cutmix) and (batch_size // world) % 2:
        raise UserError(f"MixUp and CutMix pair neighbours: {batch_size // world} pictures per process must be even")
    sequence = EndlessOrder(np.asarray(dataset.labels), seed=seed, augment=augment, batch_size=batch_size)
    finish = Finisher(normalise.to(device), augment, seed, device)
    share = (batch_size, rank, world)
    if kind == "auto":
        kind = "resident" if fits(dataset, normalise.preprocess, augment, device) else "streaming"
    if kind == "resident":
        return ResidentLoader(dataset, sequence, finish, share, on_bad_file=on_bad_file, progress=progress)
    return StreamingLoader(dataset, sequence, finish, share, workers=workers, on_bad_file=on_bad_file)


def fits(dataset: Dataset, preprocess: Preprocess, augment: Augment, device: str) -> bool:
    """Whether the prepared pictures may stay in memory: a quarter of what is free, and crops work on prepared ones."""
    if augment.crop in {"random-resized", "scale"}:
        return False
    return len(dataset) * 3 * preprocess.size**2 <= free_bytes(device) // 4


def free_bytes(device: str) -> int:
    """Memory that is free on the device; on the CPU, what the kernel calls available."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 4 << 30  # not Linux: assume a small laptop


def eval_batches(dataset: Dataset, preprocess: Preprocess, *, batch_size: int, workers: int = 0) -> Iterator[Tensor]:
    """Prepared uint8 (b, 3, S, S), each picture once, in order.

    The last batch is short; no picture is ever substituted or left out: an unreadable one is a `UserError`.
    """
    every = np.arange(len(dataset), dtype=np.int64)
    chunks = [every[i : i + batch_size] for i in range(0, len(every), batch_size)]
    ready = as_pictures(dataset).reader.prepared == preprocess  # in memory: no worker need have it
    reader = _EvalReader(dataset, None if ready else preprocess)
    yield from parallel_map(reader, chunks, 0 if ready else workers)


class _EvalReader:
    """A chunk of indices to uint8 (b, 3, S, S); picklable, so worker processes can have it."""

    def __init__(self, dataset: Dataset, preprocess: Preprocess | None) -> None:
        self.dataset, self.preprocess = dataset, preprocess

    def __call__(self, chunk: Indices) -> Tensor:
        images = (self.dataset.read(int(i))[0] for i in chunk)
        return to_batch([image if self.preprocess is None else apply(image, self.preprocess) for image in images])
