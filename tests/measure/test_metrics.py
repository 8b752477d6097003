"""Every number equals scikit-learn's (or a formula written out here) on random cases."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from torch.nn.functional import cross_entropy

from reslearn.measure import calibration, confusion, metrics
from reslearn.report.values import Confused
from reslearn.spec.errors import UserError

settings.register_profile("metrics", max_examples=40, deadline=None)
settings.load_profile("metrics")


@st.composite
def cases(draw, min_classes=2):
    """Logits (N, C) with some spread, and labels that favour the answers so that both kinds occur."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    classes, images = draw(st.integers(min_classes, 12)), draw(st.integers(1, 60))
    logits = rng.normal(0, draw(st.sampled_from([0.1, 1.0, 10.0])), (images, classes))
    labels = rng.integers(0, classes, images)
    logits[np.arange(images), labels] += draw(st.sampled_from([0.0, 1.0, 3.0]))
    return logits.astype(np.float32), labels


@given(cases(), st.integers(1, 6))
def test_accuracy_and_loss(case, k):
    logits, labels = case
    every = np.arange(logits.shape[1])
    if logits.shape[1] > 2 and k < logits.shape[1]:
        expected = sk.top_k_accuracy_score(labels, logits, k=k, labels=every)
        assert metrics.accuracy(logits, labels, k) == pytest.approx(expected, abs=1e-12)
    assert metrics.accuracy(logits, labels) == sk.accuracy_score(labels, logits.argmax(1))
    probabilities = metrics.softmax(logits)
    if probabilities.min() > 1e-15:  # scikit-learn clips there
        expected = sk.log_loss(labels, probabilities, labels=every)
        assert metrics.loss(logits, labels) == pytest.approx(expected, abs=1e-9)
    expected = cross_entropy(torch.tensor(logits, dtype=torch.float64), torch.tensor(labels)).item()
    assert metrics.loss(logits, labels) == pytest.approx(expected, abs=1e-12)


@given(cases())
def test_confusion_and_class_scores(case):
    logits, labels = case
    every, answers = np.arange(logits.shape[1]), logits.argmax(1)
    counts = confusion.confusion_matrix(logits, labels)
    assert np.array_equal(counts, sk.confusion_matrix(labels, answers, labels=every))
    scores = confusion.class_scores(counts)
    expected = sk.precision_recall_fscore_support(labels, answers, labels=every, zero_division=0)
    for mine, theirs in zip((scores.precision, scores.recall, scores.f1, scores.support), expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-12)
    for kind in ("macro", "weighted"):  # scikit-learn averages over the classes that occur when given no list
        expected = sk.precision_recall_fscore_support(labels, answers, average=kind, zero_division=0)[:3]
        assert list(scores.average(kind).values()) == pytest.approx(list(expected), abs=1e-12)


@given(cases())
def test_roc_auc(case):
    logits, labels = case
    areas = confusion.roc_auc(logits, labels)
    probabilities = metrics.softmax(logits)
    for c, area in enumerate(areas):
        if 0 < (labels == c).sum() < len(labels):
            assert area == pytest.approx(sk.roc_auc_score(labels == c, probabilities[:, c]), abs=1e-12)
        else:
            assert np.isnan(area)


@given(cases())
def test_roc_auc_of_answers_that_are_equally_sure(case):
    logits, labels = np.round(case[0]), case[1]  # few different ones, and many ties
    areas, probabilities = confusion.roc_auc(logits, labels), metrics.softmax(logits)
    for c in np.unique(labels):
        if (labels != c).any():
            assert areas[c] == pytest.approx(sk.roc_auc_score(labels == c, probabilities[:, c]), abs=1e-12)


@given(cases(), st.sampled_from([5, 10, 15]), st.sampled_from([0.5, 1.0, 2.0]))
def test_calibration_error(case, bins, temperature):
    logits, labels = case
    probabilities = metrics.softmax(logits, temperature)
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    accuracy, mean = calibration_curve(right, confidence, n_bins=bins)
    edges = np.linspace(0, 1, bins + 1)
    count = np.histogram(confidence, edges)[0]
    diagram = calibration.reliability(logits, labels, temperature=temperature, bins=bins)
    filled = diagram.count > 0
    np.testing.assert_allclose(diagram.accuracy[filled], accuracy, atol=1e-12)
    np.testing.assert_allclose(diagram.confidence[filled], mean, atol=1e-12)
    if np.array_equal(count, diagram.count):  # numpy closes its bins on the other side
        expected = (np.abs(accuracy - mean) * count[count > 0]).sum() / len(labels)
        assert diagram.ece == pytest.approx(expected, abs=1e-12)


@given(cases())
def test_brier(case):
    logits, labels = case
    probabilities = metrics.softmax(logits)
    each = [sk.brier_score_loss(labels == c, probabilities[:, c]) for c in range(logits.shape[1])]
    assert calibration.brier(logits, labels) == pytest.approx(sum(each), abs=1e-12)


