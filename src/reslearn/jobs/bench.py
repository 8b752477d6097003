"""How fast is it here? The real loop, the real loader and the real evaluation on made-up pictures."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data.loaders import train_loader
from ..data.memory import ArrayDataset, part
from ..data.preprocess import Normalise
from ..data.sources import open_data
from ..nets.build import create_model
from ..runtime import device
from ..runtime.choice import decide, this_machine, workload
from ..runtime.load import Load, Watcher, spread_of
from ..runtime.machine import kept_rates
from ..runtime.process_group import from_environment, process_group
from ..runtime.settings import Precision, Settings
from ..runtime.switches import owned
from ..spec.catalogue import get_spec
from ..spec.codec import fields_to_json
from ..spec.errors import UserError, check_at_least
from ..spec.preprocess import check_image_size, default_preprocess
from ..spec.recipes import get_recipe
from ..spec.text import counted
from ..spec.voice import Voice
from ..train.batch_size import check_batch, check_world
from ..train.checkpoint import Progress
from ..train.events import Reading, Tick
from ..train.loop import Diverged, Work, train
from ..train.update import prepare_update
from .resolve import machine_settings

WARMUP = 15  # steps of training that do not count
OPTIONS = Voice(own={"batch_size": "--batch"}, sets=False)  # its --set changes the machine's settings alone


@dataclass(frozen=True)
class Speed:
    """How fast something went, over `n` equal steps."""

    images_per_second: float  # by the median step
    sustained: float  # by all the time
    n: int
    spread: float  # interquartile range over median
    load: Load | None  # what else went on; None among fellow processes, from whom others cannot be told
    first_step_seconds: float
    settings: Settings
    about: dict[str, str | int | None]  # what was measured

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return {name: value for name, value in fields_to_json(self).items() if name != "about"} | self.about


def bench_train(
    model: str,
    *,
    batch: int = 128,
    image_size: int | None = None,
    recipe: str = "fast-cifar",
    data: str | None = None,
    steps: int = 60,
    precision: Precision | None = None,
    changes: dict[str, str] | None = None,
    tuned_allocator: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Speed:
    """Images/s of training `model` as a long run would: augmentation, forward, backward and optimiser included.

    The median over `steps` steps after `WARMUP` that do not count; compilation is told apart. Pictures are noise in
    memory, or those of `data`: then `sustained`, pictures by all time, also counts where steps wait for the loader.
    `changes` sets fields of the settings, e.g. {"compile": "false"}. `batch` is global: under `torchrun` the processes
    share it. Where no measurement of this processor is kept, it is measured first.
    Raises `UserError` for sizes below 1, fewer than two steps, and settings that this machine has not.
    """
    check_sizes(batch, image_size, steps)
    machine_settings(Settings(), changes or {})
    given = None if data is None else open_data(data)
    if given is not None and "train" in given.splits:  # what a run would train on, its held out pictures included
        given = part(given, "train")
    spec = get_spec(model, **({} if given is None else {"num_classes": len(given.classes)}))
    size = spec.image_size if image_size is None else image_size
    values = replace(get_recipe(recipe), epochs=None, images=None, iterations=steps + WARMUP, batch_size=batch)
    values = replace(values, image_size=size, checkpoint_every=1e9, validate_every=1e9)  # steps alone
    world = from_environment()
    check_world(values, world, voice=OPTIONS)
    check_batch(spec, values, size, world.size, voice=OPTIONS)
    measure_first(say)
    planned = replace(workload(spec, size, batch), endless=True)
    settings = decide(planned, precision=precision, tuned_allocator=tuned_allocator, world=world.size)
    settings = machine_settings(settings, changes or {})
    pictures = given or random_pictures(max(1024, 2 * batch), size, spec.num_classes)
    with owned(settings.threads), tempfile.TemporaryDirectory() as folder, process_group(settings.device):
        loader = train_loader(
            pictures,
            normalise=Normalise(default_preprocess(size)).to(settings.device),
            augment=values.augment,
            batch_size=batch,
            seed=0,
            world=world,
            workers=settings.workers,
            kind=settings.loader,
        )
        torch.manual_seed(0)
        update = prepare_update(create_model(spec), values, settings, pictures, world=world)
        clock = Stopwatch(WARMUP, settings.threads if world.size == 1 else None)
        work = Work(
            folder=Path(folder),
            update=update,
            loader=loader,
            seed=0,
            progress=Progress(),
            validate=lambda net: None,
            watch=clock.tick,
            world=world,
        )
        try:
            train(work)
        except Diverged:
            raise UserError(
                f"bench train: the loss of {spec.name} is no number any more after {work.progress.step} steps of "
                f"{recipe}, so they are no training; name another --recipe, --precision or --model"
            ) from None
    return clock.result(batch, settings, model=spec.name, image_size=size, processes=world.size, data=data)


def bench_infer(
    model: str,
    *,
    batch: int = 16,
    image_size: int | None = None,
    steps: int = 30,
    warmup: int = 5,
    precision: Precision | None = None,
    changes: dict[str, str] | None = None,
    tuned_allocator: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Speed:
    """Images/s of the forward pass in evaluation mode, as a long job would run it. Raises as `bench_train` does."""
    check_sizes(batch, image_size, steps)
    machine_settings(Settings(), changes or {})
    spec = get_spec(model)
    size = spec.image_size if image_size is None else image_size
    measure_first(say)
    planned = replace(workload(spec, size, batch, training=False), endless=True)
    settings = decide(planned, precision=precision, tuned_allocator=tuned_allocator)
    settings = machine_settings(settings, changes or {})
    layout = device.memory_format(settings)
    with owned(settings.threads), torch.inference_mode():
        net = create_model(spec).eval().to(settings.device).to(memory_format=layout)  # type: ignore[call-overload]
        run: Callable[[torch.Tensor], torch.Tensor] = torch.compile(net, dynamic=False) if settings.compile else net
        images = torch.randn(batch, spec.in_channels, size, size, device=settings.device).to(memory_format=layout)
        clock = Stopwatch(warmup, settings.threads)
        for _ in range(warmup + steps):
            with device.autocast(settings):
                run(images)
            if settings.device.startswith("cuda"):
                torch.cuda.synchronize()
            clock.lap()
    return clock.result(batch, settings, model=spec.name, image_size=size)


def measure_first(say: Callable[[str], None]) -> None:
    """Measure this processor where no measurement of it is kept, so that the settings follow from what it does.

    Does nothing where a GPU will be used, and for one of several processes: they would measure each other.
    """
    world = from_environment().size
    machine = this_machine(world=world)
    if world > 1 or torch.cuda.is_available() or kept_rates(machine.processor, machine.threads)[0] is not None:
        return
    from ..runtime.measuring import measure_and_keep

    say(f"measuring {counted(machine.threads, 'thread')} of {machine.processor.kind}, two seconds")
    say(f"rates     {measure_and_keep(machine.processor, machine.threads).outcome}")


def check_sizes(batch: int, image_size: int | None, steps: int) -> None:
    """Raise `UserError` naming the option that leaves nothing to measure; a spread needs two steps."""
    check_at_least("--batch", batch, 1, 10**6)
    check_image_size(image_size)
    check_at_least("--steps", steps, 2, 10**6)


def random_pictures(count: int, size: int, classes: int) -> ArrayDataset:
    """Noise with labels, held in memory."""
    draws = np.random.default_rng(0)
    return ArrayDataset(
        draws.integers(0, 256, (count, size, size, 3), dtype=np.uint8),
        draws.integers(0, classes, count),
        classes=[str(c) for c in range(classes)],
        ids=[str(i) for i in range(count)],
    )


class Stopwatch:
    """Seconds of consecutive laps, and what else the machine did after the first `warmup` of them."""

    def __init__(self, warmup: int, wanted: int | None) -> None:
        """`wanted` threads are at work; None among fellow processes, from whom others cannot be told."""
        self.laps: list[float] = []
        self._warmup, self._wanted, self._watcher = warmup, wanted, None if wanted is None else Watcher(wanted)
        self._last = time.perf_counter()

    def lap(self) -> None:
        """End a lap and start the next."""
        now = time.perf_counter()
        self.laps.append(now - self._last)
        self._last = now
        if len(self.laps) == self._warmup and self._wanted is not None:
            self._watcher = Watcher(self._wanted)

    def tick(self, event: Tick | Reading) -> None:
        """A lap for each step of the loop."""
        self.lap()

    def result(self, batch: int, settings: Settings, **about: str | int | None) -> Speed:
        """What the laps in steps of `batch` pictures, without the warm-up, amount to."""
        laps = self.laps[self._warmup :]
        return Speed(
            images_per_second=round(batch / statistics.median(laps), 1),
            sustained=round(batch * len(laps) / sum(laps), 1),
            n=len(laps),
            spread=round(spread_of(laps), 3),
            load=None if self._watcher is None else self._watcher.load(laps),
            first_step_seconds=round(self.laps[0], 2),
            settings=settings,
            about=about | {"batch": batch},
        )
