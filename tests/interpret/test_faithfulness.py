"""Deletion and insertion, on a network of which one knows where it looks, and on one that has learned nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from reslearn.data.preprocess import Normalise
from reslearn.engine.scorer import TorchScorer
from reslearn.interpret.faithfulness import LEAST, Learned, areas, blur, curves, faithfulness
from reslearn.spec.preprocess import default_preprocess


class Corner(nn.Module):
    """Class 1 is as probable as the top left quarter is bright."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x):
        bright = (x[:, :, :8, :8].mean((1, 2, 3)) - 1.2) * 4  # so that what is blurred is not yet sure
        return torch.stack([torch.zeros_like(bright), bright], 1) * self.weight


@pytest.fixture
def scorer():
    return TorchScorer(Corner(), Normalise(default_preprocess(16)))


@pytest.fixture
def images():
    dark = torch.full((30, 3, 16, 16), 110, dtype=torch.uint8)
    dark[:, :, :8, :8] = torch.randint(200, 255, (30, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    return dark


ONES = torch.ones(30, dtype=torch.int64)


def at_corner(value):
    maps = torch.zeros(30, 16, 16)
    maps[:, :8, :8] = value
    return maps


def test_a_map_that_knows_beats_chance_and_the_centre(scorer, images):
    found = faithfulness(scorer, images, ONES, at_corner(1.0), grain=8)
    assert found.beats_chance and found.pictures == 30
    for rival in (found.random, found.centre):
        assert rival.deletion_gain.clear and rival.insertion_gain.clear
    assert "say more than random ones" in found.verdict() and "30 pictures" in found.verdict()
    value = found.to_json()
    assert value["beats_chance"] and value["random"]["deletion_gain"]["interval"][0] > 0


def test_a_map_that_points_elsewhere_is_no_better_than_chance(scorer, images):
    found = faithfulness(scorer, images, ONES, at_corner(-1.0), grain=8)
    assert not found.beats_chance and found.random.deletion_gain.mean < 0
    assert "no better than chance" in found.verdict()


def test_random_maps_are_no_better_than_random_maps(scorer, images):
    drawn = torch.rand(30, 8, 8, generator=torch.Generator().manual_seed(5))
    found = faithfulness(scorer, images, ONES, torch.nn.functional.interpolate(drawn[None], (16, 16))[0], grain=8)
    assert not found.beats_chance


def test_the_curves_begin_and_end_where_they_must(scorer, images):
    found = curves(scorer, images, ONES, at_corner(1.0), 4)
    with torch.no_grad():
        x = scorer.normalise(images)
        whole, gone = (scorer.net(y).softmax(1)[:, 1].numpy() for y in (x, torch.zeros_like(x)))
        blurred = scorer.net(blur(x)).softmax(1)[:, 1].numpy()
    np.testing.assert_allclose(found[0, :, 0], whole, atol=1e-6)
    np.testing.assert_allclose(found[0, :, -1], gone, atol=1e-6)
    np.testing.assert_allclose(found[0, :, 1], gone, atol=1e-6)  # the first quarter of the pixels is the corner
    np.testing.assert_allclose(found[1, :, 0], blurred, atol=1e-6)
    np.testing.assert_allclose(found[1, :, -1], whole, atol=1e-6)


def test_an_area_is_the_trapezoid_rule():
    values = np.random.default_rng(0).random((2, 5, 9))
    np.testing.assert_allclose(areas(values), np.trapezoid(values, dx=1 / 8, axis=-1))


def test_an_interval_is_students(scorer, images):
    from scipy.stats import ttest_1samp

    found = faithfulness(scorer, images, ONES, at_corner(1.0), grain=8)
    ours = areas(curves(scorer, images, ONES, at_corner(1.0), found.steps))
    away = torch.linspace(-1, 1, 16).square()
    centre = areas(curves(scorer, images, ONES, -(away[:, None] + away[None]).expand(30, 16, 16), found.steps))
    interval = ttest_1samp(centre[0] - ours[0], 0).confidence_interval(0.95)
    assert found.centre.deletion_gain.interval == pytest.approx(tuple(interval), abs=1e-9)


def test_a_single_picture_claims_nothing(scorer, images):
    found = faithfulness(scorer, images[:1], ONES[:1], at_corner(1.0)[:1], grain=8)
    assert not found.beats_chance and found.draws == 20
    assert found.verdict().startswith("1 picture cannot tell") and "95 %" not in found.verdict()
    told = found.to_json()
    gains = [told[rival][gain] for rival in ("random", "centre") for gain in ("deletion_gain", "insertion_gain")]
    assert [one["interval"] for one in gains] == [None] * 4 and gains[0]["mean"] > 0


def test_a_gain_that_random_weights_reach_claims_nothing(images):
    net = Corner()
    with torch.no_grad():
        net.weight.mul_(0.01)
    found = faithfulness(TorchScorer(net, Normalise(default_preprocess(16))), images, ONES, at_corner(1.0), grain=8)
    gains = found.random.deletion_gain, found.random.insertion_gain
    assert all(one.clear and one.mean < LEAST for one in gains)
    assert not found.beats_chance and f"gain less than {LEAST} in deletion and insertion" in found.verdict()


@pytest.mark.parametrize(("right", "claimed"), [(10, False), (14, False), (20, True), (29, True)])
def test_a_network_that_has_learned_nothing_has_no_reasons(scorer, images, right, claimed):
    found = faithfulness(scorer, images, ONES, at_corner(1.0), grain=8, learned=Learned(right, 30, 10))
    assert found.beats_chance == claimed == found.learned.something
    assert (f"names {right} of 30 pictures right" in found.verdict()) != claimed
    assert found.to_json()["learned"] == {"right": right, "pictures": 30, "largest": 10}
