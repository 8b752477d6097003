"""Dropping a block: a block that does nothing is not missed, every other comes back whole."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reslearn.interpret.lesion import droppable, lesion_study, without_block
from reslearn.nets.build import create_model
from reslearn.spec.errors import UserError


@pytest.fixture
def images():
    return torch.randn(4, 3, 16, 16)


def test_only_blocks_that_keep_the_shape_are_dropped():
    assert droppable(create_model("resnet20_cifar")) == [f"stages.{s}.{i}" for s in range(3) for i in range(s > 0, 3)]
    assert droppable(create_model("plain20_cifar")) == droppable(create_model("resnet20_cifar"))


def test_a_block_with_f_0_is_not_missed_and_others_are(images):
    net = create_model("resnet20_cifar").eval()
    with torch.no_grad():
        block = net.get_submodule("stages.1.1")
        block.norm2.weight.zero_()
        block.norm2.bias.zero_()
        whole = net(images)
        with without_block(net, "stages.1.1") as hurt:
            assert torch.equal(hurt(images), whole)
        with without_block(net, "stages.1.2") as hurt:
            assert not torch.allclose(hurt(images), whole)
        assert torch.equal(net(images), whole)


def test_a_plain_block_passes_its_input_on(images):
    net = create_model("plain20_cifar", stage_blocks=(2, 1, 1)).eval()
    shorter = create_model("plain20_cifar", stage_blocks=(1, 1, 1)).eval()
    kept = {k: v for k, v in net.state_dict().items() if not k.startswith("stages.0.1.")}
    shorter.load_state_dict(kept)
    with torch.no_grad(), without_block(net, "stages.0.1"):
        assert torch.equal(net(images), shorter(images))


def test_a_preactivation_block_leaves_no_relu_behind(images):
    net = create_model("preact_resnet110_cifar", stage_blocks=(2, 1, 1)).eval()
    shorter = create_model("preact_resnet110_cifar", stage_blocks=(1, 1, 1)).eval()
    shorter.load_state_dict({k: v for k, v in net.state_dict().items() if not k.startswith("stages.0.1.")})
    with torch.no_grad(), without_block(net, "stages.0.1"):
        assert torch.equal(net(images), shorter(images))


def test_the_study_asks_once_per_block_and_once_whole():
    net, asked = create_model("resnet20_cifar"), []

    def error(hurt: nn.Module) -> float:
        asked.append(sum(type(m).__name__ == "Dropped" for m in hurt.modules()))
        return float(len(asked))

    found = lesion_study(net, error)
    assert asked == [0] + [1] * 7
    assert found.intact == 1.0 and [e for _, e in found.dropped] == [float(i) for i in range(2, 9)]


def test_what_is_no_block_is_refused():
    with pytest.raises(UserError, match="blocks"):
        droppable(create_model("vgg16_cifar"))
