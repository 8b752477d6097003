"""How each paper trained, as values of `spec.recipe.Recipe`; each says aloud where it departs from its source."""

from __future__ import annotations

from dataclasses import replace

from ..spec.preprocess import Preprocess, default_preprocess
from ..spec.recipe import Augment, Recipe
from ..spec.recipes import get_recipe

# fb.resnet.torch's statistics of CIFAR, in 0..1; also P5's.
CIFAR_MEAN = (125.3 / 255, 123.0 / 255, 113.9 / 255)
CIFAR_STD = (63.0 / 255, 62.1 / 255, 66.7 / 255)

NO_WARMUP = "no iterations at learning rate 0.01 first"
WHOLE_BATCH = "BN over the whole batch, not over each GPU's part of it"

P1_CIFAR = get_recipe("paper-cifar")
P2_CIFAR = replace(
    P1_CIFAR,
    name="preact-cifar",
    source="1603.05027 appendix",
    departures=(NO_WARMUP, "channel mean and std", WHOLE_BATCH),
)
P2_CIFAR_64 = replace(
    P2_CIFAR,
    name="preact-cifar-b64",
    source="resnet-1k-layers README",
    iterations=None,
    epochs=200,
    milestones=(81 / 200, 122 / 200),
    batch_size=64,
)
P3_CIFAR = replace(
    P1_CIFAR,
    name="resnext-cifar",
    source="1611.05431 section 5.3 and appendix A",
    departures=(WHOLE_BATCH,),
    iterations=None,
    epochs=300,
    weight_decay=5e-4,
    decay="all",
)
P5_CIFAR = replace(
    P1_CIFAR,
    name="wrn-cifar",
    source="1605.07146 section 3, wide-residual-networks",
    departures=(),
    iterations=None,
    epochs=200,
    milestones=(0.3, 0.6, 0.8),
    gamma=0.2,
    nesterov=True,
    weight_decay=5e-4,
    decay="all",
    augment=Augment(crop="pad", pad=4, border="reflect", flip="random"),
)

SCALE = Augment(crop="scale", scale=(256, 480), flip="random", pca=0.1)
ASPECT = Augment(crop="random-resized", flip="random", jitter=0.4, pca=0.1)
P1_IMAGENET = Recipe(
    name="paper-imagenet",
    source="1512.03385 section 3.4",
    departures=(
        "x0.1 at 30 and 60 epochs (1603.05027) instead of at plateaus",
        "channel mean and std instead of the per-pixel mean",
        WHOLE_BATCH,
    ),
    iterations=600_000,
    batch_size=256,
    decay="weights",
    milestones=(0.25, 0.5),
    augment=SCALE,
    bn_statistics="exact",
)
P2_IMAGENET_ASPECT = replace(
    P1_IMAGENET, name="paper-imagenet-aspect", source="1603.05027 table 5 (scale and aspect)", augment=ASPECT
)
FB_IMAGENET = Recipe(
    name="fb-imagenet",
    source="fb.resnet.torch",
    departures=(WHOLE_BATCH,),
    epochs=90,
    batch_size=256,
    nesterov=True,
    milestones=(30 / 90, 60 / 90),
    augment=ASPECT,
)
P3_IMAGENET = replace(
    FB_IMAGENET, name="resnext-imagenet", source="1611.05431 section 4", epochs=100, milestones=(0.3, 0.6, 0.9)
)
P4_IMAGENET = Recipe(
    name="se-imagenet",
    source="1709.01507 section 5",
    departures=(WHOLE_BATCH, "weight decay 1e-4 (the paper gives none)", "channel std divided by"),
    epochs=100,
    batch_size=1024,
    lr=0.6,
    milestones=(0.3, 0.6, 0.9),
    augment=Augment(crop="random-resized", flip="random"),
)
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
