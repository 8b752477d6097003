"""`evaluate` and `predict`."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from .output import Json, emit, say

Model = Annotated[str, typer.Argument(metavar="MODEL", help="A run folder or a sealed file.")]
PrecisionOption = Annotated[str, typer.Option(help="fp32, bf16 or fp16; part of the result.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ...")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(evaluate)
    app.command()(predict)


def evaluate(
    model: Model,
    data: Annotated[str, typer.Argument(metavar="DATA", help="digits, a folder of class folders, an archive, ...")],
    split: Annotated[str | None, typer.Option(help="train, val or test; test if absent and there is one.")] = None,
    protocol: Annotated[str, typer.Option(help="1-crop, 10-crop or multi-scale.")] = "1-crop",
    precision: PrecisionOption = "fp32",
    batch_size: int = 256,
    device: Device = "cpu",
    workers: Annotated[int, typer.Option(help="Processes that decode pictures.")] = 0,
    as_json: Json = False,
) -> None:
    """Score a model on a set of pictures; every look at a test set is a line in the run's ledger."""
    say(f"reslearn evaluate: {model} on {data}")
    _tune()
    from ..jobs.evaluation import evaluate_model

    with plain_warnings():
        result = evaluate_model(
            model,
            data,
            split=split,
            protocol=protocol,
            precision=precision,
            batch_size=batch_size,
            device=device,
            workers=workers,
        )
    emit(result.to_json(), as_json, lambda: _print_scores(result))


def predict(
    model: Model,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE...", help="Files, or folders of them.")],
    top: Annotated[int, typer.Option(help="How many classes to name.")] = 5,
    precision: PrecisionOption = "fp32",
    device: Device = "cpu",
    as_json: Json = False,
) -> None:
    """Name the most probable classes of pictures."""
    say(f"reslearn predict: {model}")
    from ..bundle.file import load
    from ..deploy.predictor import find_pictures
    from ..deploy.predictor import predict as predict_pictures

    loaded = load(model, device=device)
    answers = predict_pictures(loaded, find_pictures(images), top, precision=precision, device=device)  # type: ignore[arg-type]
    emit([answer.to_json() for answer in answers], as_json, lambda: _print_answers(answers))


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """A library's warnings become one line each on standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            yield
        finally:
            for text in dict.fromkeys(str(warning.message) for warning in caught):
                say(f"warning: {text}")


def _tune() -> None:
    from ..runtime.allocator import tune

    tune()


def _print_scores(result: Any) -> None:
    low, high = (100 * share for share in result.top1_interval)
    print(f"pictures   {result.images:,}")
    print(
        f"top-1      {100 * result.top1:.2f} % right, error {result.top1_error:.2f} %  (95 %: {low:.2f} .. {high:.2f})"
    )
    if result.top5 is not None:
        print(f"top-5      {100 * result.top5:.2f} % right, error {result.top5_error:.2f} %")
    print(f"loss       {result.loss:.4f}")
    print(f"protocol   {result.protocol}, {result.precision}, preprocessing {result.preprocess_hash}")


def _print_answers(answers: list[Any]) -> None:
    for prediction in answers:
        shown = ", ".join(f"{a.label} {a.probability:.3f}" for a in prediction.predictions)
        print(f"{Path(prediction.path)}: {shown}")
