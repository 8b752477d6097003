"""timm reads what `push --to-folder` wrote, as it is, for one network of each kind that it has.

In an environment of its own (docs/en/guide/weights.md): pytest -m peers
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from reslearn.bundle.file import load, save
from reslearn.bundle.header import Bundle, Member
from reslearn.data.preprocess import apply
from reslearn.jobs.push import push_model
from reslearn.nets.build import create_model
from reslearn.spec.architectures import from_timm
from reslearn.spec.preprocess import Preprocess

pytestmark = pytest.mark.peers
KINDS = [
    ("resnet18", {"in_channels": 1}),
    ("resnet18", {"stage_blocks": (1, 1, 1, 1)}),
    ("resnet34", {}),
    ("resnet50", {"output_stride": 16}),
    ("resnet26", {}),
    ("resnet50c", {}),
    ("resnext50_32x4d", {}),
    ("wide_resnet50_2", {}),
    ("seresnet18", {}),
    ("seresnet50", {}),
    ("seresnext50_32x4d", {}),
    ("resnetv2_18", {}),
    ("resnetv2_50", {}),
]


@pytest.fixture(scope="module")
def timm():
    """timm; beside a torch for a CPU, torchvision's own operators are declared before it is imported."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    with contextlib.suppress(RuntimeError):
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    package = pytest.importorskip("timm", reason="needs timm and torchvision: docs/en/guide/weights.md says how")
    yield package
    del library  # which takes its operators along


@pytest.mark.parametrize(("name", "changes"), KINDS, ids=lambda v: v if isinstance(v, str) else "")
def test_timm_loads_what_was_pushed(timm, tmp_path, name, changes):
    torch.manual_seed(0)
    spec = replace(from_timm(name), num_classes=5, **changes)
    net = create_model(spec).eval()
    for key, tensor in net.state_dict().items():
        if key.endswith("running_var"):
            tensor.uniform_(0.8, 1.2)
        elif tensor.dim() == 1 and tensor.is_floating_point():
            tensor.add_(torch.randn_like(tensor) * 0.1)
    prepare = Preprocess(64, 73, "crop", (0.5,) * 3, (0.25,) * 3, interpolation="bicubic")
    bundle = Bundle((Member(spec),), prepare, classes=("a", "b", "c", "d", "e"), temperature=2.0)
    sealed = save(tmp_path / "m.safetensors", [net], bundle)
    value = push_model(tmp_path / "m.safetensors", folder=tmp_path / "r")
    assert value.layout == "timm" and value.architecture == name

    theirs = timm.create_model(f"local-dir:{tmp_path / 'r'}", pretrained=True).eval()
    x = torch.randn(2, spec.in_channels, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(theirs(x), net(x), rtol=1e-5, atol=1e-5)
    told = timm.data.resolve_data_config({}, model=theirs)
    assert tuple(told["input_size"][1:]) == (64, 64) and told["interpolation"] == "bicubic"
    assert tuple(told["mean"]) == prepare.mean and tuple(told["std"]) == prepare.std
    assert theirs.pretrained_cfg["label_names"] == list(bundle.classes)

    again = load(tmp_path / "r")
    assert replace(again.bundle, sha256="") == replace(sealed, sha256="")
    with torch.no_grad():
        assert torch.equal(again.net(x), load(tmp_path / "m.safetensors").net(x))


def test_timm_prepares_pictures_as_we_do(timm, tmp_path):
    from PIL import Image

    spec = replace(from_timm("resnet18"), num_classes=2)
    prepare = Preprocess(64, 73, "crop", (0.0,) * 3, (1.0,) * 3, interpolation="bicubic")
    save(tmp_path / "m.safetensors", [create_model(spec)], Bundle((Member(spec),), prepare))
    push_model(tmp_path / "m.safetensors", folder=tmp_path / "r")
    theirs = timm.create_model(f"local-dir:{tmp_path / 'r'}", pretrained=True)
    transform = timm.data.create_transform(**timm.data.resolve_data_config({}, model=theirs))
    draws = np.random.default_rng(0)
    coarse = Image.fromarray(draws.integers(0, 256, (12, 15, 3), dtype=np.uint8))
    picture = np.asarray(coarse.resize((250, 200), Image.Resampling.BICUBIC))
    prepared = (transform(Image.fromarray(picture)) * 255).numpy().transpose(1, 2, 0)
    assert np.abs(prepared - apply(picture, prepare)).mean() < 0.05
