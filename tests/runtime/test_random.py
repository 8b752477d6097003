"""Draws are functions of their arguments: the same alone or in a batch, uniform, and unrelated between purposes."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reslearn.runtime import random


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 7))
def test_a_draw_does_not_depend_on_its_batch(seed, position, k):
    batch = random.uniform(seed, "crop", [5, position, 9], k)
    assert np.array_equal(batch[1:2], random.uniform(seed, "crop", [position], k))
    assert np.array_equal(batch[:, :1], random.uniform(seed, "crop", [5, position, 9], 1))


def test_draws_are_uniform_and_independent():
    draws = random.uniform(0, "crop", np.arange(200_000), 2)
    assert stats.kstest(draws[:, 0], "uniform").pvalue > 1e-3
    joint = np.histogram2d(draws[:, 0], draws[:, 1], bins=16)[0].ravel()
    assert stats.chisquare(joint).pvalue > 1e-3
    neighbours = np.histogram2d(draws[:-1, 0], draws[1:, 0], bins=16)[0].ravel()
    assert stats.chisquare(neighbours).pvalue > 1e-3


def test_purposes_and_seeds_do_not_share_draws():
    reference = random.uniform(0, "crop", np.arange(50_000))[:, 0]
    for seed, purpose in ((1, "crop"), (0, "flip")):
        other = random.uniform(seed, purpose, np.arange(50_000))[:, 0]
        assert abs(np.corrcoef(reference, other)[0, 1]) < 0.02


@given(st.integers(0, 2**32), st.integers(0, 1000), st.integers(1, 300))
def test_an_order_visits_every_sample_once(seed, epoch, length):
    assert np.array_equal(np.sort(random.order(seed, epoch, length)), np.arange(length))


def test_integers_reach_every_value_alike():
    drawn = random.integers(3, "offset", np.arange(90_000), 9)[:, 0]
    counts = np.bincount(drawn, minlength=9)
    assert len(counts) == 9
    assert stats.chisquare(counts).pvalue > 1e-3
