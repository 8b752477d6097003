"""The example runs as its docstring says, and gradients reach the backbone's first layer."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import torch

import reslearn

SCRIPT = Path(__file__).parents[2] / "examples" / "feature_pyramid.py"


def test_the_script_prints_a_map_per_stage(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["feature_pyramid.py", "resnet18", "--output-stride", "16"])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        "stride  4:   64 channels of the backbone -> (1, 128, 56, 56)",
        "stride  8:  128 channels of the backbone -> (1, 128, 28, 28)",
        "stride 16:  256 channels of the backbone -> (1, 128, 14, 14)",
        "stride 16:  512 channels of the backbone -> (1, 128, 14, 14)",
    ]


def test_the_pyramid_learns_through_every_scale():
    pyramid_class = runpy.run_path(str(SCRIPT))["FeaturePyramid"]
    torch.manual_seed(0)
    pyramid = pyramid_class(reslearn.create_backbone("resnet20_cifar", stage_blocks=(1, 1, 1)), width=8)
    maps = pyramid(torch.randn(2, 3, 16, 16))
    assert [m.shape[-1] for m in maps] == [16, 8, 4]
    maps[0].mean().backward()  # the shallowest map alone hears of all deeper stages
    for name in ("stem.conv.weight", "stages.2.0.conv2.weight"):
        assert dict(pyramid.backbone.net.named_parameters())[name].grad.abs().sum() > 0
