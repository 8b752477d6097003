"""A recipe that no training can follow is refused in one line that names the field; the published ones all stand."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import get_args, get_type_hints

import pytest

from reslearn.paper import recipes as papers
from reslearn.paper.cells.tiers import TIERS, cells
from reslearn.paper.experiments import experiments
from reslearn.spec.codec import set_fields
from reslearn.spec.errors import UserError
from reslearn.spec.recipe import Augment, Recipe
from reslearn.spec.recipes import RECIPES
from reslearn.spec.rule import field_rules

WRONG = {
    "epochs": (0, -1),
    "batch_size": (0, -64),
    "accumulate": (0,),
    "early_stop": (0,),
    "lr": (0, -0.1),
    "lr_batch": (0,),
    "momentum": (1, -0.1),
    "betas": ((0.9, 1), (-0.1, 0.9)),
    "weight_decay": (-1e-4,),
    "clip_norm": (0,),
    "ema_decay": (0, 1),
    "unfreeze": ((0.5, 0.2), (-0.1,), (1.1,)),
    "milestones": ((0.75, 0.5), (0.5, 0.5), (0,), (1,), (32000, 48000)),
    "gamma": (0,),
    "patience": (0,),
    "warmup": (1, -0.1),
    "final_lr": (-1,),
    "hold_lr": (0,),
    "hold_steps": (-1,),
    "hold_error": (0, 101),
    "hold_depth": (-1,),
    "label_smoothing": (1, -0.1),
    "image_size": (0, -8),
    "small_size": (0,),
    "small_part": (-0.1, 1.1),
    "bn_batch": (0, 1),
    "validate_every": (0, -1),
    "checkpoint_every": (0,),
    "augment.pad": (-1,),
    "augment.area": ((0, 1), (0.5, 1.5), (0.9, 0.1)),
    "augment.ratio": ((0, 1), (2, 1)),
    "augment.scale": ((0, 256), (480, 256)),
    "augment.policy_ops": (0,),
    "augment.policy_magnitude": (-1, 31),
    "augment.jitter": (-0.1, 1.1),
    "augment.pca": (-0.1,),
    "augment.erase": (-0.1, 1.1),
    "augment.mixup": (-0.1,),
    "augment.cutmix": (-0.1,),
    "augment.repeats": (0,),
}
BASE = Recipe("x", "test", epochs=3)
FLOATS = [
    prefix + name
    for prefix, cls in (("", Recipe), ("augment.", Augment))
    for name, hint in get_type_hints(cls).items()
    if hint is float or float in get_args(hint)
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_value_out_of_range_names_its_field(name, value):
    with pytest.raises(UserError, match=rf"^--set: {name} is .*; it must be") as raised:
        set_fields(BASE, {name: json.dumps(value)})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_everywhere(name, value):
    owner = BASE.augment if "." in name else BASE
    field = name.removeprefix("augment.")
    pair = {"area", "ratio", "betas", "milestones", "unfreeze"}
    with pytest.raises(UserError, match=name):
        replace(owner, **{field: (0.5, value) if field in pair else value})


@pytest.mark.parametrize("budget", ["iterations", "images"])
def test_every_budget_is_positive(budget):
    with pytest.raises(UserError, match=f"{budget} is 0; it must be positive"):
        Recipe("x", "test", **{budget: 0})


WHOLE = [
    prefix + name
    for prefix, cls in (("", Recipe), ("augment.", Augment))
    for name, hint in get_type_hints(cls).items()
    if hint is int or int in get_args(hint)
]


@pytest.mark.parametrize("name", ["epochs", *WHOLE])
@pytest.mark.parametrize("value", [10**13, 10**400])
def test_no_count_is_larger_than_can_be_meant(name, value):
    """Of 10**400 no float can be made, and Python writes no number of 5,000 digits."""
    owner = BASE.augment if "." in name else BASE
    field = name.removeprefix("augment.")
    budget = {"epochs": None} if field in ("iterations", "images") else {}
    with pytest.raises(UserError, match=rf"{name} is [^;]{{1,40}}; it must be (at most [\d,]+|in 0\.\.30)$"):
        replace(owner, **budget | {field: (8, value) if field == "scale" else value})


def test_no_float_is_a_whole_number_that_no_float_can_be():
    with pytest.raises(UserError, match=r"^lr is a number of 401 digits; it must be at most 1e\+300$"):
        replace(BASE, lr=10**400)


def test_every_number_and_every_choice_has_a_rule():
    """A field added later is either text, a switch, or of a type that says what it may be."""
    free = {"name", "source", "departures", "augment"}
    free |= {"nesterov", "fixed_norm", "freeze_bn", "bn_sync", "log_gradients", "probe"}
    for cls, without in ((Recipe, free), (Augment, set())):
        choices, rules = field_rules(cls)
        assert {f.name for f in fields(cls)} == choices.keys() | rules.keys() | without


@pytest.mark.parametrize(
    "changes",
    [{"momentum": 0}, {"weight_decay": 0}, {"warmup": 0}, {"small_size": 24, "small_part": 1}, {"unfreeze": (0, 1)}],
    ids=str,
)
def test_the_ends_of_a_range_that_belong_to_it(changes):
    assert replace(BASE, **changes)


def test_a_fixed_norm_needs_muon():
    with pytest.raises(UserError, match="fixed_norm is true; sgd does not have it: use false, or optimizer=muon"):
        replace(BASE, fixed_norm=True)


def test_every_published_recipe_stands_at_every_tier():
    assert all(replace(recipe) for recipe in (*RECIPES.values(), papers.P4_ABLATION, papers.P2_CIFAR_64))
    for experiment in experiments().values():
        for tier in TIERS:
            assert all(cell.recipe for cell in cells(experiment, tier, seeds=1))
