"""Departures of a recipe from its source that a changed field cures: one that does not hold is not told."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .recipe import Recipe

CHANNEL_MEAN = "channel mean and std instead of the per-pixel mean image"

# what is told -> the field that says it, and the value with which it is true no more
CURES: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        CHANNEL_MEAN: ("input_mean", "pixel"),
        "Nesterov": ("nesterov", False),
        "label smoothing": ("label_smoothing", 0.0),
        "decay 5e-4": ("weight_decay", 1e-4),
    }
)


def standing(recipe: Recipe) -> tuple[str, ...]:
    """The departures of `recipe` that its own fields do not contradict."""
    cured = {text for text, (field, value) in CURES.items() if getattr(recipe, field) == value}
    return tuple(text for text in recipe.departures if text not in cured)
