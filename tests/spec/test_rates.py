"""Rates in words, with what they come to; the rate of another batch; a rate to try after one that broke."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reslearn.spec.rates import for_batch, gentler, rate_of, rate_words, to_set
from reslearn.spec.recipe import Recipe
from reslearn.spec.recipes import RECIPES


def test_a_rate_says_what_it_comes_to_where_that_is_another():
    assert rate_words(0.4, 16, 128) == "0.4 at 128, so 0.05 at batches of 16"
    assert rate_words(0.05, 16, None) == rate_words(0.05, 16, 16) == "0.05"
    assert to_set(0.4, 16, 128) == " (0.4 at 128, so 0.05 at batches of 16)" and to_set(0.05, 16, None) == ""
    assert rate_of({"lr": 0.4, "batch_size": 16, "lr_batch": 128}) == rate_words(0.4, 16, 128)
    assert rate_of({"lr": 0.4}) == "0.4" and rate_of({}) == "None" and rate_of({"lr": "x", "batch_size": 8}) == "x"


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_the_rate_of_another_batch_is_the_recipe_s_own_in_proportion(recipe):
    for batch in (8, 24, 128):
        other = replace(recipe, batch_size=batch, lr=for_batch(recipe, batch))
        scaled = replace(recipe, batch_size=batch, lr_batch=recipe.batch_size)
        assert other.peak_lr == pytest.approx(scaled.peak_lr, rel=1e-5) and for_batch(scaled, 8) == scaled.lr


@pytest.mark.parametrize("lr", [1e30, 1.0, 0.4, 1e-3])
@pytest.mark.parametrize("lr_batch", [None, 128])
@pytest.mark.parametrize("batch", [16, 128, 512])
@pytest.mark.parametrize("known", [RECIPES["fast-cifar"], Recipe("mine", "", epochs=1)])
def test_after_a_rate_that_broke_one_that_can_be_meant(known, batch, lr_batch, lr):
    broke = replace(known, lr=lr, batch_size=batch, lr_batch=lr_batch)
    tried = replace(broke, lr=gentler(broke))
    assert tried.lr <= lr / 4 and tried.peak_lr <= known.lr * min(batch / 128, 1) * (1 + 1e-9)
