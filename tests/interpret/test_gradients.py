"""Gradient norms against autograd by hand; the net that is probed stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from reslearn.interpret.gradients import gradient_norms
from reslearn.nets.build import create_model


def test_norms_are_autograds_and_the_net_is_untouched():
    torch.manual_seed(0)
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1))
    before = copy.deepcopy(net.state_dict())
    images, labels = torch.randn(8, 3, 16, 16), torch.randint(0, 10, (8,))
    found = {norm.layer: norm for norm in gradient_norms(net, images, labels)}
    assert all(torch.equal(before[key], value) for key, value in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())

    twin = copy.deepcopy(net).train()
    output = []
    twin.get_submodule("stages.1.0.conv2").register_forward_hook(lambda m, i, o: output.append(o))
    loss = F.cross_entropy(twin(images), labels)
    by_weight, by_output = torch.autograd.grad(loss, [twin.get_submodule("stages.1.0.conv2").weight, output[0]])
    assert found["stages.1.0.conv2"].weight == pytest.approx(float(by_weight.norm()), rel=1e-5)
    assert found["stages.1.0.conv2"].signal == pytest.approx(float(by_output.norm()), rel=1e-5)
    assert len(found) == 1 + 6  # option A: no projections
