"""`bench infer --engine`: from prepared pictures to logits on each engine, as evaluation and prediction take it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch

from ..bundle.file import Loaded
from ..bundle.header import Bundle, Member
from ..engine.models import graph_scorer, scorer_of
from ..engine.needs import MAKES, OF_ENGINE, engines_here, need
from ..engine.scorer import Scorer
from ..engine.writing import ExportPlan, export_model
from ..nets.build import create_model
from ..runtime.choice import asked_threads, has_compiler
from ..runtime.processor import cores
from ..runtime.settings import Precision, Settings
from ..spec.catalogue import get_spec
from ..spec.choices import Engine
from ..spec.errors import UserError
from ..spec.net import Spec
from ..spec.preprocess import default_preprocess
from .bench import Speed, Stopwatch, check_sizes


def bench_engines(
    model: str,
    engine: Engine | Literal["all"],
    *,
    batch: int = 16,
    image_size: int | None = None,
    steps: int = 30,
    warmup: int = 5,
    precision: Precision | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> list[Speed]:
    """Images/s of a network with made-up weights on `engine`, or on all that are installed here.

    Raises `UserError` for sizes below 1, fewer than two steps, and an engine that is not here or not of this precision.
    """
    check_sizes(batch, image_size, steps)
    spec = get_spec(model)
    size = spec.image_size if image_size is None else image_size
    threads = asked_threads() or cores()
    loaded = made_up(spec, size)
    images = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    found = []
    for one in (engine,) if engine != "all" else here():
        say(f"{one}")
        try:
            scorer = _scorer(loaded, one, precision or "fp32", threads, batch)
        except UserError as error:
            if engine != "all":
                raise
            say(f"note      {one}: {error}")
            continue
        clock = Stopwatch(warmup, threads)
        with scorer.ready():
            for _ in range(warmup + steps):
                scorer(images)
                clock.lap()
        settings = Settings(precision=precision or "fp32", compile=one == "compiled", threads=threads)
        found.append(clock.result(batch, settings, model=spec.name, image_size=size, engine=one))
    return found


def here() -> Sequence[Engine]:
    """The engines that this machine has all packages and compilers of."""
    return [one for one in engines_here() if one != "compiled" or has_compiler()]


def made_up(spec: Spec, size: int) -> Loaded:
    """An opened model that nobody sealed, with weights as training would start from."""
    torch.manual_seed(0)
    net = create_model(spec).eval()
    return Loaded(net, Bundle((Member(spec),), default_preprocess(size)), Path(spec.name))


def _scorer(loaded: Loaded, engine: Engine, precision: Precision, threads: int, batch: int) -> Scorer:
    """A scorer whose graph is made for the moment: the cache is for people's models."""
    if engine in ("torch", "compiled"):
        return scorer_of(loaded, engine=engine, precision=precision, threads=threads, batch_size=batch)
    need(*OF_ENGINE[engine], *MAKES[engine])
    plan = ExportPlan("onnx" if engine == "onnxruntime" else "openvino", precision=precision)
    return graph_scorer(export_model(loaded, plan)[0], engine, threads=threads, batch_size=batch)
