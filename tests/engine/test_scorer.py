"""A scorer answers alike however pictures reach it: alone or many, in one thread or several, large or small."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from reslearn.bundle.combine import CombinedNet
from reslearn.data.preprocess import Normalise
from reslearn.engine.scorer import TorchScorer, at_once
from reslearn.nets.build import create_model
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

SPEC = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1, 1), stage_channels=(4, 8), num_classes=3
)
PRE = default_preprocess(8)


def net_of(seed=0):
    torch.manual_seed(seed)
    return create_model(SPEC).eval()


def pictures(count=6, size=8):
    return torch.randint(256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def watched(net):
    passes = []
    net.register_forward_hook(lambda _, inputs, __: passes.append(tuple(inputs[0].shape)))
    return passes


def plain(net, images):
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (PRE.mean, PRE.std))
    with torch.no_grad():
        return net((images / 255 - mean) / std).numpy()


def test_the_answers_are_the_network_s():
    net, images = net_of(), pictures()
    answers = TorchScorer(net, Normalise(PRE))(images)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, plain(net, images), atol=1e-5)


def test_what_is_normalised_already_is_not_normalised_again():
    net, images = net_of(), pictures()
    scorer = TorchScorer(net, Normalise(PRE), batch_size=4)
    np.testing.assert_allclose(scorer.normalised(Normalise(PRE)(images)), plain(net, images), atol=1e-5)


def test_modes_and_threads_are_put_back():
    net, before = net_of().train(), torch.get_num_threads()
    scorer = TorchScorer(net, Normalise(PRE), threads=before + 1)
    with scorer.ready():
        assert not net.training and torch.get_num_threads() == before + 1
        scorer(pictures())
    assert net.training and torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("batch_size", "side", "taken"),
    [(256, 224, 256), (256, 256, 256), (256, 257, 254), (256, 1024, 16), (256, 4090, 1), (1, 8, 1), (3, 10**5, 1)],
)
def test_no_more_pixels_at_once_than_in_a_batch_of_256_square(batch_size, side, taken):
    assert at_once(batch_size, side, side) == taken


def test_a_pass_is_bounded_and_the_answers_stay():
    net, images = net_of(), pictures(5, 512)
    passes = watched(net)
    answers = TorchScorer(net, Normalise(PRE), batch_size=8)(images)
    assert [shape[0] for shape in passes] == [2, 2, 1]
    np.testing.assert_allclose(answers, plain(net, images), atol=1e-5)


def test_several_threads_may_share_one():
    """Each is without gradients, in evaluation mode, whichever opened it and whichever ends first."""
    net, images, found = net_of().train(), pictures(), []
    scorer = TorchScorer(net, Normalise(PRE))
    net.register_forward_hook(lambda *_: found.append((torch.is_inference_mode_enabled(), net.training)))
    expected = scorer(images)
    with scorer.ready():
        answers = [None] * 4
        threads = [threading.Thread(target=lambda k=k: answers.__setitem__(k, scorer(images))) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert all(np.array_equal(answer, expected) for answer in answers)
    assert set(found) == {(True, False)} and net.training


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="precision"):
        TorchScorer(net_of(), Normalise(PRE), precision="int4")(pictures())


def test_only_networks_of_the_catalogue_are_scored_densely():
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 64, 3))
    scorer = TorchScorer(other, Normalise(PRE))
    assert scorer(pictures()).shape == (6, 3)
    with pytest.raises(UserError, match="multi-scale needs a network of the catalogue; Sequential"):
        scorer.dense(pictures(), "softmax")


def test_an_ensemble_has_features_as_a_network_has():
    members = [net_of(0), net_of(1)]
    both, x = CombinedNet(members, weights=[1, 1], combine="logits").eval(), torch.randn(2, 3, 8, 8)
    found = both.features(x)
    assert torch.equal(found["logits"], both(x)) and both.blocks() == []
    assert torch.equal(found["1.stages.0.0"], members[1].features(x)["stages.0.0"])
