"""What blocks add, what ReLUs cut and what gates say, each against the same quantity computed by hand."""

from __future__ import annotations

import pytest
import torch

from reslearn.data.preprocess import Normalise
from reslearn.engine.scorer import TorchScorer
from reslearn.interpret.signals import branch_ratios, cut_shares, excitations
from reslearn.nets.build import create_model
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess


@pytest.fixture
def pictures():
    return torch.randint(0, 255, (12, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()


def scorer_of(name, **changes):
    torch.manual_seed(0)
    net = create_model(name, stage_blocks=(2, 1, 1), **changes)
    net(torch.randn(8, 3, 16, 16))
    return TorchScorer(net.eval(), Normalise(default_preprocess(32)))


@pytest.mark.parametrize("changes", [{}, {"activation": "pre", "projection_norm": False}, {"se_reduction": 4}])
def test_a_branch_is_what_is_added_to_the_shortcut(pictures, changes):
    scorer = scorer_of("resnet20_cifar", **changes)
    found = branch_ratios(scorer, [pictures[:5], pictures[5:]])
    net, x = scorer.net, scorer.net.stem(scorer.normalise(pictures))
    for block in net.blocks():
        if block.spec.shortcut == "identity":
            if changes.get("activation"):
                active = x if block.spec.norms[0] is None else block.norm1(x).relu()
                f = block.pre_transform(active)
            else:
                f = block.gate(block.post_transform(x))
            one = next(b for b in found if b.block == block.spec.name)
            assert one.ratio == pytest.approx(float(f.norm() / x.norm()), rel=1e-4)
        x = block(x)
    assert len(found) == 2


def test_a_plain_net_has_no_branches(pictures):
    with pytest.raises(UserError, match="identity shortcuts"):
        branch_ratios(scorer_of("plain20_cifar"), [pictures])


def test_the_share_below_zero(pictures):
    scorer = scorer_of("resnet20_cifar")
    found = {cut.layer: cut.share for cut in cut_shares(scorer, [pictures[:6], pictures[6:]])}
    net = scorer.net
    normed = net.stem.norm(net.stem.conv(scorer.normalise(pictures)))
    assert found["stem.norm"] == pytest.approx(float((normed < 0).float().mean()), abs=1e-6)
    assert len(found) == 9 and all(0.2 < share < 0.8 for share in found.values())


def test_excitations_by_class(pictures):
    scorer = scorer_of("se_resnet20_cifar", se_reduction=4)
    labels = [0, 1, 2] * 4
    found = excitations(scorer, [pictures[:4], pictures[4:]], labels, {"cat": 0, "dog": 2}, channels=8)
    assert [gate.block for gate in found] == ["stages.0.1", "stages.1.0", "stages.2.0"]
    net, x = scorer.net, scorer.net.stem(scorer.normalise(pictures))
    block = net.blocks()[0]
    x, block = block(x), net.blocks()[1]
    y = block.post_transform(x)
    wanted = block.gate.excitation(y.mean((2, 3)))[:, list(found[0].channels)]
    dogs = wanted[torch.tensor(labels) == 2]
    assert torch.allclose(torch.tensor(found[0].overall), wanted.mean(0), atol=1e-4)
    assert torch.allclose(torch.tensor(found[0].classes["dog"]["mean"]), dogs.mean(0), atol=1e-4)
    assert torch.allclose(torch.tensor(found[0].classes["dog"]["std"]), dogs.std(0, unbiased=False), atol=1e-4)
    assert found[0].channels == (0, 2, 4, 6, 9, 11, 13, 15)


def test_a_net_without_gates_has_no_excitations(pictures):
    with pytest.raises(UserError, match="se_resnet20_cifar"):
        excitations(scorer_of("resnet20_cifar"), [pictures], [0] * 12, {"a": 0})
