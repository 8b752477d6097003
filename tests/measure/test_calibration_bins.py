"""A confidence on the edge of two bins belongs to the lower one: bins are (0, 1/n], (1/n, 2/n], ... (1706.04599, 2).

The confidences are given here: through a softmax they would be a last bit off, and which way depends on the processor.
"""

from __future__ import annotations

import numpy as np
import pytest

from reslearn.measure import calibration


@pytest.fixture
def diagram(monkeypatch):
    """diagram(confidences, whether they were right, bins) -> the reliability of such answers."""

    def make(confidence, right, bins):
        given = np.asarray(confidence, np.float64), np.asarray(right, bool)
        monkeypatch.setattr(calibration, "_answers", lambda logits, labels, temperature: given)
        return calibration.reliability([[0.0]], [0], bins=bins)

    return make


@pytest.mark.parametrize("bins", [1, 2, 5, 10, 15, 16])
def test_an_edge_belongs_to_the_bin_below(bins, diagram):
    edges = np.linspace(0, 1, bins + 1)
    for k, edge in enumerate(edges[1:]):
        below, above = np.nextafter(edge, 0), np.nextafter(edge, 2)
        assert np.flatnonzero(diagram([below], [True], bins).count).tolist() == [k]
        assert np.flatnonzero(diagram([edge], [True], bins).count).tolist() == [k]
        if edge < 1:
            assert np.flatnonzero(diagram([above], [True], bins).count).tolist() == [k + 1]


def test_rounding_beyond_the_ends_is_no_bin_of_its_own(diagram):
    assert diagram([0.0, np.nextafter(1, 2)], [False, True], 10).count.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_the_error_on_an_edge_by_hand(diagram):
    """At 1/2 three answers of which one is right, just above it a wrong one: bins of 3 and 1, not of 0 and 4."""
    found = diagram([0.5, 0.5, 0.5, np.nextafter(0.5, 1)], [True, False, False, False], 2)
    assert found.edges.tolist() == [0, 0.5, 1] and found.count.tolist() == [3, 1]
    assert found.confidence.tolist() == pytest.approx([0.5, 0.5]) and found.accuracy.tolist() == pytest.approx(
        [1 / 3, 0]
    )
    assert found.ece == pytest.approx((3 * (0.5 - 1 / 3) + 1 * 0.5) / 4)


def test_an_empty_bin_says_nothing_and_weighs_nothing(diagram):
    found = diagram([0.95, 0.85], [True, True], 10)
    assert np.isnan(found.accuracy[:8]).all() and found.ece == pytest.approx((0.05 + 0.15) / 2)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6, 7], [7, 6, 5, 4, 3, 2, 1, 0], [3, 0, 5, 2, 7, 4, 1, 6]])
def test_of_equally_sure_answers_no_order_is_better(order):
    """Saturated answers are all equally sure: those of the surest half are right as often as all are."""
    logits, labels = np.tile(np.float32([60, 0, 0, 0]), (8, 1)), np.array([0, 0, 1, 1, 2, 2, 3, 3])[order]
    coverage, risk, _, area = calibration.risk_coverage(logits, labels)
    assert coverage[3] == 0.5 and risk == pytest.approx(0.75) and area == pytest.approx(0.75)
