"""Learning rates: the paper's drops at their iterations, and the one-cycle shape."""

from __future__ import annotations

import pytest
import torch

from reslearn.spec.recipe import Recipe
from reslearn.spec.recipes import RECIPES
from reslearn.train.schedule import learning_rate


def test_the_paper_drops_at_32k_and_48k():
    recipe = RECIPES["paper-cifar"]
    total = recipe.total_steps(50_000)
    rates = {step: learning_rate(recipe, step, total) for step in (0, 31_999, 32_000, 47_999, 48_000, 63_999)}
    assert total == 64_000
    assert list(rates.values()) == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_step_schedule_equals_torchs():
    recipe = Recipe("x", "test", iterations=100, lr=0.3, schedule="step", milestones=(0.3, 0.6), gamma=0.2)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimiser, [30, 60], 0.2)
    for step in range(100):
        assert learning_rate(recipe, step, 100) == pytest.approx(theirs.get_last_lr()[0])
        optimiser.step()
        theirs.step()


def test_one_cycle_rises_to_its_peak_and_falls_to_its_end():
    recipe = Recipe("x", "test", iterations=1000, lr=0.4, schedule="one-cycle", warmup=0.25, final_lr=0.001)
    rates = [learning_rate(recipe, step, 1000) for step in range(1000)]
    assert rates.index(max(rates)) in (249, 250)
    assert max(rates) == pytest.approx(0.4)
    assert rates[:250] == sorted(rates[:250])
    assert rates[250:] == sorted(rates[250:], reverse=True)
    assert rates[-1] == pytest.approx(0.001, abs=1e-4)


@pytest.mark.parametrize(("budget", "steps"), [({"epochs": 3}, 12), ({"images": 1}, 1), ({"iterations": 7}, 7)])
def test_a_budget_is_rounded_up_to_whole_steps(budget, steps):
    assert Recipe("x", "test", batch_size=30, **budget).total_steps(120) == steps


def test_a_linear_rate_is_pytorchs_linear_lr():
    recipe = Recipe("x", "test", iterations=40, lr=0.4, schedule="linear", final_lr=0.1)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.4)
    theirs = torch.optim.lr_scheduler.LinearLR(optimiser, start_factor=1.0, end_factor=0.25, total_iters=40)
    for step in range(40):
        assert learning_rate(recipe, step, 40) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        theirs.step()
