"""Can a batch be normalised, shared out, held? The first two are known before anything runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from ..runtime.process_group import World
from ..spec.cost import cost
from ..spec.errors import UserError
from ..spec.net import Spec
from ..spec.recipe import Recipe
from ..spec.voice import COMMAND, Voice


def check_batch(spec: Spec, recipe: Recipe, size: int, processes: int = 1, *, voice: Voice = COMMAND) -> None:
    """Raise `UserError` where training-mode batch norm would get one value per channel, or slices that do not fit.

    `size` is the side of the pictures. What one forward pass of one process sees counts, or with `bn_sync` what all do.
    `voice` is whose options the message names.
    """
    recipe = recipe.settled(processes)
    once = recipe.batch_size // (recipe.accumulate * processes)
    if recipe.bn_batch is not None and once % recipe.bn_batch:
        raise UserError(
            f"bn_batch is {recipe.bn_batch}; it must divide the {once} pictures that {_pass(recipe, processes)} sees, "
            f"e.g. {voice.field('batch_size', recipe.bn_batch * recipe.accumulate * processes)} or "
            + (voice.field("bn_batch", None) if voice.sets else "another --recipe")
        )
    together = recipe.bn_batch or (once * processes if recipe.bn_sync else once)
    if together > 1 or recipe.freeze_bn:
        return
    for side in (size, recipe.small_size):
        layers = cost(spec, side).layers if side is not None else ()
        if smallest := min((one.name for one in layers if one.kind == "norm" and one.output_size == 1), default=""):
            raise UserError(
                f"{_pass(recipe, processes)} sees one picture, and {smallest} of {spec.name} a map of 1x1 at "
                f"{side} pixels: batch norm needs more than one value; "
                f"add {voice.field('batch_size', 2 * recipe.accumulate * processes)}, "
                f"{'' if voice.sets else 'or '}a larger {voice.option('image_size')}"
                + (", or freeze_bn=true" if voice.sets else "")
            )


def check_world(recipe: Recipe, world: World, *, voice: Voice = COMMAND) -> None:
    """Raise `UserError` unless the global batch divides by processes times accumulation."""
    parts = world.size * recipe.accumulate
    if recipe.batch_size % parts:
        raise UserError(
            f"{voice.name('batch_size')} is {recipe.batch_size}; it must be a multiple of {world.size} processes times "
            f"{recipe.accumulate} accumulation steps, e.g. "
            f"{voice.field('batch_size', -(-recipe.batch_size // parts) * parts)}"
        )


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


def _pass(recipe: Recipe, processes: int) -> str:
    shared = [f"{recipe.accumulate} accumulation steps"] if recipe.accumulate > 1 else []
    shared += [f"{processes} processes"] if processes > 1 else []
    return f"a batch of {recipe.batch_size}" + (f" in {' times '.join(shared)}" if shared else "")
