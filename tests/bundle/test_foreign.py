"""Models of other packages as MODEL: what they say of themselves must be enough to answer pictures."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from reslearn.bundle.file import load
from reslearn.bundle.foreign import is_foreign
from reslearn.nets.build import create_model
from reslearn.nets.weights import export_state
from reslearn.spec.errors import UserError


@pytest.fixture
def repository(tmp_path):
    """repository(config) -> a folder as timm writes it, and the network in it."""

    def make(config):
        torch.manual_seed(0)
        net = create_model("resnet18", num_classes=3, stage_blocks=(1, 1, 1, 1)).eval()
        state = {name: tensor.contiguous() for name, tensor in export_state(net, "timm").items()}
        safetensors.torch.save_file(state, tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps(config))
        return tmp_path, net

    return make


def test_a_repository_that_says_all_answers(repository, timm_config):
    folder, net = repository(timm_config)
    assert is_foreign(folder)
    loaded, x = load(folder), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.net(x), net(x))
    how = loaded.bundle.preprocess
    assert loaded.bundle.classes == ("a", "b", "c") and (how.size, how.mean, how.std) == (32, (0.5,) * 3, (0.25,) * 3)


@pytest.mark.parametrize(
    ("missing", "words"),
    [("architecture", "which network it is"), ("pretrained_cfg", "how pictures are prepared for it")],
)
def test_what_a_repository_does_not_say_is_asked_for(repository, timm_config, missing, words):
    folder, _ = repository({name: value for name, value in timm_config.items() if name != missing})
    with pytest.raises(UserError, match=f"nothing there says {words}; turn it into a sealed file: reslearn convert"):
        load(folder)
