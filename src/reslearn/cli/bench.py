"""`bench train`, `bench infer`, `bench data`: how fast is it here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..runtime.allocator import tune
from ..spec.codec import parse_assignments
from ..spec.errors import UserError
from ..spec.text import counted
from . import options as opt
from .addresses import opened_so
from .output import emit, put, say

if TYPE_CHECKING:
    from ..jobs.bench import Speed
    from ..jobs.bench_reading import Rates

Batch = Annotated[int, typer.Option(help="Pictures in a step.")]
AnyEngine = Literal["torch", "compiled", "onnxruntime", "openvino", "all"]
Fields = Annotated[list[str] | None, typer.Option("--set", help="A field of the settings, e.g. compile=false.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    group = typer.Typer(no_args_is_help=True, help="Measure training, inference or data loading on this machine.")
    group.command("train")(train)
    group.command("infer")(infer)
    group.command("data")(data)
    app.add_typer(group, name="bench")


def train(
    model: opt.Network = "resnet20_cifar",
    batch: Batch = 128,
    image_size: opt.ImageSize = None,
    recipe: Annotated[str, typer.Option(help="Whose step, of `reslearn recipes`.")] = "fast-cifar",
    data: Annotated[str | None, typer.Option(help="Pictures to train on, read as a run would; else noise.")] = None,
    steps: int = 60,
    precision: opt.TrainPrecision = None,
    changes: Fields = None,
    as_json: opt.Json = False,
) -> None:
    """Images/s of training in steady state, as a long run would do it; under `torchrun`, of all processes together."""
    say(f"reslearn bench train {model}")
    tuned = tune()
    from ..jobs.bench import bench_train

    result = bench_train(
        model,
        batch=batch,
        image_size=image_size,
        recipe=recipe,
        data=data,
        steps=steps,
        precision=precision,
        changes=settings_of(changes),
        tuned_allocator=tuned,
        say=say,
    )
    emit(result.to_json(), as_json, lambda: _print(result))


def infer(
    model: opt.Network = "resnet50",
    batch: Batch = 16,
    image_size: opt.ImageSize = None,
    steps: int = 30,
    precision: opt.TrainPrecision = None,
    engine: Annotated[
        AnyEngine | None, typer.Option(help="Prepared pictures to logits on this engine, or on each that is here.")
    ] = None,
    changes: Fields = None,
    as_json: opt.Json = False,
) -> None:
    """Images/s of the forward pass; with --engine, of what evaluation and prediction do on that engine."""
    say(f"reslearn bench infer {model}")
    tuned = tune()
    if engine is not None:
        if changes:
            raise UserError("--set changes torch's settings, and --engine has its own; give one of them")
        from ..jobs.bench_engines import bench_engines

        found = bench_engines(
            model, engine, batch=batch, image_size=image_size, steps=steps, precision=precision, say=say
        )
        several = engine == "all"
        emit(
            [one.to_json() for one in found] if several else found[0].to_json(), as_json, lambda: _print_engines(found)
        )
        return
    from ..jobs.bench import bench_infer

    result = bench_infer(
        model,
        batch=batch,
        image_size=image_size,
        steps=steps,
        precision=precision,
        changes=settings_of(changes),
        tuned_allocator=tuned,
        say=say,
    )
    emit(result.to_json(), as_json, lambda: _print(result, trained=False))


def data(
    path: opt.Data,
    batch: Batch = 128,
    image_size: opt.ImageSize = None,
    recipe: Annotated[
        str | None, typer.Option(help="Whose augmentation, of `reslearn recipes`; what `train` would choose if absent.")
    ] = None,
    steps: int = 50,
    workers: int = 0,
    model: Annotated[
        str | None, typer.Option(help="The network that computing is told for; what `train` would choose if absent.")
    ] = None,
    cache_size: opt.CacheSize = None,
    as_json: opt.Json = False,
) -> None:
    """Images/s of the training loader alone; and whether network, decoding or computing would hold a training back."""
    path = opened_so(path, cache_size, False)
    say(f"reslearn bench data {path}")
    tune()
    from ..jobs.bench_reading import bench_data

    result, rates = bench_data(
        path, batch=batch, image_size=image_size, recipe=recipe, steps=steps, workers=workers, model=model
    )
    emit(result.to_json() | rates.to_json(), as_json, lambda: _print_reading(result, rates))


def _print_reading(result: Speed, rates: Rates) -> None:
    put(f"reading    {rates.reading:>9,.0f} images/s  ({rates.megabytes_per_second:,.1f} MB/s)")
    put(f"decoding   {rates.decoding:>9,.0f} images/s")
    size = result.about["image_size"]
    put(f"computing  {rates.computing:>9,.0f} images/s  ({rates.model} at {size}, from this machine's rate)")
    put(f"{rates.held_back_by} holds a training back")
    put(f"the loader as a whole ({result.about['loader']}, augmentation of {result.about['recipe']}):")
    _print_rate(result)


def settings_of(changes: list[str] | None) -> dict[str, str]:
    """Fields of the settings, bare or as `train` takes them: `--set settings.compile=false`."""
    given = parse_assignments(changes or [], "compile=false")
    return {name.removeprefix("settings."): text for name, text in given.items()}


def _print_engines(found: list[Speed]) -> None:
    for one in found:
        busy = one.load.busy if one.load is not None else ""
        put(
            f"{one.about['engine']:<12}{one.images_per_second:>9,.1f} images/s  (median of {one.n}, spread "
            f"{100 * one.spread:.1f} %){f'; busy: {busy}' if busy else ''}"
        )


def _print_rate(result: Speed) -> None:
    put(
        f"{result.images_per_second:,.1f} images/s  (median of {result.n}, spread {100 * result.spread:.1f} %; "
        f"{result.sustained:,.1f} over all the time)"
    )
    if result.load is not None and result.load.busy:
        put(f"busy      {result.load.busy}: measure again when the machine is quiet")


def _print(result: Speed, *, trained: bool = True) -> None:
    """The rate, and the settings that it was reached with: of a training, as it would take them."""
    settings = result.settings
    how = f"{settings.precision}, {'compiled' if settings.compile else 'eager'}, {counted(settings.threads, 'thread')}"
    _print_rate(result)
    put(f"settings  {settings.device}, {how}; first step {result.first_step_seconds} s")
    if settings.source:
        put(f"because   {settings.source}")
    if not trained:
        return
    chosen = {"compile": settings.compile, "precision": settings.precision, "threads": settings.threads}
    put("to train so: " + " ".join(f"--set settings.{name}={str(value).lower()}" for name, value in chosen.items()))
