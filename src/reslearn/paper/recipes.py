"""How each paper trained: the named recipes of `spec.recipes`, and what single tables and runs change in them.

A paper's run watches its test pictures, so nothing may be decided on validation: P1's plateau rule becomes P2's steps.
"""

from __future__ import annotations

from dataclasses import replace

from ..spec.preprocess import Preprocess, default_preprocess
from ..spec.recipes import get_recipe

# fb.resnet.torch's statistics of CIFAR, in 0..1; also P5's.
CIFAR_MEAN = (125.3 / 255, 123.0 / 255, 113.9 / 255)
CIFAR_STD = (63.0 / 255, 62.1 / 255, 66.7 / 255)

P1_CIFAR = get_recipe("paper-cifar")
P2_CIFAR = get_recipe("preact-cifar")
P2_CIFAR_64 = replace(
    P2_CIFAR,
    name="preact-cifar-b64",
    source="resnet-1k-layers README: 200 epochs, fb.resnet.torch's drops",
    iterations=None,
    epochs=200,
    milestones=(81 / 200, 122 / 200),
    batch_size=64,
)
P3_CIFAR = get_recipe("resnext-cifar")
P5_CIFAR = get_recipe("wrn-cifar")
P1_IMAGENET = replace(
    get_recipe("paper-imagenet"),
    name="paper-imagenet-steps",
    departures=(
        "x0.1 at 30 and 60 epochs (1603.05027) instead of at plateaus",
        "channel mean and std instead of the per-pixel mean image",
    ),
    schedule="step",
    milestones=(0.25, 0.5),
)
FB_IMAGENET = get_recipe("fb-imagenet")
P2_IMAGENET_ASPECT = replace(
    P1_IMAGENET,
    name="paper-imagenet-aspect",
    source="1603.05027 table 5, scale and aspect",
    augment=FB_IMAGENET.augment,
)
P3_IMAGENET = replace(
    FB_IMAGENET,
    name="resnext-imagenet",
    source="1611.05431 section 4; its code",
    epochs=100,
    milestones=(0.3, 0.6, 0.9),
)
P4_IMAGENET = get_recipe("se-imagenet")
P4_ABLATION = replace(
    P4_IMAGENET,
    name="se-imagenet-ablation",
    source="1709.01507 section 6",
    epochs=270,
    milestones=(125 / 270, 200 / 270, 250 / 270),
    label_smoothing=0.1,
)


def preprocess_for(data: str, size: int) -> Preprocess:
    """How pictures of `data` (cifar10, cifar100, imagenet, svhn) reach a net that reads `size` pixels a side."""
    if data.startswith("cifar"):
        return default_preprocess(size, CIFAR_MEAN, CIFAR_STD)
    return default_preprocess(size)
