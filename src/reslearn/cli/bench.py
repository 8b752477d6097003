"""`bench train`, `bench infer`, `bench data`: how fast is it here?"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ..spec.errors import UserError
from .output import Json, emit, put, say

Batch = Annotated[int, typer.Option(help="Pictures in a step.")]
Size = Annotated[int | None, typer.Option(help="Side of the input in pixels; the network's own if absent.")]
Set = Annotated[list[str] | None, typer.Option("--set", help="A field of the settings, e.g. compile=false.")]
Precision = Annotated[str | None, typer.Option(help="fp32, bf16 or fp16; chosen from the machine if absent.")]
Model = Annotated[str, typer.Option(help="A name of `reslearn list`.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    group = typer.Typer(no_args_is_help=True, help="Measure training, inference or data loading on this machine.")
    group.command("train")(train)
    group.command("infer")(infer)
    group.command("data")(data)
    app.add_typer(group, name="bench")


def train(
    model: Model = "resnet20_cifar",
    batch: Batch = 128,
    image_size: Size = None,
    recipe: Annotated[str, typer.Option(help="Whose step: augmentation, batch norm, optimiser.")] = "fast-cifar",
    data: Annotated[str | None, typer.Option(help="Pictures to train on, read as a run would; else noise.")] = None,
    steps: int = 60,
    precision: Precision = None,
    changes: Set = None,
    as_json: Json = False,
) -> None:
    """Images/s of training in steady state, as a long run would do it; under `torchrun`, of all processes together."""
    job, options = _prepare(f"bench train {model}", precision, changes)
    sizes = {"batch": batch, "image_size": image_size, "steps": steps}
    result = job.bench_train(model, recipe=recipe, data=data, **sizes, **options)
    emit(result, as_json, lambda: _print(result))


def infer(
    model: Model = "resnet50",
    batch: Batch = 16,
    image_size: Size = None,
    steps: int = 30,
    precision: Precision = None,
    changes: Set = None,
    as_json: Json = False,
) -> None:
    """Images/s of the forward pass."""
    job, options = _prepare(f"bench infer {model}", precision, changes)
    result = job.bench_infer(model, batch=batch, image_size=image_size, steps=steps, **options)
    emit(result, as_json, lambda: _print(result))


def data(
    path: Annotated[str, typer.Argument(metavar="DATA")],
    batch: Batch = 128,
    image_size: int = 224,
    recipe: Annotated[str, typer.Option(help="Whose augmentation.")] = "paper-cifar",
    steps: int = 50,
    workers: int = 0,
    as_json: Json = False,
) -> None:
    """Images/s of the training loader alone."""
    job, _ = _prepare(f"bench data {path}", None, None)
    result = job.bench_data(path, batch=batch, image_size=image_size, recipe=recipe, steps=steps, workers=workers)
    emit(result, as_json, lambda: _print(result))


def _prepare(what: str, precision: str | None, changes: list[str] | None) -> tuple[Any, dict[str, Any]]:
    say(f"reslearn {what}")
    if precision not in (None, "fp32", "bf16", "fp16"):
        raise UserError(f"--precision {precision}: valid are fp32, bf16, fp16")
    from ..runtime.allocator import tune

    tuned = tune()
    from ..jobs import bench
    from ..spec.codec import parse_assignments

    options = {
        "precision": precision,
        "changes": parse_assignments(changes or []),
        "tuned_allocator": tuned,
        "say": say,
    }
    return bench, options


def _print(result: dict[str, Any]) -> None:
    settings = result["settings"]
    how = f"{settings['precision']}, {'compiled' if settings['compile'] else 'eager'}, {settings['threads']} threads"
    put(
        f"{result['images_per_second']:,.1f} images/s  (median of {result['n']}, spread {result['spread']:.1%}; "
        f"{result['sustained']:,.1f} over all the time)"
    )
    load = result["load"]
    if load and load["busy"]:
        put(f"busy      {load['busy']}: measure again when the machine is quiet")
    put(f"settings  {settings['device']}, {how}; first step {result['first_step_seconds']} s")
    if settings["source"]:
        put(f"because   {settings['source']}")
    differing = ["compile", "precision", "threads"]
    put("to train so: " + " ".join(f"--set settings.{name}={str(settings[name]).lower()}" for name in differing))
