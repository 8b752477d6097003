"""The head at every position of a map, as P1 tests at several scales: against one window at a time."""

from __future__ import annotations

import pytest
import torch

from reslearn.nets.build import create_model
from reslearn.nets.layers import norm
from reslearn.nets.net import AnyHead, as_net
from reslearn.nets.resnet import Head
from reslearn.spec.errors import UserError

THIN = {"stem_channels": 4, "stage_channels": (4, 8, 8, 8)}


@pytest.mark.parametrize(
    ("name", "changes", "size"),
    [
        ("resnet20_cifar", {}, 32),
        ("preact_resnet18", THIN, 224),
        ("resnet18", THIN, 224),
        ("vgg11", {"stage_channels": (4, 4, 4, 4, 4)}, 224),
    ],
)
def test_dense_at_the_training_size_is_one_crop(name, changes, size):
    torch.manual_seed(0)
    net = create_model(name, num_classes=3, **changes).eval()
    x = torch.randn(2, 3, size, size)
    with torch.inference_mode():
        torch.testing.assert_close(net.dense(x, size, "logits"), net(x), atol=1e-4, rtol=1e-4)
        dense = net.dense(x, size, "softmax")
        torch.testing.assert_close(dense.softmax(1), net(x).softmax(1), atol=1e-5, rtol=1e-4)
    with pytest.raises(UserError, match=rf"\({size}, {size // 2}\) pixels is smaller than the training size {size}"):
        net.dense(x[..., : size // 2], size, "logits")


def test_any_head_is_applied_window_by_window():
    torch.manual_seed(0)
    head, last = Head(8, 5), torch.randn(2, 8, 9, 11)
    windows = [last[:, :, i : i + 7, j : j + 7] for i in range(3) for j in range(5)]
    expected = torch.stack([head(window) for window in windows], 1)
    for everywhere in (head.everywhere(last, 7), AnyHead.everywhere(head, last, 7)):
        assert everywhere.shape == (2, 15, 5)
        torch.testing.assert_close(everywhere, expected)


@pytest.mark.parametrize("average", ["logits", "softmax"])
def test_positions_are_averaged(average):
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1)).eval()
    x = torch.randn(2, 3, 40, 48)
    with torch.inference_mode():
        last = net.stage_maps(x)[-1]
        windows = [net.head(last[:, :, i : i + 8, j : j + 8]) for i in range(3) for j in range(5)]
        logits = torch.stack(windows)
        wanted = logits.mean(0) if average == "logits" else logits.softmax(2).mean(0).log()
        torch.testing.assert_close(net.dense(x, 32, average), wanted, atol=1e-5, rtol=1e-4)


def test_a_network_of_another_house_has_no_stage_maps():
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1))
    assert as_net(net, "a page") is net
    with pytest.raises(UserError, match="a page needs a network of the catalogue; Linear has no stage maps"):
        as_net(torch.nn.Linear(2, 2), "a page")


def test_batch_normalisation_begins_as_torch_s_own():
    ours, theirs = norm(5), torch.nn.BatchNorm2d(5)
    x = torch.randn(8, 5, 3, 3)
    for _ in range(3):
        assert torch.equal(ours(x), theirs(x))
    assert torch.equal(ours.running_var, theirs.running_var) and torch.equal(ours.eval()(x), theirs.eval()(x))
