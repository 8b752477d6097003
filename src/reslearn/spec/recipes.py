"""Recipes by name. Each says where it comes from and, aloud, where it departs from that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

from .departures import CHANNEL_MEAN
from .errors import UserError, unknown
from .recipe import Augment, Recipe

BUDGETS = ("epochs", "iterations", "images")

PAD_CROP_FLIP = Augment(crop="pad", pad=4, border="zero", flip="random")
SCALE_CROP = Augment(crop="scale", scale=(256, 480), flip="random", pca=0.1)
ASPECT_CROP = Augment(crop="random-resized", flip="random", jitter=0.4, pca=0.1)

PAPER_CIFAR = Recipe(
    name="paper-cifar",
    source="1512.03385 section 4.2",
    iterations=64_000,
    optimizer="caffe-sgd",
    decay="weights",
    milestones=(0.5, 0.75),  # 32k and 48k of 64k
    hold_lr=0.01,  # "until the training error is below 80 % (about 400 iterations)"
    hold_error=80.0,
    hold_depth=110,
    augment=PAD_CROP_FLIP,
    input_mean="pixel",
    bn_batch=64,  # 128 on two GPUs
)

PREACT_CIFAR = replace(
    PAPER_CIFAR,
    name="preact-cifar",
    source="1603.05027 appendix, the paper and not its code: Caffe's momentum, no decay of BN, the mean image",
    hold_error=None,
    hold_steps=400,  # for every depth
    hold_depth=0,
)

RESNEXT_CIFAR = Recipe(
    name="resnext-cifar",
    source="1611.05431 section 5.3 and appendix A",
    departures=(
        "drops at 150 and 225 as the paper says; its code drops at 148 and 223",
        "post-activation blocks and batch 128, as paper and code; by its README the first version's numbers are of "
        "pre-activation blocks and batch 256",
    ),
    epochs=300,
    nesterov=True,
    weight_decay=5e-4,
    milestones=(0.5, 0.75),
    augment=PAD_CROP_FLIP,
    bn_batch=16,  # 128 on eight GPUs
)

WRN_CIFAR = Recipe(
    name="wrn-cifar",
    source="1605.07146 section 3; wide-residual-networks",
    epochs=200,
    nesterov=True,
    weight_decay=5e-4,
    milestones=(0.3, 0.6, 0.8),  # epochs 60, 120, 160
    gamma=0.2,
    augment=replace(PAD_CROP_FLIP, border="reflect"),
)

PAPER_IMAGENET = Recipe(
    name="paper-imagenet",
    source="1512.03385 section 3.4",
    departures=(
        CHANNEL_MEAN,
        "a plateau is 5 epochs without a better validation error; the paper does not say",
    ),
    iterations=600_000,
    batch_size=256,
    optimizer="caffe-sgd",
    decay="weights",
    schedule="plateau",
    patience=5.0,
    augment=SCALE_CROP,
    bn_batch=32,  # 256 on eight GPUs
    bn_statistics="exact",
)

FB_IMAGENET = Recipe(
    name="fb-imagenet",
    source="facebook/fb.resnet.torch",
    departures=("bilinear crops instead of bicubic",),
    epochs=90,
    batch_size=256,
    nesterov=True,
    milestones=(1 / 3, 2 / 3),  # epochs 30 and 60
    augment=ASPECT_CROP,
    bn_batch=32,
)

SE_IMAGENET = Recipe(
    name="se-imagenet",
    source="1709.01507 section 5",
    departures=(
        "weight decay 1e-4, which the paper does not give",
        "pictures divided by each channel's std, too",
        "no rotation and no pixel jitter, which its code's README names",
    ),
    epochs=100,
    batch_size=1024,
    lr=0.6,
    milestones=(0.3, 0.6, 0.9),
    augment=Augment(crop="random-resized", flip="random"),
)

MODERN_IMAGENET = Recipe(
    name="modern-imagenet",
    source="torchvision's V2 recipe (pytorch/vision issue 3995)",
    departures=(
        "moving average at every step, of equal memory, instead of every 32",
        "evaluated at 256/224 of the size",
    ),
    epochs=600,
    batch_size=1024,
    lr=0.5,
    weight_decay=2e-5,
    decay="weights",
    schedule="cosine",
    warmup=5 / 600,
    label_smoothing=0.1,
    ema_decay=0.9998,
    select="ema",
    augment=Augment(
        crop="random-resized", flip="random", policy="trivial", erase=0.1, mixup=0.2, cutmix=1.0, repeats=4
    ),
)

FINETUNE = Recipe(
    name="finetune",
    source="unfreezing and falling rates of 1801.06146, a probe's head of 2202.10054, crops of 1912.11370, one cycle",
    departures=("for networks that start from --weights", "one rate for each stage, not for each layer"),
    epochs=15,
    batch_size=64,
    lr=0.003,
    nesterov=True,
    decay="weights",
    schedule="one-cycle",
    warmup=0.1,
    clip_norm=5.0,
    unfreeze=(0.15, 0.25, 0.35),
    layer_decay=0.7,
    freeze_bn_below=128,
    probe=True,
    augment=Augment(crop="pad", pad=0, pad_share=1 / 16, border="reflect", flip="random"),
    select="best",
    best_by="loss",
)

FOLDER = Recipe(
    name="folder",
    source="one cycle after 1708.07120, crops after 1409.4842, for a folder of pictures of one's own",
    departures=("15 epochs of many pictures; more of few (docs/en/guide/training.md)",),
    epochs=15,
    batch_size=128,
    lr=0.1,
    nesterov=True,
    weight_decay=5e-4,
    decay="weights",
    schedule="one-cycle",
    warmup=0.2,
    label_smoothing=0.1,
    augment=Augment(crop="random-resized", area=(0.35, 1.0), flip="random"),
)

FAST_CIFAR = Recipe(
    name="fast-cifar",
    source="1512.03385 section 4.2 in the time of one cycle (1708.07120)",
    departures=("8 epochs, one cycle", "Nesterov", "label smoothing", "reflected border of 2", "decay 5e-4"),
    epochs=8,
    lr=0.4,
    nesterov=True,
    weight_decay=5e-4,
    decay="weights",
    schedule="one-cycle",
    warmup=0.25,
    label_smoothing=0.1,
    augment=Augment(crop="pad", pad=2, border="reflect", flip="alternating"),
    validate_every=4,
)

SPEED_CIFAR = Recipe(
    name="speed-cifar",
    source="tuned here for `resnet_speed_cifar` on a CPU; ideas of cifar10-airbench (2404.00498)",
    departures=("Muon with kernels of fixed norm, one rate for all", "two thirds of the budget at 24 pixels"),
    epochs=9.7,
    batch_size=512,
    optimizer="muon",
    lr=0.13,
    momentum=0.6,
    fixed_norm=True,
    weight_decay=5e-4,
    decay="weights",
    schedule="linear",
    warmup=0.1,
    label_smoothing=0.2,
    augment=Augment(crop="pad", pad=2, border="reflect", flip="alternating"),
    small_size=24,
    small_part=0.65,
    validate_every=5,
)

DEMO = Recipe(
    name="demo",
    source="tuned here for scikit-learn's digits",
    epochs=20,
    batch_size=64,
    lr=0.2,
    nesterov=True,
    weight_decay=5e-4,
    decay="weights",
    schedule="one-cycle",
    warmup=0.25,
    augment=Augment(crop="pad", pad=1, border="zero", flip="none"),
    image_size=16,
    validate_every=5,
)

RECIPES = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            DEMO,
            FOLDER,
            FAST_CIFAR,
            SPEED_CIFAR,
            PAPER_CIFAR,
            PREACT_CIFAR,
            RESNEXT_CIFAR,
            WRN_CIFAR,
            PAPER_IMAGENET,
            FB_IMAGENET,
            SE_IMAGENET,
            MODERN_IMAGENET,
            FINETUNE,
        )
    }
)


def get_recipe(recipe: str | Recipe) -> Recipe:
    """A recipe by name; a `Recipe` is returned as it is. An unknown name lists the nearest ones."""
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise UserError(f"a recipe is a name that `reslearn recipes` lists, or a Recipe; found {type(recipe).__name__}")
    if recipe not in RECIPES:
        raise unknown("recipe", recipe, RECIPES)
    return RECIPES[recipe]


def changed_recipe(recipe: str | Recipe, **changes: Any) -> Recipe:
    """A recipe by name (or a `Recipe`) with other values in some fields: `reslearn.recipe("finetune", lr=0.01)`.

    A new budget (`epochs`, `iterations` or `images`) takes the place of the recipe's. `augment` takes an `Augment`, or
    a mapping of its fields. Raises `UserError` for an unknown recipe or field (naming the nearest) and for values that
    no training can follow.
    """
    known = get_recipe(recipe)
    changes = {name: value.item() if hasattr(value, "item") else value for name, value in changes.items()}  # NumPy's
    names = [field.name for field in fields(Recipe)]
    for name in changes:
        if name not in names:
            raise unknown("field of a recipe", name, names)
    augment = changes.get("augment")
    if isinstance(augment, Mapping):
        for name in augment:
            if name not in known.augment.__dataclass_fields__:
                raise unknown("field of augment", name, known.augment.__dataclass_fields__)
        changes["augment"] = replace(known.augment, **augment)
    elif "augment" in changes and not isinstance(augment, Augment):
        raise UserError(f"augment is {augment!r}; it must be a reslearn.Augment, or a mapping of its fields")
    if changes.keys() & set(BUDGETS):
        changes = dict.fromkeys(BUDGETS) | changes
    return replace(known, **changes)
