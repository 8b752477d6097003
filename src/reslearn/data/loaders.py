"""Batches for training and evaluation.

Training: step s holds positions [s B, (s + 1) B) of the endless sequence (`sampling.EndlessOrder`). The resident loader
keeps every picture on the device as uint8 and gathers; the streaming loader reads pictures in worker processes. Both
then do the same to the batch, so they give the same bits, for any number of workers or ranks and after any resume.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ..runtime.process_group import World
from ..spec.choices import OnBadFile
from ..spec.errors import UserError, check_choice
from ..spec.preprocess import Preprocess
from ..spec.recipe import Augment
from .dataset import Dataset, Indices, Progress
from .loading.batch import Batch, Finisher, TrainLoader
from .loading.resident import ResidentLoader, prepare
from .loading.sampling import EndlessOrder
from .loading.streaming import StreamingLoader, read_many, readable
from .preprocess import Normalise, apply, to_batch
from .table import as_pictures
from .workers import map_chunks

__all__ = ["Batch", "TrainLoader", "eval_batches", "prepare", "readable", "train_loader"]


def train_loader(
    dataset: Dataset,
    *,
    normalise: Normalise,
    augment: Augment,
    batch_size: int,
    seed: int,
    world: World | None = None,
    workers: int = 0,
    kind: Literal["auto", "resident", "streaming"] = "auto",
    on_bad_file: OnBadFile = "stop",
    progress: Progress | None = None,
) -> TrainLoader:
    """Training batches of `dataset` (already the training part); `batch_size` is global, over all processes of `world`.
    Pictures are prepared as `normalise.preprocess` says, normalised, and mixed, in its dtype and where it lies.

    `auto` is resident where the prepared pictures fit (`resident_bytes` within a quarter of free memory) and the
    augmentation works on prepared pictures. A resident set reads every picture now: `progress(done, total)` is
    told, and a bad file raises `UserError` with its name (or is skipped and listed, with `on_bad_file="skip"`).
    """
    check_choice("kind", kind, ("auto", "resident", "streaming"))
    check_choice("on_bad_file", on_bad_file, get_args(OnBadFile))
    processes = 1 if world is None else world.size
    if batch_size % processes:
        raise UserError(f"batch_size is {batch_size}; it must be a multiple of the {processes} processes")
    if (augment.mixup or augment.cutmix) and (batch_size // processes) % 2:
        raise UserError(
            f"MixUp and CutMix pair neighbours: {batch_size // processes} pictures per process must be even"
        )
    labels, finish = np.asarray(dataset.labels), Finisher(normalise, augment, seed)
    shards = shards_of(dataset) if augment.sampler == "shards" else None
    sequence = EndlessOrder(labels, seed=seed, augment=augment, batch_size=batch_size, world=world, shards=shards)
    if kind == "auto":
        kind = "resident" if fits(dataset, normalise.preprocess, augment, finish.device) else "streaming"
    if kind == "resident":
        return ResidentLoader(dataset, sequence, finish, on_bad_file=on_bad_file, progress=progress)
    return StreamingLoader(dataset, sequence, finish, workers=workers, on_bad_file=on_bad_file)


def shards_of(dataset: Dataset) -> Indices | None:
    """(len,) the shard of each picture; None where they lie in none."""
    pictures = as_pictures(dataset)
    shards = pictures.reader.shards
    return None if shards is None else np.asarray(shards)[pictures.where]


def fits(dataset: Dataset, preprocess: Preprocess, augment: Augment, device: str | torch.device) -> bool:
    """Whether the prepared pictures may stay in memory: a quarter of what is free, and crops work on prepared ones."""
    if augment.crop in {"random-resized", "scale"}:
        return False
    return len(dataset) * 3 * preprocess.size**2 <= free_bytes(device) // 4


def free_bytes(device: str | torch.device) -> int:
    """Memory that is free on the device; on the CPU, what the kernel calls available."""
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    facts = Path("/proc/meminfo")
    found = re.search(r"MemAvailable: *(\d+) kB", facts.read_text(encoding="utf-8")) if facts.exists() else None
    return int(found[1]) * 1024 if found else 4 << 30  # not Linux: assume a small laptop


def eval_batches(dataset: Dataset, preprocess: Preprocess, *, batch_size: int, workers: int = 0) -> Iterator[Tensor]:
    """Prepared uint8 (b, 3, S, S), each picture once, in order.

    The last batch is short; no picture is ever substituted or left out: an unreadable one is a `UserError`.
    """
    every = np.arange(len(dataset), dtype=np.int64)
    ready = as_pictures(dataset).reader.prepared == preprocess  # in memory: no worker need have it
    read = partial(_read_batch, dataset, None if ready else preprocess)
    yield from map_chunks(read, every, 0 if ready else workers, size=batch_size)


def _read_batch(dataset: Dataset, preprocess: Preprocess | None, chunk: Indices) -> Tensor:
    """A chunk of indices to uint8 (b, 3, S, S)."""
    images = read_many(dataset, chunk)
    return to_batch([image if preprocess is None else apply(image, preprocess) for image in images])
