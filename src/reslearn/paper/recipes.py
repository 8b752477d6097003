"""How each paper trained: the named recipes of `spec.recipes`, and what single tables and runs change in them.

A paper's run watches its test pictures, so nothing may be decided on validation: P1's plateau rule becomes P2's steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from ..spec.departures import CHANNEL_MEAN
from ..spec.preprocess import Preprocess, default_preprocess
from ..spec.recipe import Augment, Recipe
from ..spec.recipes import get_recipe

# fb.resnet.torch's statistics of CIFAR, in 0..1; also P5's.
CIFAR_MEAN = (125.3 / 255, 123.0 / 255, 113.9 / 255)
CIFAR_STD = (63.0 / 255, 62.1 / 255, 66.7 / 255)

P1_CIFAR = get_recipe("paper-cifar")
P2_CIFAR = get_recipe("preact-cifar")
P2_CIFAR_64 = replace(
    P2_CIFAR,
    name="preact-cifar-b64",
    source="resnet-1k-layers: 200 epochs of batch 64 on two GPUs, fb.resnet.torch's momentum, drops and statistics",
    optimizer="sgd",
    nesterov=True,
    decay="all",
    input_mean="channel",
    iterations=None,
    epochs=200,
    milestones=(81 / 200, 122 / 200),
    batch_size=64,
    bn_batch=32,
)
P3_CIFAR = get_recipe("resnext-cifar")
P4_CIFAR = replace(
    P2_CIFAR,
    name="se-cifar",
    source="1709.01507 section 5.2: the hyper-parameters of 1603.05027, mean and std",
    input_mean="channel",
)
P5_CIFAR = get_recipe("wrn-cifar")
P5_SVHN = replace(
    P5_CIFAR,
    name="wrn-svhn",
    source="1605.07146 section 3: 160 epochs, pictures as they are in 0..1",
    epochs=160,
    lr=0.01,
    milestones=(0.5, 0.75),  # epochs 80 and 120
    gamma=0.1,
    augment=Augment(),
)
STOCHASTIC_DEPTH = replace(
    P5_CIFAR,
    name="stochastic-depth-cifar",
    source="1603.09382 section 4",
    departures=("trains on all 50,000 pictures; the paper holds 5,000 of them out",),
    epochs=500,
    weight_decay=1e-4,
    milestones=(0.5, 0.75),  # epochs 250 and 375
    gamma=0.1,
    augment=P1_CIFAR.augment,
)
P1_IMAGENET = replace(
    get_recipe("paper-imagenet"),
    name="paper-imagenet-steps",
    departures=("x0.1 at 30 and 60 epochs (1603.05027) instead of at plateaus", CHANNEL_MEAN),
    schedule="step",
    milestones=(0.25, 0.5),
)
FB_IMAGENET = get_recipe("fb-imagenet")
P2_IMAGENET_ASPECT = replace(
    P1_IMAGENET,
    name="paper-imagenet-aspect",
    source="1603.05027 table 5, scale and aspect",
    departures=(*P1_IMAGENET.departures, *FB_IMAGENET.departures),
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
P4_FIXED = replace(
    P4_IMAGENET,
    name="se-imagenet-270",
    source="1709.01507 section 6, footnote: 270 epochs, drops at 125, 200 and 250",
    departures=(*P4_IMAGENET.departures, "batch 256 on one machine, which the paper does not give"),
    epochs=270,
    batch_size=256,
    lr=0.1,
    milestones=(125 / 270, 200 / 270, 250 / 270),
    label_smoothing=0.1,
    bn_batch=32,
)
P4_ABLATION = replace(
    P4_FIXED,
    name="se-imagenet-ablation",
    source="1709.01507 section 6: about 300 epochs on one machine, x0.1 at each of three plateaus",
    departures=(*P4_FIXED.departures, "x0.1 at 150, 220 and 270 of 300 epochs instead of at plateaus"),
    epochs=300,
    milestones=(150 / 300, 220 / 300, 270 / 300),
)
VGG_IMAGENET = Recipe(
    name="vgg-imagenet",
    source="1409.1556 section 3.1",
    departures=(
        "x0.1 at 1/4, 1/2 and 3/4 of 74 epochs instead of at plateaus",
        "first weights drawn for this depth instead of taken from a shallower net",
        "pictures divided by each channel's std, too",
    ),
    epochs=74,
    batch_size=256,
    lr=0.01,
    weight_decay=5e-4,
    milestones=(0.25, 0.5, 0.75),
    augment=replace(P1_IMAGENET.augment, scale=(256, 512)),
)

# Recipes that were others when results were first stored under their names: those results are not of this recipe.
REVISIONS: Mapping[str, int] = MappingProxyType({"preact-cifar": 2, "preact-cifar-b64": 2, "se-imagenet-ablation": 2})


def preprocess_for(data: str, size: int) -> Preprocess:
    """How pictures of `data` (cifar10, cifar100, imagenet, svhn) reach a net that reads `size` pixels a side."""
    if data.startswith("cifar"):
        return default_preprocess(size, CIFAR_MEAN, CIFAR_STD)
    if data == "svhn":  # P5: divided by 255, no more
        return default_preprocess(size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return default_preprocess(size)
