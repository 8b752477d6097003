"""Recipes by name. Each says where it comes from and, aloud, where it departs from that."""

from __future__ import annotations

from types import MappingProxyType

from .errors import unknown
from .recipe import Augment, Recipe

PAD_CROP_FLIP = Augment(crop="pad", pad=4, border="zero", flip="random")

PAPER_CIFAR = Recipe(
    name="paper-cifar",
    source="1512.03385 section 4.2",
    departures=("channel mean and std instead of the per-pixel mean", "BN over the whole batch, not 64 per GPU"),
    iterations=64_000,
    batch_size=128,
    lr=0.1,
    momentum=0.9,
    weight_decay=1e-4,
    decay="weights",
    schedule="step",
    milestones=(0.5, 0.75),  # 32k and 48k of 64k
    gamma=0.1,
    augment=PAD_CROP_FLIP,
)

FAST_CIFAR = Recipe(
    name="fast-cifar",
    source="1512.03385 section 4.2 under the one-cycle schedule of 1708.07120",
    departures=("one cycle in 8 epochs instead of 64k iterations", "Nesterov", "label smoothing", "higher decay"),
    epochs=8,
    batch_size=128,
    lr=0.4,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    decay="weights",
    schedule="one-cycle",
    warmup=0.25,
    label_smoothing=0.1,
    augment=Augment(crop="pad", pad=2, border="reflect", flip="alternating"),
    validate_every=4,
)

DEMO = Recipe(
    name="demo",
    source="tuned here for scikit-learn's digits",
    epochs=30,
    batch_size=64,
    lr=0.2,
    momentum=0.9,
    nesterov=True,
    weight_decay=5e-4,
    decay="weights",
    schedule="one-cycle",
    warmup=0.25,
    label_smoothing=0.0,
    augment=Augment(crop="pad", pad=2, border="zero", flip="none"),
    image_size=16,
    validate_every=5,
)

RECIPES = MappingProxyType({recipe.name: recipe for recipe in (DEMO, FAST_CIFAR, PAPER_CIFAR)})


def get_recipe(recipe: str | Recipe) -> Recipe:
    """A recipe by name; a `Recipe` is returned as it is. An unknown name lists the nearest ones."""
    if isinstance(recipe, Recipe):
        return recipe
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    return RECIPES[recipe]
