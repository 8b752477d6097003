"""The range test: the same curve from the same seed, a rate below where it breaks, and nothing written."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from reslearn.jobs.find_lr import RangeTest, drawn, find_lr, outcome, write_page
from reslearn.jobs.resolve import TrainRequest, resolve
from reslearn.spec.errors import UserError

SMALL = {"spec.stage_blocks": "1,1,1", "spec.stage_channels": "8,8,8", "spec.stem_channels": "8",
         "settings.threads": "1", "settings.compile": "false", "batch_size": "64"}  # fmt: skip


@pytest.fixture(scope="module")
def plan():
    return resolve(TrainRequest("digits", "resnet20_cifar", "demo", image_size=8, changes=SMALL))


@pytest.fixture(scope="module")
def found(plan):
    return find_lr(plan, steps=40)


def test_a_probe_is_a_function_of_its_seed_and_writes_nothing(plan, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    again = find_lr(plan, steps=40)
    assert again == found and list(tmp_path.iterdir()) == []
    assert 1e-4 < found.suggested < found.lowest <= 3.0
    assert found.recipe_lr == 0.2 and found.steps == len(found.rates) == len(found.losses)


def test_rates_rise_evenly_on_a_logarithmic_axis(found):
    steps = [math.log(b / a) for a, b in zip(found.rates, found.rates[1:], strict=False)]
    assert max(steps) == pytest.approx(min(steps), rel=0.02)


def test_the_curve_says_where_it_is_least_and_where_it_breaks():
    rates = [10 ** (-5 + step / 20) for step in range(100)]
    losses = [2.3 - min(step, 60) / 40 + max(step - 70, 0) * 0.2 for step in range(90)]
    seen = outcome(rates[:90], losses, asked=100, recipe_lr=0.1, seed=0)
    assert seen.lowest == pytest.approx(rates[60], rel=0.01) and seen.suggested == pytest.approx(rates[60] / 4, rel=0.3)
    assert seen.diverged == pytest.approx(rates[89], rel=0.01) and "times that, where the test ends" in seen.words
    assert "the recipe has 0.1; try --set lr=" in seen.words
    scaled = replace(seen, batch_size=16, lr_batch=128)
    assert "the recipe has 0.1 at 128, so 0.0125 at batches of 16; try --set lr=" in scaled.words
    assert f"--set lr={seen.suggested:g} ({scaled.said(seen.suggested)})" in scaled.words
    assert "the recipe has 0.3: keep it (--set lr=0.3)" in replace(seen, recipe_lr=0.3, suggested=0.3).words
    whole = outcome(rates, [2.3 - step / 100 for step in range(100)], asked=100, recipe_lr=0.1, seed=0)
    assert whole.diverged is None and whole.worse is None and "falls to the last" in whole.words
    risen = outcome(rates, [2.3 - min(s, 60) / 50 + max(s - 60, 0) / 20 for s in range(100)], asked=100, recipe_lr=0.1,
                    seed=0)  # fmt: skip
    assert risen.diverged is None and risen.losses[-1] > risen.losses[0] > risen.losses[83] > 2.2
    assert risen.worse == pytest.approx(rates[85], rel=0.01) and "it climbs above where it began" in risen.words
    back = outcome(rates, [*risen.losses[:95], *[2.0] * 5], asked=100, recipe_lr=0.1, seed=0)
    assert back.worse == risen.worse  # though a rate that throws it far may bring it back by chance
    better = outcome(rates, [2.3 - min(s, 60) / 50 + max(s - 60, 0) / 90 for s in range(100)], asked=100, recipe_lr=0.1,
                     seed=0)  # fmt: skip
    assert better.worse is None and "it ends at 1.53, below where it began" in better.words
    with pytest.raises(UserError, match="no finite number"):
        outcome(rates[:2], losses[:2], asked=100, recipe_lr=0.1, seed=0)


def test_a_terminal_gets_a_curve(found):
    lines = drawn(found, width=50, height=10)
    assert len(lines) == 12 and max(map(len, lines)) <= 60 and sum(line.count("*") for line in lines) >= 20
    flat = RangeTest((1e-5, 1e-3, 1e-1), (2.0, 2.0, 2.0), 1e-5, None, None, 1e-5, 0.1, 3, 0)
    assert any("*" in line for line in drawn(flat))


def test_the_page_shows_it(plan, found, tmp_path):
    page = tmp_path / "lr.html"
    write_page(str(page), found, plan)
    text = page.read_text()
    assert "Learning rate for resnet20_cifar on digits" in text
    assert f"--set lr={found.suggested:g}" in text and text.count("<svg") == 1
    write_page(str(page), found, plan)  # over its own kind


@pytest.mark.parametrize("wrong", [{"steps": 3}, {"least": 0.0}, {"least": 1.0, "most": 0.1}])
def test_wrong_ranges_are_refused(plan, wrong):
    with pytest.raises(UserError):
        find_lr(plan, **wrong)
