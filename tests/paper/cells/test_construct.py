"""P1's constructed solution: the same function from a deeper net, which can still learn."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from reslearn.nets.build import create_model
from reslearn.paper.cells.construct import construct, from_shallow
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError


@pytest.fixture
def shallow():
    torch.manual_seed(0)
    net = create_model("resnet20_cifar")
    for _ in range(3):  # running statistics of their own
        net(torch.randn(8, 3, 16, 16))
    return net


def test_the_deeper_net_computes_the_same(shallow):
    deep = from_shallow(get_spec("resnet56_cifar"), shallow)
    images = torch.randn(6, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(deep.eval()(images), shallow.eval()(images))
        assert torch.allclose(deep.train()(images), shallow.train()(images), atol=1e-5)


def test_the_appended_blocks_can_learn(shallow):
    deep = from_shallow(get_spec("resnet32_cifar"), shallow).train()
    F.cross_entropy(deep(torch.randn(6, 3, 16, 16)), torch.arange(6)).backward()
    assert float(deep.get_submodule("stages.1.4.norm2").weight.grad.abs().max()) > 0


@pytest.mark.parametrize("name", ["plain56_cifar", "preact_resnet110_cifar", "resnet18_w64_cifar", "resnet164_cifar"])
def test_nets_that_do_not_fit_are_refused(shallow, name):
    with pytest.raises(UserError, match="cannot be built"):
        construct(create_model(name), shallow)


def test_a_shallower_net_is_refused(shallow):
    with pytest.raises(UserError, match="more blocks"):
        construct(create_model("resnet20_cifar", stage_blocks=(3, 2, 3)), shallow)
