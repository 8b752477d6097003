"""`reslearn demo`: a small residual network learns 1,797 real handwritten digits, from data to report in a minute."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..bundle.file import load
from ..data.dataset import Dataset
from ..data.memory import part
from ..data.sources import open_data
from ..measure.evaluation import Evaluation
from ..predictor.answers import Prediction
from ..predictor.predictor import predict
from ..spec.errors import UserError
from ..train.events import Watch
from ..train.fit import Run
from ..train.records.run import RunRecord, read_record
from .evaluation import evaluate_model
from .resolve import TrainRequest, resolve
from .training import resume, train

DATA, MODEL, RECIPE = "digits", "resnet20_cifar", "demo"
OUT = "runs/demo"
SHADES = " ░▒▓█"


@dataclass(frozen=True)
class Demo:
    """What the demonstration leaves and shows."""

    run: Run
    test: Evaluation
    drawings: tuple[str, ...]  # a few test pictures as text
    truths: tuple[str, ...]
    answers: tuple[Prediction, ...]
    report: Path


def demo(
    out: str | os.PathLike[str] = OUT,
    *,
    seed: int = 0,
    tuned_allocator: bool = False,
    watch: Watch | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Demo:
    """Train, score once on the test pictures, predict a few of them, write the report.

    `out` may hold an earlier demo: one of the same seed that was stopped goes on, any other is replaced. Another run
    there is a `UserError`.
    """
    folder = Path(out)
    before = earlier(folder)
    if before is not None and before.seed == seed and not (folder / "model.safetensors").exists():
        say(f"goes on  with {folder}, which was stopped")
        run, _ = resume(folder, watch=watch)
    else:
        plan = resolve(TrainRequest(DATA, MODEL, RECIPE, seed=seed, tuned_allocator=tuned_allocator))
        say(f"settings  {plan.start.settings.source}")
        run = train(plan, out=folder, overwrite=True, watch=watch)
    test = evaluate_model(folder, DATA, split="test")
    shown = part(open_data(DATA), "test")
    few = [i * len(shown) // 5 for i in range(5)]  # evenly over all
    images = [shown.read(i)[0] for i in few]
    from .pages.run import write_report  # matplotlib: after the run, not before its first step

    return Demo(
        run=run,
        test=test,
        drawings=tuple(drawing(shown, i) for i in few),
        truths=tuple(shown.classes[int(shown.labels[i])] for i in few),
        answers=tuple(predict(load(folder), images, top=1)),
        report=write_report(folder),
    )


def earlier(folder: Path) -> RunRecord | None:
    """The demo that `folder` holds, finished or not. Raises `UserError` for any other run."""
    if not (folder / "run.json").exists():
        return None
    record = read_record(folder)
    if (record.data["path"], record.recipe.name) != (DATA, RECIPE):
        raise UserError(f"{folder}: holds a run on {record.data['path']}, not an earlier demo; name another with --out")
    return record


def drawing(pictures: Dataset, i: int) -> str:
    """A small picture as lines of block characters, two to a pixel."""
    grey = pictures.read(i)[0].mean(axis=2)
    return "\n".join("".join(2 * SHADES[round(value / 255 * (len(SHADES) - 1))] for value in row) for row in grey)
