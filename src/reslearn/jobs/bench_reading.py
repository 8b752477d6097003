"""`bench data`: the training loader alone, and which of reading, decoding and computing would hold a training back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..data.dataset import Indices
from ..data.layout.named_files import is_address
from ..data.loaders import train_loader
from ..data.memory import part
from ..data.preprocess import Normalise, apply
from ..data.sources import open_data
from ..data.table import Pictures
from ..data.workers import in_threads
from ..runtime.choice import workload
from ..runtime.random import order
from ..runtime.settings import Settings
from ..spec.catalogue import get_spec
from ..spec.codec import fields_to_json
from ..spec.errors import check_at_least
from ..spec.preprocess import Preprocess, default_preprocess
from ..spec.recipes import get_recipe
from ..spec.rule import MOST
from .bench import Speed, Stopwatch, check_sizes
from .choosing import choose, facts_of, gigaflops

SAMPLE = 256  # pictures that are read for the rates, at most
PATIENCE = 10.0  # seconds for each of them
Bound = Literal["network", "disk", "decoding", "computing"]


@dataclass(frozen=True)
class Rates:
    """Pictures a second of each on its own."""

    reading: float  # from the network or the disk, as bytes
    decoding: float  # and preparing, by all cores
    computing: float  # training `model` on this machine, from its measured rate
    megabytes_per_second: float  # of reading
    held_back_by: Bound
    model: str

    def to_json(self) -> dict[str, Any]:
        """Added to what the loader itself does."""
        return fields_to_json(self)


def bench_data(
    path: str, *, batch: int = 128, image_size: int | None = None, recipe: str | None = None, steps: int = 50,
    workers: int = 0, model: str | None = None,
) -> tuple[Speed, Rates]:  # fmt: skip
    """Images/s of the training loader alone, and what its parts reach. Raises as `bench_train` does.

    What is not named of network, size and recipe (its augmentation) is what `train` would choose on these pictures.
    """
    check_sizes(batch, image_size, steps)
    check_at_least("--workers", workers, 0, MOST)
    data = open_data(path)
    if "train" in data.splits:  # what a run would train on, its held out pictures included
        data = part(data, "train")
    read = _read(data)
    choice = choose(facts_of(data), model=model, recipe=recipe, image_size=image_size)
    values = get_recipe(recipe or choice.recipe or "")
    spec = get_spec(model or choice.model or "", num_classes=len(data.classes))
    size = image_size or choice.image_size or values.image_size or spec.image_size
    preprocess = default_preprocess(size)
    rates = _rates(data, read, preprocess, spec.name, workload(spec, size, 1000).seconds(gigaflops()) / 1000)
    loader = train_loader(
        data,
        normalise=Normalise(preprocess),
        augment=values.augment,
        batch_size=batch,
        seed=0,
        workers=workers,
    )
    clock = Stopwatch(2, workers or 1)
    for _ in loader.batches(0, steps + 2):
        clock.lap()
    about: dict[str, str | int] = {"data": path, "loader": loader.kind, "image_size": size, "recipe": values.name}
    return clock.result(batch, Settings(workers=workers), **about), rates


@dataclass(frozen=True)
class _Read:
    """Some pictures as bytes, and how many a second came."""

    raws: dict[int, bytes | None]
    rows: Indices
    sizes: list[int]
    rate: float


def _read(data: Pictures) -> _Read:
    """Before anything else is read, so that nothing of it lies in a cache of ours."""
    rows = order(0, 0, len(data))[:SAMPLE]
    raws: dict[int, bytes | None] = {}

    def read(i: int) -> int:
        raws[i] = data.raw(i)
        return len(raws[i] or b"")

    sizes, rate = _timed(read, rows, data.reader.threads or None)
    return _Read(raws, rows[: len(sizes)], sizes, rate if any(sizes) else float("inf"))  # bare pixels: decoding is all


def _rates(data: Pictures, read: _Read, preprocess: Preprocess, model: str, seconds: float) -> Rates:
    sizes, reading = read.sizes, read.rate
    _, decoding = _timed(lambda i: apply(data.decode(i, read.raws[i]), preprocess), read.rows, None)
    computing = 1 / seconds
    far = any(map(is_address, (data.path or "", data.ids[0])))  # or a table here of addresses
    elsewhere: Bound = "network" if far else "disk"
    slowest = min((computing, "computing"), (decoding, "decoding"), (reading, elsewhere))
    bound: Bound = slowest[1]  # type: ignore[assignment]
    mean = float(np.mean(sizes)) if sizes else 0.0
    rate = reading if np.isfinite(reading) else decoding
    return Rates(round(rate, 1), round(decoding, 1), round(computing, 1), round(rate * mean / 1e6, 2), bound, model)


def _timed(function: Callable[[int], Any], rows: Indices, threads: int | None) -> tuple[list[Any], float]:
    """Results of as many rows as there is time for, and rows a second."""
    began, found = time.perf_counter(), []
    results = in_threads(function, map(int, rows), threads)
    for result in results:
        found.append(result)
        if time.perf_counter() - began > PATIENCE:
            results.close()
            break
    return found, len(found) / max(time.perf_counter() - began, 1e-9)
