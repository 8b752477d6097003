"""A request resolves to one plan, whoever asks."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from reslearn.data.care.check import check_data
from reslearn.jobs.crossval import plan_crossval
from reslearn.jobs.resolve import TrainRequest, asked_recipe, resolve
from reslearn.spec.errors import UserError

from .noise import CHANGES, noise, request


def test_assignments_go_to_what_they_name():
    changes = {"lr": "0.5", "recipe.momentum": "0.8", "augment.pad": "2", "spec.stem": "cifar", "settings.threads": "1",
               "preprocess.mode": "pad"}  # fmt: skip
    asked = TrainRequest("digits", "resnet20_cifar", "demo", changes=changes)
    assert asked.changes_to("recipe") == {"lr": "0.5", "momentum": "0.8", "augment.pad": "2"}
    assert [asked.changes_to(target) for target in ("spec", "settings", "preprocess")] == [
        {"stem": "cifar"}, {"threads": "1"}, {"mode": "pad"},
    ]  # fmt: skip
    recipe = asked_recipe(asked)
    assert (recipe.lr, recipe.momentum, recipe.augment.pad) == (0.5, 0.8, 2)


@pytest.mark.parametrize("budget", [{"epochs": 2.5}, {"changes": {"iterations": "7"}}, {"changes": {"images": "90"}}])
def test_a_new_budget_takes_the_place_of_the_recipes(budget):
    recipe = asked_recipe(TrainRequest("digits", "resnet20_cifar", "demo", **budget))
    assert sum(value is not None for value in (recipe.epochs, recipe.iterations, recipe.images)) == 1


def test_folds_begin_as_a_run_does(tmp_path):
    asked = request(noise(tmp_path / "data"), seed=3)
    plan, folds = resolve(asked), plan_crossval(asked, folds=2)
    same = ("spec", "recipe", "preprocess", "settings", "weights")
    one, other = plan.to_json(), folds.to_json()
    assert [one[name] for name in same] == [other[name] for name in same]
    assert (one["steps"], other["steps"]) == (2, [2, 2]) and folds.record.seed == 3
    with pytest.raises(FrozenInstanceError):
        plan.start.recipe = None


def test_what_no_data_need_be_read_for_is_refused_before(tmp_path):
    asked = request(tmp_path / "nowhere")
    for change, words in (
        ({"epochs": 0.0}, "--epochs is 0"),
        ({"changes": CHANGES | {"spec.num_classes": "3"}}, "the data gives"),
        ({"changes": CHANGES | {"spec.stemm": "cifar"}}, "stemm"),
    ):
        with pytest.raises(UserError, match=words):
            resolve(replace(asked, **change))


def test_a_manifest_that_is_obeyed_is_told(tmp_path):
    """With one, parts are drawn by content, so they may be other ones than before the check that wrote it."""
    asked = request(noise(tmp_path / "data"))
    assert resolve(asked).notes == ()
    check_data(asked.data)
    (told,) = resolve(asked).notes
    assert "reslearn-manifest.json is obeyed" in told
