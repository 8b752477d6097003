"""Paired tests against scipy's, intervals that hold what they promise, and words that fit the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, ttest_ind

from reslearn.measure.comparison import bootstrap_difference, compare, mcnemar, seed_spread, welch
from reslearn.measure.ensemble import combine_members, gain_over, select_greedily
from reslearn.measure.metrics import accuracy, loss, softmax
from reslearn.spec.errors import UserError


@given(st.integers(0, 300), st.integers(0, 300))
def test_mcnemar_is_the_fair_coin(only_a, only_b):
    expected = 1.0 if only_a + only_b == 0 else binomtest(only_a, only_a + only_b).pvalue
    assert mcnemar(only_a, only_b) == pytest.approx(expected, rel=1e-6)


def test_mcnemar_of_many_pictures():
    assert mcnemar(20_000, 20_500) == pytest.approx(binomtest(20_000, 40_500).pvalue, rel=1e-6)


def test_welch():
    a, b = np.array([0.90, 0.91, 0.92]), np.array([0.93, 0.94, 0.96, 0.95])
    assert welch(a, b) == pytest.approx(ttest_ind(a, b, equal_var=False).pvalue)
    assert welch(a[:1].repeat(2), b[:1].repeat(2)) == 0 and welch(a[:1].repeat(2), a[:1].repeat(2)) == 1


def test_the_interval_is_the_plain_bootstraps():
    """Drawing counts of kinds is drawing pictures: compared with resampling indices one round at a time."""
    rng = np.random.default_rng(0)
    a, b = rng.random(400) < 0.8, rng.random(400) < 0.85
    picks = rng.integers(0, 400, (4000, 400))
    plain = b[picks].mean(1) - a[picks].mean(1)
    difference, interval = bootstrap_difference(b[None], a[None])
    assert difference == pytest.approx(b.mean() - a.mean())
    assert interval == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.004)
    assert bootstrap_difference(b[None], a[None]) == (difference, interval)  # a function of its input


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(150):
        a, b = rng.random(300) < 0.8, rng.random(300) < 0.86
        low, high = bootstrap_difference(b[None], a[None])[1]
        hits += low <= 0.06 <= high
    assert 0.88 <= hits / 150 <= 0.99


def test_more_trainings_widen_the_interval():
    rng = np.random.default_rng(2)
    hard = rng.random(500)
    a, b = (np.array([hard < level for level in levels]) for levels in ((0.7, 0.8, 0.9), (0.75, 0.85, 0.95)))
    several, one = bootstrap_difference(b, a)[1], bootstrap_difference(b[:1], a[:1])[1]
    assert several[1] - several[0] > one[1] - one[0]
    assert several[0] < 0 < several[1]  # five points, but seeds differ by ten


def test_two_trainings_are_several():
    hard = np.random.default_rng(2).random(500)
    a, b = (np.array([hard < level for level in levels]) for levels in ((0.7, 0.9), (0.75, 0.95)))
    assert bootstrap_difference(b, a)[1][0] < 0 < bootstrap_difference(b[:1], a[:1])[1][0]


def test_words_for_a_difference():
    right = np.arange(1000) < 800
    better = np.arange(1000) < 860
    outcome = compare([right], [better])
    assert outcome.only_b == 60 and outcome.only_a == 0 and outcome.p_value < 1e-10
    assert outcome.verdict("plain", "residual").startswith("residual is better than plain by 6.00 points")
    assert "one training of each" in outcome.verdict()
    assert compare([better], [right]).verdict("residual", "plain").startswith("residual is better than plain by 6.00")
    ahead, behind = outcome.verdict("plain", "residual"), compare([better], [right]).verdict("residual", "plain")
    assert " -" not in ahead + behind and ahead.partition("interval")[2] == behind.partition("interval")[2]
    assert "equally accurate" in compare([right], [right]).verdict()
    close = np.roll(np.arange(1000) < 805, 3)
    assert compare([right], [close]).verdict().startswith("No difference shown: B is ahead by 0.50 points")


def test_a_verdict_hedges_in_proportion_to_the_gap_and_the_seeds():
    level = np.arange(10_000)

    def verdict(gap, trainings=1):
        a, b = ([level < 8_000 + shift + i for i in range(trainings)] for shift in (0, gap))
        return compare(a, b).verdict()

    assert "as much again" in verdict(20) and "more seeds" in verdict(60)
    assert "unlikely to turn it round" in verdict(120)
    assert "hardly turn round" in verdict(400) and "as much again" not in verdict(400)
    assert "2 trainings of each tell little" in verdict(100, 2) and "seed" not in verdict(100, 3)
    assert seed_spread(0.8, 100) > 3 * seed_spread(0.8, 10_000) > 0


def test_several_trainings_are_the_unit():
    rng = np.random.default_rng(3)
    a, b = ([rng.random(2000) < level for level in levels] for levels in ((0.7, 0.8, 0.9), (0.75, 0.85, 0.95)))
    outcome = compare(a, b)
    assert outcome.test.startswith("Welch") and outcome.p_value > 0.2 and outcome.only_a is None
    assert outcome.verdict().startswith("No difference shown")
    assert "one training" not in outcome.verdict() and len(outcome.to_json()["accuracy_a"]) == 3


def test_one_training_against_several_speaks_of_the_first_of_each():
    level = np.arange(1000)
    a, b = [level < 800], [level < 780, level < 850, level < 850]  # B is better on average; its first is worse
    outcome = compare(a, b)
    assert outcome.test == "McNemar's exact test on the first training of each"
    assert outcome.difference == pytest.approx(-0.02) and outcome.interval[1] < 0 and outcome.only_a == 20
    assert outcome.verdict().startswith("A is better than B by 2.00 points") and "one training" in outcome.verdict()
    assert outcome.accuracy_b == pytest.approx((0.78, 0.85, 0.85))


@pytest.mark.parametrize("pair", [([], []), ([np.ones(3, bool)], [np.ones(4, bool)])])
def test_the_same_pictures_or_none(pair):
    with pytest.raises((UserError, ValueError)):
        compare(*pair)


# -- ensembles -------------------------------------------------------------------------------------------------------


def members(count=4, images=200, classes=5, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    scores = [rng.normal(0, 3, (images, classes)).astype(np.float32) for _ in range(count)]
    for strength, score in zip((5.0, 4.6, 4.3, -3.0), scores, strict=False):
        score[np.arange(images), labels] += strength
    return scores, labels


@given(st.lists(st.floats(0, 5), min_size=3, max_size=3).filter(lambda w: sum(w) > 0.1), st.integers(0, 100))
def test_an_ensembles_loss_is_at_most_its_members_mean(weights, seed):
    """Jensen: true of averaged probabilities and of averaged logits."""
    scores, labels = members(3, 40, seed=seed)
    mean = np.average([loss(score, labels) for score in scores], weights=weights)
    for combine in ("softmax", "logits"):
        assert loss(combine_members(scores, weights, combine), labels) <= mean + 1e-9


def test_averages_written_out():
    scores, _ = members(2)
    got = np.exp(combine_members(scores, [1, 3], "softmax"))
    np.testing.assert_allclose(got, (softmax(scores[0]) + 3 * softmax(scores[1])) / 4, atol=1e-12)
    np.testing.assert_allclose(combine_members(scores, [2, 2], "logits"), np.mean(scores, axis=0), atol=1e-6)


def test_greedy_choice_is_the_best_step_each_time():
    scores, labels = members()
    counts = select_greedily(scores, labels, "softmax")
    chosen = loss(combine_members(scores, counts, "softmax"), labels)
    assert counts[3] == 0 and sum(count > 0 for count in counts) >= 2  # noise is left out
    assert chosen < min(loss(score, labels) for score in scores)
    for i in range(4):  # one more of any member does not help
        more = [count + (i == j) for j, count in enumerate(counts)]
        assert loss(combine_members(scores, more, "softmax"), labels) >= chosen - 1e-9


def test_the_gain_has_an_interval():
    scores, labels = members()
    together = combine_members(scores[:3], [1, 1, 1], "softmax")
    gain = gain_over(together, scores, labels, 0)
    assert gain.top1 == pytest.approx(accuracy(together, labels) - accuracy(scores[0], labels))
    assert gain.interval[0] <= gain.top1 <= gain.interval[1] and gain.best == 0


@pytest.mark.parametrize("weights", [[1.0], [0, 0], [1, -1]])
def test_weights_must_make_an_average(weights):
    with pytest.raises(UserError, match="weights"):
        combine_members(members(2)[0], weights, "softmax")
