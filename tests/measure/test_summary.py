"""One set of predictions summarised: every number is scikit-learn's, or counted here one picture at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sklearn.metrics as sk

from reslearn.measure.confusion import most_confused
from reslearn.measure.metrics import softmax
from reslearn.measure.summary import summarise
from reslearn.report.values import Confused

NAMES = ("ant", "bee", "cow", "dog")


def summed(*predictions, **options):
    return summarise(*predictions, **options).to_json()


def case(images=203, seed=0, classes=4):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    logits = rng.normal(0, 1.5, (images, 4)).astype(np.float32)
    logits[np.arange(images), labels] += 1
    return logits, labels


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_every_number_is_another_s(temperature):
    logits, labels = case()
    found = summed(logits, labels, NAMES, temperature=temperature)
    answers, shares = logits.argmax(1), softmax(logits, temperature)
    report = sk.classification_report(labels, answers, target_names=NAMES, output_dict=True)
    for row, c in zip(found["per_class"], range(4), strict=True):
        theirs = report[NAMES[c]]
        assert (row["label"], row["support"]) == (NAMES[c], theirs["support"])
        assert [row["precision"], row["recall"], row["f1"]] == pytest.approx(
            [theirs["precision"], theirs["recall"], theirs["f1-score"]]
        )
        assert row["roc_auc"] == pytest.approx(sk.roc_auc_score(labels == c, softmax(logits)[:, c]))
    for kind in ("macro", "weighted"):
        theirs = report[f"{kind} avg"]
        assert found[kind]["precision"] == pytest.approx(theirs["precision"])
        assert found[kind]["f1"] == pytest.approx(theirs["f1-score"])
    assert found["macro"]["roc_auc"] == pytest.approx(np.mean([row["roc_auc"] for row in found["per_class"]]))
    assert found["confusion"] == sk.confusion_matrix(labels, answers).tolist()
    assert found["nll"] == pytest.approx(sk.log_loss(labels, shares)) and found["temperature"] == temperature
    assert found["brier"] == pytest.approx(np.mean(((shares - np.eye(4)[labels]) ** 2).sum(1)))


def test_confidence_is_put_into_fifteen_bins():
    """1706.04599, section 2: ECE as its tables have it."""
    logits, labels = case(2000)
    confidence, right = softmax(logits).max(1), logits.argmax(1) == labels
    gaps = 0.0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        gaps += abs(confidence[inside].sum() - right[inside].sum())
    assert summed(logits, labels, NAMES)["ece"] == pytest.approx(gaps / 2000)


@pytest.mark.parametrize("images", [1, 2, 7, 19, 203])
def test_errors_among_the_surest_answers(images):
    logits, labels = case(images)
    found = summed(logits, labels, NAMES)
    order = np.argsort(-softmax(logits).max(1))
    wrong = (logits.argmax(1) != labels)[order]
    risks = [wrong[: k + 1].mean() for k in range(images)]
    assert found["aurc"] == pytest.approx(np.mean(risks))
    expected = {str(share): risks[math.ceil(share * images) - 1] for share in (0.5, 0.8, 0.9, 0.95, 1.0)}
    assert found["error_at_coverage"] == pytest.approx(expected)


def test_what_is_undefined_is_none():
    logits, labels = case(classes=2)
    logits[:, 3] = -50
    found = summed(logits, labels, NAMES)
    assert [row["roc_auc"] is None for row in found["per_class"]] == [False, False, True, True]
    assert found["macro"]["roc_auc"] == pytest.approx(np.mean([row["roc_auc"] for row in found["per_class"][:2]]))
    assert found["per_class"][3]["support"] == 0 and found["per_class"][3]["f1"] == 0.0
    alone = summed(logits, np.zeros(len(labels), np.int64), NAMES)
    assert alone["macro"]["roc_auc"] is None


def test_ten_mix_ups_are_named():
    counts = np.arange(16).reshape(4, 4)
    pairs = most_confused(counts, NAMES)
    assert [pair.count for pair in pairs] == [14, 13, 12, 11, 9, 8, 7, 6, 4, 3]
    assert pairs[0] == Confused(truth="dog", answer="cow", count=14, share=14 / (12 + 13 + 14 + 15))
    assert len(most_confused(counts, NAMES, top=99)) == 12, "what is right is no mix-up"
