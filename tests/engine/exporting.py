"""Small networks of every kind that leaves the house, sealed, and what a stranger computes with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from reslearn.bundle.file import load, save
from reslearn.bundle.header import Bundle, Member
from reslearn.data.parts.known import Known
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec, VggSpec
from reslearn.spec.preprocess import Preprocess

BASIC = NetSpec(
    "basic", stem="cifar", stem_channels=8, block="basic", stage_blocks=(1, 1), stage_channels=(8, 16), num_classes=5
)
BOTTLENECK = replace(BASIC, name="bottleneck", block="bottleneck", stage_channels=(16, 32), group_width=8)
NETS = {
    "option-a": replace(BASIC, shortcut="A"),
    "option-b": BASIC,
    "option-c": replace(BASIC, shortcut="C"),
    "plain": replace(BASIC, shortcut="none"),
    "pre-activation": replace(BASIC, activation="pre", projection_norm=False),
    "se": replace(BASIC, se_reduction=4),
    "grouped": replace(BOTTLENECK, groups=2, group_width=4),
    "wide": replace(BASIC, stage_channels=(32, 64), dropout=0.3),
    "dilated": NetSpec("dilated", "imagenet", 8, "basic", (1, 1, 1, 1), (8, 8, 16, 16), num_classes=5, output_stride=8),
    "vgg": VggSpec("vgg", (1, 2), (8, 16), batch_norm=True, head="cifar", num_classes=5),
    "everything": replace(
        BOTTLENECK, activation="pre", projection_norm=False, shortcut="C", groups=2, group_width=4, se_reduction=4
    ),
}
CLASSES = ("ant", "bee", "cat", "dog", "eel")
SQUASH = Preprocess(16, 16)


def network(spec, seed=0):
    """A network whose batch normalisations are those of one that was trained."""
    torch.manual_seed(seed)
    net = create_model(spec)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return net.eval()


def sealed(path, *specs, preprocess=SQUASH, known=None, **fields):
    """The opened sealed file of one network, or of an ensemble."""
    nets = [network(spec, seed) for seed, spec in enumerate(specs)]
    members = [Member(spec, "" if len(specs) == 1 else f"{i}.") for i, spec in enumerate(specs)]
    fields = {"classes": CLASSES, "combine": "logits" if len(specs) == 1 else "softmax", **fields}
    bundle = Bundle(tuple(members), preprocess, **fields)
    save(path, nets, bundle, known=known or Known(np.arange(5), np.arange(7, 9)))
    return load(path)


def photos(count=3, height=37, width=51, seed=0):
    """RGB pictures with edges and noise."""
    draws = np.random.default_rng(seed)
    blocks = draws.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    big = np.kron(blocks, np.ones((1, -(-height // 6), -(-width // 6), 1), np.uint8))[:, :height, :width]
    return list(np.clip(big + draws.integers(-20, 20, big.shape), 0, 255).astype(np.uint8))


def relative_gap(given, wanted):
    """The largest difference, as a share of the largest size."""
    return np.abs(np.asarray(given) - np.asarray(wanted)).max() / np.abs(np.asarray(wanted)).max()
