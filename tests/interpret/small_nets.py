"""Small networks of every kind that there is, with statistics of their own, and pictures for them."""

import torch

from reslearn.data.preprocess import Normalise
from reslearn.engine.scorer import TorchScorer
from reslearn.nets.build import create_model
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.vgg import VggSpec

SMALL = {"stage_blocks": (1, 1), "stage_channels": (8, 16), "stem_channels": 8}
WIDE = {"stage_blocks": (1, 1), "stage_channels": (16, 32), "stem_channels": 8}
VGG = VggSpec("small", (1, 2, 1), (8, 12, 16), batch_norm=True, head="cifar", num_classes=10)
HIDDEN = VggSpec("hidden", (1, 1), (8, 12), head="imagenet", hidden_channels=16, num_classes=10)
KINDS = {
    "post-activation": ("resnet20_cifar", SMALL),
    "pre-activation": ("preact_resnet110_cifar", SMALL),
    "pre-activation bottleneck": ("preact_resnet164_cifar", WIDE | {"group_width": 4}),
    "plain": ("plain20_cifar", SMALL),
    "squeeze-and-excitation": ("se_resnet20_cifar", SMALL | {"se_reduction": 4}),
    "wide": ("wrn16_4_cifar", SMALL),
    "cardinality": ("resnext29_2x64d_cifar", WIDE | {"groups": 2, "group_width": 4}),
    "ImageNet stem": ("resnet18", SMALL | {"num_classes": 10}),
    "VGG": (VGG, {}),
    "VGG with hidden layers": (HIDDEN, {}),
}


def small_net(kind, seed=0):
    """A network of that kind whose batch normalisation has seen something."""
    torch.manual_seed(seed)
    name, changes = KINDS[kind]
    net = create_model(name, **changes)
    with torch.no_grad():
        for _ in range(3):
            net.train()(torch.randn(8, 3, 32, 32))
    return net.eval()


def scorer_of(net):
    return TorchScorer(net, Normalise(default_preprocess(32)))


def pictures(count=3, seed=1):
    """Blots of colour, uint8 (count, 3, 32, 32)."""
    draw = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=draw)
    return (torch.nn.functional.interpolate(coarse, (32, 32), mode="bicubic").clamp(0, 1) * 255).byte()
