"""Pooled features and the linear probe on them, against the network itself and scikit-learn."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from reslearn.bundle.combine import CombinedNet
from reslearn.data.memory import Subset
from reslearn.data.preprocess import Normalise, apply, to_batch
from reslearn.data.sources import open_data
from reslearn.measure import features
from reslearn.measure.features import STRENGTHS, Pooled, fit_probe, linear_probe, pooled_features
from reslearn.measure.metrics import softmax
from reslearn.nets.build import create_model
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess


@pytest.mark.parametrize("name", ["resnet20_cifar", "preact_resnet164_cifar", "vgg16_cifar"])
def test_features_are_what_the_head_reads(name):
    torch.manual_seed(0)
    changes = {} if name.startswith("vgg") else {"stage_blocks": (1, 1, 1)}
    net, digits, prepare = create_model(name, **changes).eval(), open_data("digits"), default_preprocess(32)
    pictures = Subset(digits, np.arange(5))
    found = pooled_features(net, Normalise(prepare), pictures)
    batch = to_batch([apply(pictures.read(i)[0], prepare) for i in range(5)])
    with torch.no_grad():
        expected = net.stage_maps(Normalise(prepare)(batch))[-1].mean((2, 3))
        if not name.startswith("vgg"):
            assert torch.allclose(expected, net.features(Normalise(prepare)(batch))["pool"], atol=1e-6)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_an_ensemble_has_none():
    net = create_model("resnet20_cifar")
    with pytest.raises(UserError, match="name one of its members"):
        Pooled(CombinedNet([net, net], weights=[1, 1], combine="logits"))


@pytest.mark.parametrize("classes", [2, 4])
def test_the_probe_is_scikit_learn_s_best(classes):
    draws = np.random.default_rng(0)
    centres = draws.normal(size=(classes, 6))
    labels = [draws.integers(0, classes, n) for n in (80, 60)]
    features = [(centres[y] + draws.normal(size=(len(y), 6))).astype(np.float32) for y in labels]
    probe, head = fit_probe(features, labels, classes, time.perf_counter())
    mean, deviation = features[0].mean(0), features[0].std(0)
    scores = [
        LogisticRegression(C=c, max_iter=200)
        .fit((features[0] - mean) / deviation, labels[0])
        .score((features[1] - mean) / deviation, labels[1])
        for c in STRENGTHS
    ]
    assert probe.top1 == pytest.approx(max(scores)) and (probe.images, probe.trained, probe.channels) == (60, 80, 6)
    assert probe.strength in STRENGTHS
    logits = features[1] @ head.weight.T + head.bias
    assert (logits.argmax(1) == labels[1]).mean() == pytest.approx(probe.top1)
    best = LogisticRegression(C=probe.strength, max_iter=200).fit((features[0] - mean) / deviation, labels[0])
    theirs = np.log(best.predict_proba((features[1] - mean) / deviation))
    ours, theirs = (x - x.mean(1, keepdims=True) for x in (logits, theirs))
    factor = (ours * theirs).sum() / (theirs * theirs).sum()
    np.testing.assert_allclose(ours, factor * theirs, atol=1e-3 * factor)
    right = (60 * probe.top1 + 1) / 62
    assert softmax(logits).max(1).mean() == pytest.approx(right, abs=1e-6)


def test_a_probe_without_a_mistake_is_sure_and_not_too_sure():
    labels = [np.arange(n) % 3 for n in (30, 21)]
    features = [np.eye(3, dtype=np.float32)[y] for y in labels]
    probe, head = fit_probe(features, labels, 3, time.perf_counter())
    logits = features[1] @ head.weight.T + head.bias
    assert probe.top1 == 1 and softmax(logits).max(1).mean() == pytest.approx(22 / 23, abs=1e-6)


def test_a_probe_is_fitted_to_so_many_pictures_drawn_evenly(monkeypatch):
    """Of all classes where they stand one after the other; with as many as it takes it takes all."""
    net, prepare, digits = (
        create_model("resnet20_cifar", stage_blocks=(1, 1, 1)),
        default_preprocess(8),
        open_data("digits"),
    )
    order = np.argsort(digits.labels[:100], kind="stable")
    train, val, asked = Subset(digits, order), Subset(digits, np.arange(100, 120)), []

    def recorded(net, normalise, pictures, **options):
        asked.append(list(pictures.ids))
        return np.random.default_rng(len(pictures)).normal(size=(len(pictures), 4)).astype(np.float32)

    monkeypatch.setattr(features, "pooled_features", recorded)
    for most, places in ((12, np.arange(12) * 9), (100, np.arange(100)), (101, np.arange(100))):
        monkeypatch.setattr(features, "MOST", most)
        probe, _ = linear_probe(net, Normalise(prepare), train, val)
        assert asked[-2] == [train.ids[i] for i in places] and asked[-1] == list(val.ids)
        assert probe.trained == len(places) and probe.images == 20


def test_a_probe_needs_two_classes_and_pictures_to_choose_on():
    net, prepare, digits = create_model("resnet20_cifar").eval(), default_preprocess(16), open_data("digits")
    with pytest.raises(UserError, match="two classes"):
        linear_probe(net, Normalise(prepare), digits, Subset(digits, np.arange(0)))
