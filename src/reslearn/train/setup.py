"""What surrounds the loop: refusing a folder in use, reopening a run's data, comparing machines, stop signals."""

from __future__ import annotations

import contextlib
import hashlib
import platform
import signal
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import nn

from ..data.augment.foreign import Transform, Transformed
from ..data.dataset import Dataset
from ..data.loaders import TrainLoader, fits, prepare, readable, train_loader
from ..data.parts.identity import hashes_of
from ..data.statistics import mean_image
from ..measure import metrics
from ..measure.evaluate import shared_logits
from ..measure.sharding import Share
from ..runtime.choice import Workload
from ..runtime.container import read_safetensors
from ..runtime.device import weight_type
from ..runtime.files import is_leftover, read_json, write_atomic
from ..runtime.process_group import World
from ..runtime.processor import read_processor
from ..runtime.settings import Settings
from ..spec.choices import OnBadFile
from ..spec.cost import cost
from ..spec.errors import UserError
from ..spec.net import Spec
from ..spec.preprocess import Preprocess
from ..spec.recipe import Augment, Recipe
from .events import Reading, Watch
from .loop import SIGNALS
from .pictures import FILE_NAME as PICTURES
from .pictures import whole_of
from .record import RunRecord, Split, labels_text


class StopSignals:
    """Ctrl-C and SIGTERM become a request that the loop answers after its step; a second one acts at once."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._remember)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: types.FrameType | None) -> None:
        self.received = number
        for known, handler in self._before.items():
            signal.signal(known, handler)


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Raise `UserError` unless a run may be started in `folder`."""
    if (folder / "run.json").exists():
        if not overwrite:
            raise UserError(
                f"{folder}: holds a run already; go on with `reslearn resume {folder}` or replace it with --overwrite"
            )
        if not _is_run(folder / "run.json"):
            raise UserError(f"{folder}: its run.json is none of reslearn, and is not overwritten; name another --out")
    elif folder.is_dir() and not _hardly_begun({entry.name for entry in folder.iterdir()}):
        raise UserError(f"{folder}: not empty and no run; name a new folder with --out")
    elif folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file; name a new folder with --out")


def _hardly_begun(names: set[str]) -> bool:
    """Whether a folder of these names holds nothing, or what a run that was killed leaves before its `run.json`."""
    names = {name for name in names if not is_leftover(name)}
    return names <= ({"lock", "mean_image.safetensors", PICTURES} if "lock" in names else set())


def _is_run(path: Path) -> bool:
    """Whether a `run.json` is one of ours, whatever else may be wrong with it: other programs have such files, too."""
    try:
        record = read_json(path)
    except UserError:
        return False
    return isinstance(record, dict) and {"spec", "recipe", "split"} <= record.keys()


def clear(folder: Path) -> None:
    """Remove what an earlier run left: the sealed file first, so that nothing old can pass for the new result, then the
    checkpoints, so that the old run could only be begun again, and not go on without half of its journal."""
    (folder / "model.safetensors").unlink(missing_ok=True)
    for file in (folder / "checkpoints").glob("*.safetensors"):
        file.unlink()
    for name in (
        "metrics.jsonl",
        "report.html",
        "ledger.jsonl",
        "mean_image.safetensors",
        PICTURES,
    ):
        (folder / name).unlink(missing_ok=True)


def planned_workload(spec: Spec, recipe: Recipe, images: int, size: int) -> Workload:
    """What all forward passes of a run's training will compute, at full size."""
    return workload(spec, size, recipe.total_steps(images) * recipe.batch_size)


def workload(spec: Spec, size: int, pictures: float, *, training: bool = True) -> Workload:
    """What the forward passes of this many pictures compute."""
    price = cost(spec, size)
    return Workload(price.macs * pictures, price.activations * pictures, training)


def describe(data: Dataset) -> dict[str, Any]:
    """What `run.json` says of the data a run trains on; of a part, the whole it was taken from."""
    whole = whole_of(data)
    return {"path": whole.path, "fingerprint": whole.fingerprint(), "classes": list(data.classes)}


def describe_split(train_data: Dataset, val_data: Dataset | None, seed: int, method: str) -> Split:
    """What `run.json` says of the split: `content` where all pictures' hashes are known, so that they decided it."""
    parts = [part for part in (train_data, val_data) if part is not None]
    columns = [hashes_of(part) for part in parts if len(part)]
    hashed = bool(columns) and all(column is not None and all(column) for column in columns)
    ids = tuple(train_data.ids), tuple(val_data.ids) if val_data is not None else ()
    return Split(
        *ids,
        seed,
        "content" if hashed else "path",
        method,
        train_labels=labels_text(train_data.labels),
        val_labels=labels_text(val_data.labels) if val_data is not None else "",
        pictures=len(whole_of(train_data)),
    )


def open_loader(
    record: RunRecord,
    data: Dataset,
    mean_image: torch.Tensor | None,
    world: World,
    watch: Watch | None,
    transform: Transform | None = None,
) -> TrainLoader:
    """The endless sequence of training batches that this record describes, this process's part of it."""
    return train_loader(
        data if transform is None else Transformed(data, transform),
        preprocess=record.preprocess,
        augment=record.recipe.augment,
        batch_size=record.recipe.batch_size,
        seed=record.seed,
        device=record.settings.device,
        rank=world.rank,
        world=world.size,
        workers=record.settings.workers,
        kind=record.settings.loader if transform is None else "streaming",  # its draws differ at every reading
        mean_image=mean_image,
        dtype=weight_type(record.settings),
        on_bad_file=record.on_bad_file,
        progress=(lambda done, total: watch(Reading(done, total))) if watch is not None and world.first else None,
    )


