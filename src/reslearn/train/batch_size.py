"""Can a batch be normalised? Known from the network, the recipe and the size of the pictures, before anything runs."""

from __future__ import annotations

from ..spec.cost import cost
from ..spec.errors import UserError
from ..spec.net import Spec
from ..spec.recipe import Recipe


def check_batch(spec: Spec, recipe: Recipe, size: int, processes: int = 1) -> None:
    """Raise `UserError` where training-mode batch norm would get one value per channel, or slices that do not fit.

    `size` is the side of the pictures. What one forward pass of one process sees counts, or with `bn_sync` what all do.
    """
    once = recipe.batch_size // (recipe.accumulate * processes)
    if recipe.bn_batch is not None and once % recipe.bn_batch:
        raise UserError(
            f"bn_batch is {recipe.bn_batch}; it must divide the {once} pictures that {_pass(recipe, processes)} sees, "
            f"e.g. --set batch_size={recipe.bn_batch * recipe.accumulate * processes} or --set bn_batch=null"
        )
    together = recipe.bn_batch or (once * processes if recipe.bn_sync else once)
    if together > 1 or recipe.freeze_bn:
        return
    for side in (size, recipe.small_size):
        smallest = None if side is None else _smallest_norm(spec, side)
        if smallest is not None and smallest[0] == 1:
            raise UserError(
                f"{_pass(recipe, processes)} sees one picture, and {smallest[1]} of {spec.name} a map of 1x1 at "
                f"{side} pixels: batch norm needs more than one value; "
                f"add --set batch_size={2 * recipe.accumulate * processes}, a larger --image-size, or freeze_bn=true"
            )


def _smallest_norm(spec: Spec, size: int) -> tuple[int, str] | None:
    """Side of the smallest map that a batch norm sees, and the layer's name; None where there is none."""
    norms = [(layer.output_size, layer.name) for layer in cost(spec, size).layers if layer.kind == "norm"]
    return min(norms, default=None)


def _pass(recipe: Recipe, processes: int) -> str:
    shared = [f"{recipe.accumulate} accumulation steps"] if recipe.accumulate > 1 else []
    shared += [f"{processes} processes"] if processes > 1 else []
    return f"a batch of {recipe.batch_size}" + (f" in {' times '.join(shared)}" if shared else "")
