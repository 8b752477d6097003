"""Layer responses against plain numpy on hooked outputs, and against what BN's parameters promise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from reslearn.data.preprocess import Normalise
from reslearn.engine.scorer import TorchScorer
from reslearn.interpret.responses import layer_responses, response_layers
from reslearn.nets.build import create_model
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess


@pytest.mark.parametrize(("name", "count"), [("plain20_cifar", 19), ("resnet20_cifar", 19), ("resnet56_cifar", 55)])
def test_there_are_6n_plus_1_layers(name, count):
    assert len(response_layers(create_model(name))) == count


def test_bottlenecks_count_their_3x3_alone():
    assert len(response_layers(create_model("resnet164_cifar"))) == 1 + 54


def scorer_of(net):
    return TorchScorer(net, Normalise(default_preprocess(16)))


def test_it_is_the_deviation_over_pictures_positions_and_channels():
    torch.manual_seed(0)
    net = create_model("plain20_cifar", stage_blocks=(1, 1, 1)).eval()
    with torch.no_grad():
        for norm in net.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.uniform_(0.5, 2)
                norm.bias.normal_()
    images = torch.randint(256, (12, 3, 16, 16), dtype=torch.uint8)
    outputs = []
    block = net.get_submodule("stages.1.0")
    block.norm2.register_forward_hook(lambda m, i, o: outputs.append(o.detach().numpy()))
    net.eval()
    found = {r.layer: r for r in layer_responses(scorer_of(net), [images[:5], images[5:]])}
    assert found["stages.1.0.conv2"].std == pytest.approx(np.concatenate(outputs).std(), rel=1e-5)
    assert not block.norm2._forward_hooks or len(block.norm2._forward_hooks) == 1  # ours is gone again


def test_the_closed_form_holds_when_the_statistics_are_exact():
    torch.manual_seed(1)
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1))
    with torch.no_grad():
        for norm in net.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.weight.uniform_(0.5, 2)
                norm.bias.normal_()
                norm.momentum = 1.0  # running statistics become those of this very batch
    images = torch.randint(256, (64, 3, 16, 16), dtype=torch.uint8)
    net.train()
    net(Normalise(default_preprocess(16))(images))
    for response in layer_responses(scorer_of(net), [images]):
        assert response.std == pytest.approx(response.closed_form, rel=2e-3)
    assert net.training


def test_a_preactivation_net_is_refused():
    with pytest.raises(UserError, match="post-activation"):
        response_layers(create_model("preact_resnet110_cifar"))
