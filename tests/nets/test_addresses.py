"""One small network of each layout, through a server on loopback: the same logits as from the file by hand."""

from __future__ import annotations

import hashlib
import io
import json

import pytest
import torch

from reslearn.nets.build import create_model
from reslearn.nets.weights import export_state
from reslearn.spec.catalogue import get_spec

CIFAR = get_spec("resnet20_cifar", stage_blocks=(1, 1, 1))
SHORT = get_spec("resnet18", num_classes=5, stage_blocks=(1, 1, 1, 1))
SPECS = {
    "reslearn": CIFAR,
    "akamaster": CIFAR,
    "kuangliu": get_spec("resnet18_w64_cifar", stage_blocks=(1, 1, 1, 1)),
    "torchvision": SHORT,
    "timm": get_spec("se_resnet18", num_classes=5, stage_blocks=(1, 1, 1, 1), se_min_channels=8),
}


def pickled(state):
    memory = io.BytesIO()
    torch.save(state, memory)
    return memory.getvalue()


def compared(spec, address, path, theirs):
    """Logits by address and from the file are the same, and those of the network that the file was made of."""
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        one, other = (create_model(spec, weights=weights).eval()(x) for weights in (address, path))
        assert torch.equal(one, other)
        torch.testing.assert_close(one, theirs.eval()(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", SPECS)
def test_every_layout_comes_through_a_plain_server(loopback, monkeypatch, tmp_path, layout):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    net = create_model(SPECS[layout])
    content = pickled(export_state(net, layout))
    (tmp_path / "w.pth").write_bytes(content)
    loopback.files["/w.pth"] = content
    address = f"{loopback.url}/w.pth#sha256={hashlib.sha256(content).hexdigest()}"
    compared(SPECS[layout], address, tmp_path / "w.pth", net)


@pytest.mark.parametrize("layout", ["sequential", "notes"])
def test_layouts_that_are_only_read_come_through_a_plain_server(loopback, strangers, monkeypatch, tmp_path, layout):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.manual_seed(0)
    if layout == "notes":
        made = strangers.NotesBackbone((64, 128, 256, 512), (1, 1, 1, 1), ("conv", "bn"))
    else:
        made = torch.nn.Sequential(*list(strangers.VisionResNet((64, 128, 256, 512), (1, 1, 1, 1), 5).children())[:-2])
    content = pickled(made.state_dict())
    (tmp_path / "w.pth").write_bytes(content)
    loopback.files["/w.pth"] = content
    address = f"{loopback.url}/w.pth#sha256={hashlib.sha256(content).hexdigest()}"
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        maps = [create_model(SHORT, weights=w).eval().stage_maps(x)[-1] for w in (address, tmp_path / "w.pth")]
        assert torch.equal(*maps)
        last = made.eval()(x)
        torch.testing.assert_close(maps[0], last[-1] if layout == "notes" else last, rtol=1e-5, atol=1e-5)


def test_transformers_comes_through_the_hub(hub, strangers, tmp_path):
    torch.manual_seed(0)
    net = strangers.HubResNet(8, (16, 32, 64, 128), (1, 1, 1, 1), 3, bottleneck=True)
    config = {
        "model_type": "resnet", "architectures": ["ResNetForImageClassification"], "depths": [1, 1, 1, 1],
        "hidden_sizes": [16, 32, 64, 128], "embedding_size": 8, "layer_type": "bottleneck", "hidden_act": "relu",
        "id2label": {"0": "a", "1": "b", "2": "c"},
    }  # fmt: skip
    files = {"config.json": json.dumps(config).encode(), "pytorch_model.bin": pickled(net.state_dict())}
    hub.repositories["them/net"] = files
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    spec = get_spec("resnet50", num_classes=3, stage_blocks=(1, 1, 1, 1), stem_channels=8,
                    stage_channels=(16, 32, 64, 128), group_width=4)  # fmt: skip
    compared(spec, "hf://them/net", tmp_path, net)