@given(cases())
def test_risk_coverage(case):
    logits, labels = case
    coverage, risk, threshold, area = calibration.risk_coverage(logits, labels)
    confidence = metrics.softmax(logits).max(1)
    wrong = logits.argmax(1) != labels
    for c, r, t in zip(coverage, risk, threshold, strict=True):
        answered = confidence >= t
        if answered.sum() == round(c * len(labels)):  # no ties at the threshold
            assert r == pytest.approx(wrong[answered].mean(), abs=1e-12)
    assert risk[-1] == pytest.approx(wrong.mean()) and area == pytest.approx(risk.mean())


def test_no_temperature_is_fitted_where_the_loss_has_no_least():
    sure = 5 * np.eye(3)
    assert calibration.fit_temperature(sure, [0, 1, 2]) is None  # not a mistake
    assert calibration.fit_temperature(sure, [1, 2, 0]) is None  # nothing else
    assert calibration.fit_temperature(1e4 * sure, [0, 1, 2]) is None  # where it is flat, too
    nearly = np.repeat([[1.0, 0.0], [0.0, 1.0]], 500, axis=0)
    nearly[0] = 0.5, 0.5 + 1e-9  # one mistake, by a hair: 1/20 fits best
    assert calibration.fit_temperature(nearly, np.repeat([0, 1], 500)) is None


@given(cases())
def test_the_temperature_is_the_best_one(case):
    logits, labels = case
    low, high = calibration.FITTED
    best = calibration.fit_temperature(logits, labels)
    inside = [metrics.loss(logits, labels, other) for other in np.geomspace(low, high, 40)]
    if best is None:  # the least of the range lies at an end of it
        assert min(inside[0], inside[-1]) <= min(inside) + 1e-9
    else:
        assert metrics.loss(logits, labels, best) <= min(inside) + 1e-9


@given(cases(), st.floats(0.05, 1))
def test_the_threshold_keeps_its_promise(case, precision):
    logits, labels = case
    confidence, right = metrics.softmax(logits).max(1), logits.argmax(1) == labels
    reachable = [right[confidence >= t].mean() for t in confidence]
    if max(reachable) < precision:
        with pytest.raises(UserError, match="no threshold reaches"):
            calibration.choose_threshold(logits, labels, precision=precision)
        return
    threshold, coverage, reached = calibration.choose_threshold(logits, labels, precision=precision)
    answered = confidence >= threshold
    assert answered.mean() == pytest.approx(coverage) and right[answered].mean() == pytest.approx(reached)
    assert reached >= precision
    assert coverage == pytest.approx(
        max((confidence >= t).mean() for t, r in zip(confidence, reachable, strict=True) if r >= precision)
    )


@pytest.mark.parametrize("total", range(1, 60))
def test_a_precision_that_is_reached_exactly_is_reached(total):
    for right in range(1, total + 1):
        logits = np.tile([[1.0, 0.0]], (total, 1))  # one confidence for all: answer all or none
        labels = np.repeat([0, 1], [right, total - right])
        assert calibration.choose_threshold(logits, labels, precision=right / total)[1:] == (1.0, right / total)


@pytest.mark.parametrize(
    ("successes", "total", "expected"),
    [(0, 10, (0.0, 0.2775)), (10, 10, (0.7225, 1.0)), (81, 263, (0.2553, 0.3662)), (15, 148, (0.0624, 0.1605))],
)
def test_wilson_interval(successes, total, expected):
    """The last two are Newcombe's worked examples (Statistics in Medicine 17, 1998, table I, method 3)."""
    assert metrics.wilson_interval(successes, total) == pytest.approx(expected, abs=5e-5)


def test_a_diverged_network_is_wrong():
    logits = np.full((4, 3), np.nan)
    assert metrics.accuracy(logits, [0, 1, 2, 0]) == 0 and metrics.accuracy(logits, [0, 1, 2, 0], k=2) == 0
    with pytest.raises(UserError, match="4 of 4 pictures"):
        confusion.confusion_matrix(logits, [0, 1, 2, 0])


def test_equal_logits_rank_by_class():
    assert metrics.ranks(np.zeros((3, 3)), [0, 1, 2]).tolist() == [0, 1, 2]


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], [0]])
def test_labels_must_fit(labels):
    with pytest.raises(UserError):
        metrics.loss(np.zeros((2, 3)), labels)


def test_an_empty_split_is_an_error():
    with pytest.raises(UserError, match="the split is empty"):
        metrics.loss(np.zeros((0, 3)), [])


def test_most_confused():
    counts = np.array([[5, 3, 0], [1, 4, 0], [0, 2, 2]])
    pairs = confusion.most_confused(counts, "abc", top=2)
    assert pairs == (
        Confused(truth="a", answer="b", count=3, share=3 / 8),
        Confused(truth="c", answer="b", count=2, share=1 / 2),
    )
    assert confusion.most_confused(np.eye(3, dtype=np.int64), "abc") == ()


def test_without_a_temperature_it_is_one():
    logits, labels = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 4
    expected = cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels), reduction="none").numpy()
    np.testing.assert_allclose(metrics.losses(logits, labels), expected)
    np.testing.assert_allclose(metrics.loss(logits, labels), expected.mean())
    np.testing.assert_allclose(metrics.softmax(logits), torch.from_numpy(logits).softmax(1).numpy())
