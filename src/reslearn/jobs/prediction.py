"""`predict`: a model opened on an engine that follows from facts, and pictures of any kind and number answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..bundle.file import Loaded
from ..engine.choice import Choice, default_engine
from ..engine.models import Model, open_model, scorer_of
from ..predictor.answers import Prediction, Unread, with_threshold
from ..predictor.given import given
from ..predictor.predictor import Predictor, check_top
from ..predictor.writing import Progress, Wanted, Written, check_output, kept_engine, sharded, write_answers
from ..runtime.device import present
from ..runtime.process_group import process_group
from ..spec.choices import Engine, Width
from ..spec.errors import UserError

Say = Callable[[str], None]


@dataclass(frozen=True)
class PredictRequest:
    """What is asked of which model; None: chosen, or the file's own."""

    model: str
    images: tuple[str, ...]
    top: int = 5
    threshold: float | None = None
    allow_urls: bool = False
    precision: Width | None = None
    engine: Engine | None = None
    device: str | None = None
    batch_size: int = 64
    workers: int = 0


def predict_pictures(request: PredictRequest, *, say: Say, note: Say) -> list[Prediction | Unread]:
    """An answer to each picture, or why there is none. Raises `UserError` for what is no picture, model or engine."""
    _check(request)
    device = present(request.device, request.engine)
    model = with_threshold(open_model(request.model, device=device), request.threshold)
    pictures = given(list(request.images), allow_urls=request.allow_urls, note=note)
    choice = _choice(request, model, len(pictures), device)
    predictor = _predictor(request, model, choice, device)
    answers: list[Prediction | Unread] = []
    told = False
    for answer in predictor.stream(pictures, request.top, workers=request.workers):
        if not told and not isinstance(answer, Unread):  # where none can be read, nothing has computed
            told = True
            _tell(choice, say)
        answers.append(answer)
    return answers


def predict_file(
    request: PredictRequest, out: Path, wanted: Wanted, *, say: Say, note: Say, progress: Progress
) -> Written | None:
    """The same into a file, a row each; `predictor.writing` says more. None from all processes but the first."""
    _check(request)
    check_output(out, request.images)
    sharded(0, wanted.shard)
    device = present(request.device, request.engine)
    with process_group(device) as world:
        model = with_threshold(open_model(request.model, device=device), request.threshold)
        pictures = given(list(request.images), allow_urls=request.allow_urls, note=note)
        count = len(sharded(len(pictures), wanted.shard))
        # what goes on after a kill keeps its engine, though the graph of another may have been made since
        kept = None if request.engine is not None else kept_engine(out)
        choice = world.tell(_choice(request, model, count, device, kept=kept, layer=wanted.features))
        for turn in (True, False):  # the first process makes the engine's graph, the others find it
            if world.first is turn:
                predictor = _predictor(request, model, choice, device)
            world.barrier()
        _tell(choice, say)
        return write_answers(predictor, pictures, out, wanted, world=world, progress=progress)


def _check(request: PredictRequest) -> None:
    check_top(request.top)
    for name, number, least in (("batch-size", request.batch_size, 1), ("workers", request.workers, 0)):
        if number < least:
            raise UserError(f"--{name} is {number}; it must be at least {least}")


def _choice(
    request: PredictRequest,
    model: Model,
    count: int,
    device: str,
    *,
    kept: Engine | None = None,
    layer: str | None = None,
) -> Choice:
    """What computes, and why."""
    if request.engine is not None:
        return Choice(request.engine, "")
    if kept is not None:
        return Choice(kept, f"{kept}: as the answers that are kept")
    if layer is not None and isinstance(model, Loaded):
        return Choice("torch", "torch: it alone gives the maps inside a sealed file's network")
    return default_engine(model, precision=request.precision, device=device, count=count)


def _tell(choice: Choice, say: Say) -> None:
    if choice.why:
        say(f"engine    {choice.why}")


def _predictor(request: PredictRequest, model: Model, choice: Choice, device: str) -> Predictor:
    scorer = scorer_of(
        model,
        engine=choice.engine,
        precision=request.precision,
        device=device if choice.engine == "torch" else None,
        batch_size=request.batch_size,
    )
    return Predictor.of(model, scorer, choice.why or "asked for")
