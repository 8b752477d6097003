"""Equal logits with torchvision and timm, where they are installed: their networks, random weights and statistics."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util

import pytest
import torch

from reslearn.nets.build import create_model
from reslearn.nets.weights import export_state

# (package, its name there and options, ours, changed fields)
PEERS = [
    ("torchvision", "resnet18", {}, "resnet18", {}),
    ("torchvision", "resnet50", {}, "resnet50", {}),
    (
        "torchvision",
        "resnet50",
        {"replace_stride_with_dilation": [False, True, True]},
        "resnet50",
        {"output_stride": 8},
    ),
    ("torchvision", "resnext50_32x4d", {}, "resnext50_32x4d", {}),
    ("torchvision", "wide_resnet50_2", {}, "wide_resnet50_2", {}),
    ("torchvision", "vgg11_bn", {}, "vgg11_bn", {}),
    ("timm", "resnet34", {}, "resnet34", {}),
    ("timm", "resnet50", {"output_stride": 16}, "resnet50", {"output_stride": 16}),
    ("timm", "resnet50c", {}, "resnet50", {"stem": "deep"}),
    ("timm", "seresnet18", {}, "se_resnet18", {"se_min_channels": 8}),
    ("timm", "seresnext50_32x4d", {}, "se_resnext50_32x4d", {}),
    ("timm", "resnetv2_18", {}, "preact_resnet18", {"first_norm": "after_pool"}),
    ("timm", "resnetv2_50", {}, "preact_resnet50", {"first_norm": "after_pool"}),
]


@pytest.fixture(scope="module")
def peer():
    """peer(package, name, options) -> that package's network, or a skip with a message."""
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("needs torchvision and timm beside this torch: pip install torchvision timm")
    library = torch.library.Library("torchvision", "FRAGMENT")
    with contextlib.suppress(RuntimeError):  # beside a CPU build of torch, its own operators are missing
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    models = importlib.import_module("torchvision").models

    def make(package, name, options):
        if package == "torchvision":
            return getattr(models, name)(**options)
        timm = pytest.importorskip("timm", reason="needs timm beside this torch: pip install timm")
        return timm.create_model(name, pretrained=False, **options)

    return make


@pytest.mark.parametrize(("package", "theirs", "options", "ours", "changes"), PEERS)
def test_logits_equal_the_peer_s(peer, tmp_path, package, theirs, options, ours, changes):
    torch.manual_seed(0)
    net = peer(package, theirs, options).eval()
    for name, tensor in net.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.8, 1.2)
        elif tensor.dim() == 1 and tensor.is_floating_point():
            tensor.add_(torch.randn_like(tensor) * 0.1)
    torch.save(net.state_dict(), tmp_path / "w.pth")
    mine = create_model(ours, weights=tmp_path / "w.pth", **changes).eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(mine(x), net(x), rtol=1e-5, atol=1e-5)
    back, state = export_state(mine, package), net.state_dict()
    assert back.keys() == state.keys() and all(torch.equal(back[name], state[name]) for name in state)
