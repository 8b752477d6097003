"""Evaluation counts every picture once, maps classes by name, and gives one set of numbers however it is batched."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reslearn.bundle.file import Loaded
from reslearn.bundle.header import Bundle, Member
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.parts.manifest import Manifest, under
from reslearn.data.preprocess import Normalise
from reslearn.engine.scorer import TorchScorer
from reslearn.measure import sharding
from reslearn.measure.bn_statistics import exact_bn_statistics
from reslearn.measure.evaluate import chosen_part, evaluate, evaluate_net
from reslearn.measure.evaluation import score
from reslearn.measure.scoring import Scoring
from reslearn.measure.sharding import Share, shard
from reslearn.measure.views import predict_logits
from reslearn.nets.build import create_model
from reslearn.runtime.inference import evaluating
from reslearn.runtime.process_group import World
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

CLASSES = ("ant", "bee", "cow")
PRE = default_preprocess(8)


def spec_of(classes):
    return NetSpec(
        name="tiny",
        stem="cifar",
        stem_channels=4,
        block="basic",
        stage_blocks=(1, 1),
        stage_channels=(4, 8),
        num_classes=classes,
    )


def pictures(count=37, classes=CLASSES, splits=None, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, len(classes), count)
    return ArrayDataset(images, labels, classes=classes, ids=[f"p{i}" for i in range(count)], splits=splits)


def model(classes=CLASSES, num_classes=None):
    torch.manual_seed(0)
    spec = spec_of(num_classes or len(classes))
    return Loaded(create_model(spec).eval(), Bundle((Member(spec),), PRE, classes=classes), path=None)


def test_numbers_are_those_of_a_plain_loop():
    loaded, data = model(), pictures()
    report = evaluate(loaded, data)
    mean, std = torch.tensor(PRE.mean).view(3, 1, 1), torch.tensor(PRE.std).view(3, 1, 1)
    right, loss = 0, 0.0
    with torch.no_grad():
        for image, label in zip(data.images, data.labels, strict=True):
            x = (torch.tensor(image).permute(2, 0, 1) / 255 - mean) / std
            logits = loaded.net(x[None])
            right += int(logits.argmax() == label)
            loss += torch.nn.functional.cross_entropy(logits, torch.tensor([label])).item() / len(data)
    assert report.images == 37 and report.top1 == right / 37
    assert report.loss == pytest.approx(loss, abs=1e-5)
    assert report.top1_error == pytest.approx(100 * (1 - report.top1)) and report.top5 is None
    assert report.top1_interval[0] < report.top1 < report.top1_interval[1]
    assert (report.protocol, report.precision, report.preprocess_hash) == ("1-crop", "fp32", PRE.hash())
    assert {"images", "top1", "top5", "top1_error", "top5_error", "loss"} < report.to_json().keys()


@pytest.mark.parametrize("batch_size", [1, 7, 37, 100])
def test_batches_do_not_matter(batch_size):
    one, other = evaluate(model(), pictures()), evaluate(model(), pictures(), Scoring(batch_size=batch_size))
    assert one.top1 == other.top1 and one.loss == pytest.approx(other.loss, abs=1e-6)


@pytest.mark.parametrize("batch_size", [0, -1])
def test_a_batch_of_nothing_is_an_error(batch_size):
    with pytest.raises(UserError, match=f"batch-size is {batch_size}; .*at least 1"):
        evaluate(model(), pictures(), Scoring(batch_size=batch_size))


def test_a_subset_is_its_pictures():
    data = pictures()
    scorer = TorchScorer(model().net, Normalise(PRE))
    whole = predict_logits(scorer, data, PRE)
    chosen = np.array([30, 2, 11])
    logits = predict_logits(scorer, Subset(data, chosen), PRE)
    np.testing.assert_allclose(logits, whole[chosen], atol=1e-5)


def test_top5_counts_from_six_classes():
    names = tuple("abcdefg")
    report = evaluate(model(names), pictures(classes=names))
    order = np.argsort(-report.logits, axis=1)[:, :5]
    assert report.top5 == pytest.approx((order == report.labels[:, None]).any(1).mean())


# -- classes ---------------------------------------------------------------------------------------------------------


def test_classes_are_matched_by_name():
    data = pictures()
    other = ("cow", "ant", "bee")  # the same pictures under another order of classes
    relabelled = np.array([other.index(CLASSES[label]) for label in data.labels])
    turned = ArrayDataset(data.images, relabelled, classes=other, ids=data.ids)
    assert evaluate(model(), turned).to_json() == evaluate(model(), data).to_json()


def test_a_part_of_the_classes_is_enough():
    data = pictures(classes=("cow", "ant"))
    report = evaluate(model(), data)
    assert np.array_equal(report.labels, np.array([2, 0])[data.labels]) and report.logits.shape[1] == 3


def test_a_strange_class_is_an_error():
    with pytest.raises(UserError, match="no class named dog, eel; its 3 classes: ant, bee, cow"):
        evaluate(model(), pictures(classes=("ant", "dog", "eel")))


def test_without_names_counts_must_agree():
    unnamed = model(None, num_classes=3)
    with pytest.warns(UserWarning, match="matched by index"):
        assert evaluate(unnamed, pictures()).top1 == evaluate(model(), pictures()).top1
    with pytest.raises(UserError, match="3 classes without names, the data 2"):
        evaluate(unnamed, pictures(classes=("x", "y")))


# -- splits ----------------------------------------------------------------------------------------------------------


def test_which_pictures_a_split_means():
    declared = {"train": np.arange(30), "test": np.arange(30, 37)}
    assert len(chosen_part(pictures(), None)) == 37
    assert len(chosen_part(pictures(splits=declared), None)) == 7
    assert len(chosen_part(pictures(splits=declared), "train")) == 30
    with pytest.raises(UserError, match="declares train and no test"):
        chosen_part(pictures(splits={"train": np.arange(3)}), None)
    with pytest.raises(UserError, match="val"):
        chosen_part(pictures(splits=declared), "val")
    assert len(chosen_part(pictures(), "all")) == 37
    with pytest.raises(UserError, match=r"no splits, so there is no 'val'; make some with `reslearn data split.* all$"):
        chosen_part(pictures(), "val")
    assert len(chosen_part(pictures(splits=declared), "all")) == 37
    assert not chosen_part(pictures(splits=declared), "all").splits  # so no part of it is meant later


def test_an_empty_split_is_an_error():
    with pytest.raises(UserError, match="no pictures"):
        evaluate(model(), pictures(splits={"test": np.arange(0)}))


# -- how -------------------------------------------------------------------------------------------------------------


def test_the_network_is_left_as_it_was():
    net = model().net.train()
    net.stem.eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    matmul = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        evaluate_net(TorchScorer(net, Normalise(PRE)), pictures(), PRE)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(matmul)
    assert net.training and net.head.training and not net.stem.training
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert net.stem.conv.weight.is_contiguous()  # training's bits depend on the layout


def test_two_threads_both_compute_in_fp32():
    """Whichever of them ends first, and although whoever owns the process allows less."""
    loaded, found, ways_out = model(), [], [threading.Event(), threading.Event()]
    loaded.net.register_forward_hook(lambda *_: found.append(torch.get_float32_matmul_precision()))
    loaded.net.train()

    def score_slowly(own, other):
        evaluate(loaded, Slow(own, other), Scoring(batch_size=1))
        own.set()

    class Slow(ArrayDataset):
        """Its last picture waits until the other thread has ended, for the first thread."""

        def __init__(self, own, other):
            data = pictures(5)
            super().__init__(data.images, data.labels, classes=CLASSES, ids=data.ids)
            self.other = other

        def read(self, i):
            if i == 4 and self.other is not None:
                assert self.other.wait(600)
            assert not loaded.net.training
            return super().read(i)

    matmul = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        threads = [threading.Thread(target=score_slowly, args=(ways_out[0], ways_out[1]))]
        threads += [threading.Thread(target=score_slowly, args=(ways_out[1], None))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == ["highest"] * 10
        assert torch.get_float32_matmul_precision() == "medium" and loaded.net.training
    finally:
        torch.set_float32_matmul_precision(matmul)


def test_precision_is_part_of_the_result():
    full, half = (evaluate(model(), pictures(), Scoring(precision=precision)) for precision in ("fp32", "bf16"))
    assert half.precision == "bf16" and not np.array_equal(full.logits, half.logits)
    np.testing.assert_allclose(full.logits, half.logits, atol=0.1)
    with pytest.raises(UserError, match="fp32"):
        evaluate(model(), pictures(), Scoring(precision="int4"))


def test_dropout_and_batch_statistics_are_off():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(192, 3))
    net.train()
    with evaluating(net, "fp32", "cpu"):
        assert not net[1].training and torch.is_inference_mode_enabled()
    assert net[1].training


class Ranks(World):
    """Processes of which each has its part of the rows already."""

    def gather(self, value):
        return value


def gathered(parts, count, monkeypatch):
    monkeypatch.setattr(sharding, "joined", lambda: Ranks(size=len(parts)))
    return Share(pictures(), count).gather(parts)


def test_every_picture_exactly_once(monkeypatch):
    rows = [np.ones((2, 3), np.float32), np.empty((0, 0), np.float32), np.zeros((1, 3), np.float32)]
    assert gathered(rows, 3, monkeypatch)[:, 0].tolist() == [1, 1, 0]
    for wrong in (2, 4):
        with pytest.raises(RuntimeError, match="once"):
            gathered(rows, wrong, monkeypatch)


@given(st.integers(0, 200), st.integers(1, 7))
def test_any_number_of_processes_counts_every_picture_once(count, world):
    parts = [shard(count, rank, world) for rank in range(world)]
    assert np.array_equal(np.concatenate(parts), np.arange(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("world", [1, 2, 5, 70])
def test_numbers_do_not_know_how_the_pictures_were_shared(world, monkeypatch):
    rng = np.random.default_rng(world)
    logits, labels = rng.normal(size=(60, 7)).astype(np.float32), rng.integers(0, 7, 60)
    together = gathered([logits[shard(60, rank, world)] for rank in range(world)], 60, monkeypatch)
    assert score(together, labels, PRE).to_json() == score(logits, labels, PRE).to_json()


def test_score_of_a_diverged_network():
    report = score(np.full((4, 6), np.nan, np.float32), np.array([0, 1, 2, 3]), PRE)
    assert report.top1 == 0 and report.top5 == 0 and report.top1_error == 100


# -- exact batch-norm statistics -------------------------------------------------------------------------------------


def test_bn_statistics_are_the_mean_over_batches():
    norm = torch.nn.BatchNorm2d(3)
    net = torch.nn.Sequential(norm, torch.nn.Dropout(0.9)).train()
    batches = [torch.randn(8, 3, 4, 4) * scale + 1 for scale in (1, 2, 3)]
    assert exact_bn_statistics(net, iter(batches)) == 3
    mean = torch.stack([x.mean((0, 2, 3)) for x in batches]).mean(0)
    variance = torch.stack([x.var((0, 2, 3), unbiased=True) for x in batches]).mean(0)
    torch.testing.assert_close(norm.running_mean, mean)
    torch.testing.assert_close(norm.running_var, variance)
    assert norm.momentum == 0.1 and net.training and norm.training and net[1].training


def test_no_batches_change_nothing():
    norm = torch.nn.BatchNorm2d(3)
    norm.running_mean.fill_(5.0)
    assert exact_bn_statistics(norm, []) == 0 and norm.running_mean.tolist() == [5, 5, 5]


# -- kept scores -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [None, "test"])
def test_manifests_over_one_source_do_not_share_scores(tmp_path, split):
    """They have the source's fingerprint and leave out other pictures: as many, or another number."""
    source = pictures(splits={"test": np.arange(10, 37)} if split else None)
    for left_out in ([], ["p12"], ["p30"], ["p12", "p30"]):
        columns = {"ids": tuple(source.ids), "labels": tuple(map(int, source.labels)), "sizes": (-1,) * len(source)}
        manifest = Manifest("x", CLASSES, **columns, excluded=dict.fromkeys(left_out, "unreadable"))
        data = under(source, manifest, "m.json")
        assert data.fingerprint() == source.fingerprint()
        kept = evaluate(model(), data, Scoring(split=split, cache=tmp_path))
        assert not kept.kept and np.array_equal(kept.logits, evaluate(model(), data, Scoring(split=split)).logits)
        assert evaluate(model(), data, Scoring(split=split, cache=tmp_path)).kept


def test_a_network_that_does_not_answer_has_no_score():
    """Every weight is a number, and what comes out is none."""
    loaded = model()
    with torch.no_grad():
        for parameter in loaded.net.parameters():
            parameter.fill_(3e38)
    with pytest.raises(UserError, match="for 37 of 37 pictures the network answers with NaN or infinity"):
        evaluate(loaded, pictures())
