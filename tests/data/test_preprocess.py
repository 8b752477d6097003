"""Resizing against Pillow, cropping against torchvision's arithmetic, mean and std in every memory format."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from reslearn.data.formats.decode import decode_bytes
from reslearn.data.preprocess import Normalise, apply, centre_crop, resize, to_batch
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import Preprocess, default_preprocess

from .conftest import picture


def test_evaluation_resize_is_pillows_within_a_twentieth_of_a_grey_level(photographs):
    photos = [decode_bytes(raw, name) for name, raw in photographs[::5]]
    means = []
    for photo in photos:
        height, width = photo.shape[:2]
        short = min(height, width)
        h, w = height * 256 // short, width * 256 // short
        theirs = np.asarray(Image.fromarray(photo).resize((w, h), Image.Resampling.BILINEAR)).astype(int)
        means.append(np.abs(resize(photo, h, w) - theirs).mean())
        crop = apply(photo, default_preprocess(224))
        assert crop.shape == (224, 224, 3)
        top, left = round((h - 224) / 2), round((w - 224) / 2)
        assert np.abs(crop - theirs[top : top + 224, left : left + 224]).mean() < 0.08
    assert np.mean(means) < 0.05
    assert max(means) < 0.08  # at a ratio of exactly 5 to 4 many values are ties, which the two round differently


@pytest.mark.parametrize("mode", ["crop", "squash", "pad"])
@pytest.mark.parametrize("side", [224, 160, 64])
def test_bicubic_evaluation_is_pillows_within_a_twentieth_of_a_grey_level(photographs, mode, side):
    value = Preprocess(side, round(side / 0.95) if mode == "crop" else side, mode, interpolation="bicubic")
    means = []
    for raw, name in ((raw, name) for name, raw in photographs[::9]):
        photo = decode_bytes(raw, name)
        height, width = photo.shape[:2]
        ours = apply(photo, value)
        if mode == "squash":
            h, w = side, side
        else:
            ends = value.resize / min(height, width) if mode == "crop" else side / max(height, width)
            h, w = int(height * ends + 1e-6), int(width * ends + 1e-6)
        theirs = np.asarray(Image.fromarray(photo).resize((w, h), Image.Resampling.BICUBIC)).astype(int)
        if mode == "crop":
            theirs = centre_crop(theirs, side)
        if mode == "pad":
            top, left = (side - h) // 2, (side - w) // 2
            ours = ours[top : top + h, left : left + w]
        means.append(np.abs(ours - theirs).mean())
    assert np.mean(means) < 0.05
    assert np.abs(apply(photo, value).astype(int) - apply(photo, replace(value, interpolation="bilinear"))).mean() > 0.3


def test_bilinear_goes_without_saying_in_digests():
    value = Preprocess(32, 36, "crop")
    assert value.hash() == "935c0c48b163" and replace(value, interpolation="bicubic").hash() != value.hash()
    with pytest.raises(UserError, match="interpolation is 'nearest'; valid: 'bilinear', 'bicubic'"):
        Preprocess(32, 36, "crop", interpolation="nearest")
    assert replace(value, interpolation="bicubic").differences(value) == ["interpolation bicubic (bilinear)"]


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (256, 256), (31, 900), (1, 1)])
@pytest.mark.parametrize("mode", ["crop", "squash", "pad"])
def test_every_mode_gives_the_size(size, mode):
    value = Preprocess(size=64, resize=72, mode=mode)
    assert apply(picture(0, size), value).shape == (64, 64, 3)


def test_pad_keeps_the_whole_picture_and_fills_with_the_mean():
    image = np.full((20, 40, 3), 200, np.uint8)
    out = apply(image, Preprocess(size=32, resize=32, mode="pad"))
    assert (out[8:24] == 200).all()
    assert (out[:8] == np.round(np.array([0.485, 0.456, 0.406]) * 255)).all() and (out[24:] == out[0, 0]).all()


def test_squash_at_the_right_size_changes_nothing():
    image = picture(0, (32, 32))
    assert np.array_equal(apply(image, default_preprocess(32)), image)


def test_a_strip_that_would_be_enlarged_beyond_all_bounds_is_refused():
    strip = np.zeros((1, 600_000, 3), np.uint8)  # its shorter side to 256: 154 million pixels wide
    with pytest.raises(UserError, match="600000x1 would be enlarged to 153600000x256"):
        apply(strip, Preprocess(224, 256, "crop"))
    assert apply(strip, Preprocess(8, 8, "squash")).shape == apply(strip, Preprocess(8, 8, "pad")).shape == (8, 8, 3)


def test_centre_crop_rounds_as_torchvision_does():
    image = np.arange(7 * 6).reshape(7, 6, 1).repeat(3, 2).astype(np.uint8)
    assert centre_crop(image, 4)[0, 0, 0] == image[round(1.5), 1, 0]


def test_normalise_is_the_textbook_formula_in_every_memory_format():
    batch = to_batch([picture(s, (16, 16)) for s in range(5)])
    value = default_preprocess(16)
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (value.mean, value.std))
    expected = (batch.double() / 255 - mean) / std
    for x in (batch, batch.contiguous()):
        out = Normalise(value)(x)
        assert out.dtype == torch.float32 and torch.allclose(out.double(), expected, atol=1e-5)
    assert torch.equal(Normalise(value)(batch), Normalise(value)(batch.contiguous()))


def test_normalise_subtracts_a_mean_image():
    batch = to_batch([picture(s, (16, 16)) for s in range(5)])
    mean_image = batch.float().mean(0) / 255
    value = Preprocess(size=16, resize=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), mean_image="ab")
    out = Normalise(value, mean_image)(batch)
    assert out.mean(0).abs().max() < 1e-5
    larger = to_batch([picture(7, (20, 24))])
    colour = mean_image.mean((1, 2), keepdim=True)
    assert torch.allclose(Normalise(value, mean_image)(larger), larger / 255 - colour, atol=1e-6)
    with pytest.raises(UserError, match="mean image"):
        Normalise(value)


def test_the_hash_changes_with_every_field():
    base = Preprocess(size=224, resize=256, mode="crop")
    others = [
        Preprocess(size=224, resize=256, mode="pad"),
        Preprocess(size=224, resize=232, mode="crop"),
        Preprocess(size=224, resize=256, mode="crop", mean=(0.5, 0.5, 0.5)),
        Preprocess(size=224, resize=256, mode="crop", mean_image="ab"),
    ]
    assert len({base.hash(), *(o.hash() for o in others)}) == 5
