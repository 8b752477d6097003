"""Values survive JSON, and an unknown or wrong field is named with what would be right."""

from __future__ import annotations

import json

import pytest

from reslearn.spec.codec import from_json, set_fields, to_json
from reslearn.spec.errors import UserError
from reslearn.spec.recipe import Recipe
from reslearn.spec.recipes import RECIPES


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_recipes_survive_json(recipe):
    assert from_json(Recipe, json.loads(json.dumps(to_json(recipe))), "x") == recipe


def test_set_reaches_nested_fields_and_keeps_types():
    recipe = set_fields(RECIPES["paper-cifar"], {"lr": "0.05", "augment.pad": "2", "decay": "all", "nesterov": "true"})
    assert (recipe.lr, recipe.augment.pad, recipe.decay, recipe.nesterov) == (0.05, 2, "all", True)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ({"momentun": "0.9"}, "momentum"),
        ({"augment.pas": "2"}, "augment.pad"),
        ({"lr": "fast"}, "lr"),
        ({"select": "median"}, "'last', 'best' or 'ema'"),
        ({"epochs": "3"}, "exactly one"),
        ({"lr.x": "3"}, "unknown field"),
    ],
)
def test_a_wrong_assignment_is_one_line(assignments, message):
    with pytest.raises(UserError, match=message) as raised:
        set_fields(RECIPES["paper-cifar"], assignments)
    assert "\n" not in str(raised.value)
