"""Each operation of RandAugment and TrivialAugment against Pillow, which nobody here wrote."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from reslearn.data.augment.policies import BINS, OPERATIONS, UNSIGNED, magnitude, policy_batch
from reslearn.spec.recipe import Augment

SIZE = (37, 50)


def pictures(n=6):
    rng = np.random.default_rng(0)
    smooth = rng.normal(size=(n, 3, 5, 6)).cumsum(2).cumsum(3)
    big = torch.nn.functional.interpolate(torch.from_numpy(smooth), size=SIZE, mode="bilinear").numpy()
    big = (big - big.min()) / (big.max() - big.min()) * 200 + 20 + rng.normal(size=big.shape) * 3
    return torch.from_numpy(big.clip(0, 255).astype(np.uint8))


def as_pillow(image):
    return Image.fromarray(np.ascontiguousarray(image.permute(1, 2, 0).numpy()))


def warp(image, matrix):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


PILLOW = {
    "identity": lambda im, v: im,
    "shear_x": lambda im, v: warp(im, (1, v, 0, 0, 1, 0)),
    "shear_y": lambda im, v: warp(im, (1, 0, 0, v, 1, 0)),
    "translate_x": lambda im, v: warp(im, (1, 0, v, 0, 1, 0)),
    "translate_y": lambda im, v: warp(im, (1, 0, 0, 0, 1, v)),
    "rotate": lambda im, v: im.rotate(v),
    "brightness": lambda im, v: ImageEnhance.Brightness(im).enhance(1 + v),
    "colour": lambda im, v: ImageEnhance.Color(im).enhance(1 + v),
    "contrast": lambda im, v: ImageEnhance.Contrast(im).enhance(1 + v),
    "sharpness": lambda im, v: ImageEnhance.Sharpness(im).enhance(1 + v),
    "posterize": lambda im, v: ImageOps.posterize(im, int(v)),
    "solarize": lambda im, v: ImageOps.solarize(im, v),
    "autocontrast": lambda im, v: ImageOps.autocontrast(im),
    "equalize": lambda im, v: ImageOps.equalize(im),
}


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_equals_pillow(name, wide):
    images = pictures()
    bins = np.array([0, 5, 9, 17, 24, BINS - 1])
    amounts = magnitude(name, bins, wide, SIZE[1])
    if name not in UNSIGNED:
        amounts = amounts * np.array([1, -1, 1, -1, 1, -1])
    ours = OPERATIONS[name](images, torch.from_numpy(amounts.astype(np.float32)).view(-1, 1, 1, 1))
    assert ours.dtype == torch.uint8 and ours.shape == images.shape
    for before, after, v in zip(images, ours, amounts, strict=True):
        theirs = np.asarray(PILLOW[name](as_pillow(before), float(v))).astype(int)
        difference = np.abs(after.permute(1, 2, 0).numpy().astype(int) - theirs)
        if name == "rotate":  # a pixel centre on a cell's edge may fall either way
            assert (difference > 0).mean() < 0.005
        else:
            assert difference.max() <= (1 if name in {"brightness", "colour", "contrast", "sharpness"} else 0)


def test_every_operation_is_drawn_and_depends_on_the_position_alone():
    images, positions = pictures(1).expand(400, -1, -1, -1), np.arange(1000, 1400)
    augment = Augment(policy="trivial")
    whole = policy_batch(images, positions, augment=augment, seed=3)
    part = policy_batch(images[:7], positions[50:57], augment=augment, seed=3)
    assert torch.equal(whole[50:57], part)
    assert len({row.numpy().tobytes() for row in whole}) > 200
    assert not torch.equal(whole, policy_batch(images, positions, augment=augment, seed=4))