def check_world(recipe: Recipe, settings: Settings, world: World) -> None:
    """Raise `UserError` unless the global batch divides by processes times accumulation."""
    parts = world.size * recipe.accumulate
    if recipe.batch_size % parts:
        raise UserError(
            f"batch_size is {recipe.batch_size}; it must be a multiple of {world.size} processes times "
            f"{recipe.accumulate} accumulation steps, e.g. --set batch_size={-(-recipe.batch_size // parts) * parts}"
        )


def with_mean_image(
    recipe: Recipe,
    preprocess: Preprocess,
    data: Dataset,
    on_bad_file: OnBadFile,
    adopted: torch.Tensor | None = None,
) -> tuple[Preprocess, torch.Tensor | None]:
    """P1's input where the recipe asks for it: the per-pixel mean of the training set, subtracted, no division.

    `adopted` is the mean image of the weights that a run starts from, where its preprocessing names it.
    """
    if recipe.input_mean != "pixel":
        if preprocess.mean_image is not None and adopted is None:
            raise UserError("preprocess names a mean image, which comes with weights alone; give those, or none")
        return preprocess, adopted if preprocess.mean_image is not None else None
    mean, digest = mean_image(readable(data)[0] if on_bad_file == "skip" else data, preprocess)
    return replace(preprocess, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), mean_image=digest), mean


def save_mean_image(folder: Path, mean: torch.Tensor) -> None:
    """Keep the mean image beside `run.json`, for a resume."""
    write_atomic(folder / "mean_image.safetensors", safetensors.torch.save({"mean": mean}))


def load_mean_image(folder: Path, record: RunRecord) -> torch.Tensor | None:
    """The mean image of a run, checked against the hash in `run.json`."""
    if record.preprocess.mean_image is None:
        return None
    path = folder / "mean_image.safetensors"
    if not path.exists():
        raise UserError(f"{path}: gone, and the run needs it; train anew with --overwrite")
    mean = safetensors.torch.load(read_safetensors(path)[0])["mean"]
    if hashlib.sha256(mean.numpy().tobytes()).hexdigest() != record.preprocess.mean_image:
        raise UserError(f"{path}: altered since the run began; train anew with --overwrite")
    return mean


def provisional(
    record: RunRecord, data: Dataset, mean_image: torch.Tensor | None
) -> Callable[[nn.Module], tuple[float, float]]:
    """Validation as it runs during training, in the training precision: net -> (loss, top-1 error in percent).

    The pictures are shared out among the processes, and every one returns the same.
    """
    labels = np.asarray(data.labels)
    share = Share.of(data)
    if fits(share.pictures, record.preprocess, Augment(), record.settings.device) and len(share.places):
        share = replace(share, pictures=prepare(share.pictures, record.preprocess))  # decoded once for all validations

    def validate(net: nn.Module) -> tuple[float, float]:
        options: dict[str, Any] = {"precision": record.settings.autocast, "device": record.settings.device}
        logits = shared_logits(net.eval(), share, record.preprocess, mean_image=mean_image, **options)
        return float(metrics.loss(logits, labels)), 100 * (1 - float(metrics.accuracy(logits, labels)))

    return validate


@contextlib.contextmanager
def memory_advice(recipe: Recipe) -> Iterator[None]:
    """Running out of memory becomes a line that says what to set; the effective batch can stay what it is."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # a CPU's lack of memory is a plain RuntimeError
        words = ("can't allocate memory", "not enough memory")
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and not any(w in str(error) for w in words):
            raise
        raise UserError(
            f"out of memory with {recipe.batch_size // recipe.accumulate} pictures at once; "
            f"--set accumulate={2 * recipe.accumulate} halves that and keeps the batch of {recipe.batch_size}"
        ) from None


def numerics(world: World) -> dict[str, str]:
    """The facts of this machine that a run's last bits depend on."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    kernels = torch.backends.cpu.get_cpu_capability()
    return {
        "torch": torch.__version__.partition("+")[0],
        "processor": f"{platform.machine()} {kernels} {read_processor().bf16_kind}".strip(),
        "gpu": gpu,
        "processes": str(world.size),
    }


def check_numerics(record: RunRecord, world: World, allowed: bool) -> None:
    """Stop a resume whose arithmetic would differ from the run's, unless that is allowed.

    With another number of processes the global batches, their order and their augmentation stay what they were;
    which samples are normalised together, and the last bits, do not.
    """
    then, now = record.environment.get("numerics"), numerics(world)
    if not isinstance(then, dict):
        then = {}
    changed = [f"{name} was {then[name]}, is {now[name]}" for name in now if name in then and then[name] != now[name]]
    if changed and not allowed:
        raise UserError(
            f"this machine's arithmetic differs from the run's: {'; '.join(changed)}; the same pictures would be seen "
            f"in the same order, but with other last bits: --allow-different-numerics goes on"
        )
