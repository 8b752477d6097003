"""Augmentation of batches: every draw is a function of the position, and each operation does what its source says."""

import numpy as np
import pytest
import torch

from reslearn.data.augment.augment import augment_batch
from reslearn.data.augment.colour import EIGENVALUES, EIGENVECTORS, colour_batch, pca_shift
from reslearn.data.augment.mixing import erase, mix
from reslearn.spec.errors import UserError
from reslearn.spec.recipe import Augment

RNG = np.random.default_rng(0)


def batch(n=64, size=12):
    return torch.from_numpy(RNG.integers(0, 256, (n, 3, size, size), dtype=np.uint8))


@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_pad_crop_draws_every_offset_and_equals_numpys_padding(border):
    pad, size, n = 4, 12, 4000
    image = batch(1, size)
    out = augment_batch(
        image.expand(n, -1, -1, -1), np.arange(n), augment=Augment(crop="pad", pad=pad, border=border), seed=1
    )
    mode = {"zero": "constant", "reflect": "reflect"}[border]
    padded = np.pad(image[0].numpy(), ((0, 0), (pad, pad), (pad, pad)), mode=mode)
    windows = {
        padded[:, y : y + size, x : x + size].tobytes(): (y, x) for y in range(2 * pad + 1) for x in range(2 * pad + 1)
    }
    seen = {windows[crop.numpy().tobytes()] for crop in out}  # KeyError: not a crop of the padded picture
    assert len(seen) == (2 * pad + 1) ** 2  # 81: the last offset is drawn too


def test_random_flip_mirrors_half_and_follows_the_position():
    images = batch(1).expand(1000, -1, -1, -1)
    out = augment_batch(images, np.arange(1000), augment=Augment(flip="random"), seed=5)
    flipped = np.array([torch.equal(o, images[0].flip(2)) for o in out])
    kept = np.array([torch.equal(o, images[0]) for o in out])
    assert (flipped ^ kept).all() and 440 < flipped.sum() < 560
    again = augment_batch(images[:10], np.arange(500, 510), augment=Augment(flip="random"), seed=5)
    assert torch.equal(again, out[500:510])


def test_alternating_flip_turns_every_sample_over_each_epoch():
    images, samples = batch(200), np.arange(200)

    def flipped(epoch):
        out = augment_batch(
            images,
            samples + 200 * epoch,
            augment=Augment(flip="alternating"),
            seed=0,
            samples=samples,
            epochs=np.full(200, epoch),
        )
        return np.array([torch.equal(o, i.flip(2)) for o, i in zip(out, images, strict=True)])

    first, second, third = flipped(0), flipped(1), flipped(2)
    assert (first ^ second).all() and (first == third).all() and 60 < first.sum() < 140


@pytest.mark.parametrize(("side", "pad", "share", "pixels"), [(32, 0, 1 / 16, 2), (48, 1, 1 / 16, 3), (24, 4, 0.1, 4)])
def test_a_share_pads_with_the_input_s_side(side, pad, share, pixels):
    images, positions = torch.arange(3 * side * side).view(1, 3, side, side) % 251, np.arange(60)
    images = images.to(torch.uint8).expand(60, -1, -1, -1)
    by_share, by_pixels = (
        augment_batch(images, positions, augment=Augment(crop="pad", border="reflect", **how), seed=3)
        for how in ({"pad": pad, "pad_share": share}, {"pad": pixels})
    )
    assert torch.equal(by_share, by_pixels) and not torch.equal(by_share, images)


def test_pad_crop_and_flip_in_one_gather_is_crop_then_flip():
    images, positions = batch(50), np.arange(50)
    both = augment_batch(images, positions, augment=Augment(crop="pad", flip="random"), seed=2)
    crop = augment_batch(images, positions, augment=Augment(crop="pad"), seed=2)
    flip = augment_batch(crop, positions, augment=Augment(flip="random"), seed=2)
    assert torch.equal(both, flip)


def test_memory_format_does_not_change_the_result():
    images = batch(20)
    augment = Augment(crop="pad", flip="random", jitter=0.4, pca=0.1, policy="rand")
    other = images.contiguous(memory_format=torch.channels_last)
    a, b = (augment_batch(x, np.arange(20), augment=augment, seed=0) for x in (images, other))
    assert torch.equal(a, b)


def test_pca_noise_has_the_scale_of_pixels_in_0_to_1():
    shift = pca_shift(np.arange(200_000), 0.1, seed=0)
    covariance = np.cov(shift.T)
    basis = np.asarray(EIGENVECTORS)
    expected = basis @ np.diag((0.1 * np.asarray(EIGENVALUES)) ** 2) @ basis.T
    assert np.allclose(covariance, expected, rtol=0.03, atol=1e-8)
    along = shift @ basis[:, 0]
    assert 5.4 < along.std() * 255 < 5.7  # grey levels along the first component: papers.md 5.2, trap 15
    grey = torch.full((1, 3, 4, 4), 128, dtype=torch.uint8).expand(500, -1, -1, -1)
    out = colour_batch(grey, np.arange(500), augment=Augment(pca=0.1), seed=0).float() - 128
    assert 2 < out.std() < 4 and (out.amax((2, 3)) == out.amin((2, 3))).all()  # one shift per picture


def test_jitter_stays_within_its_factors_and_leaves_grey_grey():
    grey = torch.full((300, 3, 4, 4), 100, dtype=torch.uint8)
    out = colour_batch(grey, np.arange(300), augment=Augment(jitter=0.4), seed=0).float()
    assert out.min() >= 59 and out.max() <= 141 and out[:, 0, 0, 0].std() > 15
    assert (out == out[:, :1]).all()


def test_mixup_pairs_neighbours_and_shares_one_lambda():
    x = torch.randn(64, 3, 6, 6)
    positions = np.arange(128, 192)
    mixed, share = mix(x, positions, augment=Augment(mixup=0.8), seed=0)
    assert torch.equal(share[0::2], share[1::2]) and share.unique().numel() == 32
    for p in range(64):
        expected = share[p] * x[p] + (1 - share[p]) * x[p ^ 1]
        assert torch.allclose(mixed[p], expected, atol=1e-5)
    other, _ = mix(x[10:20], positions[10:20], augment=Augment(mixup=0.8), seed=0)
    assert torch.equal(other, mixed[10:20])


def test_mixup_lambda_follows_its_beta_distribution():
    from scipy.stats import beta, kstest

    x = torch.zeros(4000, 3, 1, 1)
    _, share = mix(x, np.arange(4000), augment=Augment(mixup=0.4), seed=0)
    assert kstest(share[0::2].numpy(), beta(0.4, 0.4).cdf).pvalue > 0.01


def test_cutmix_share_counts_the_pixels_that_stayed():
    x = torch.arange(64).float().view(64, 1, 1, 1).expand(64, 3, 16, 16)
    mixed, share = mix(x.contiguous(), np.arange(64), augment=Augment(cutmix=1.0), seed=3)
    for p in range(64):
        own, foreign = (mixed[p] == p).float().mean(), (mixed[p] == (p ^ 1)).float().mean()
        assert torch.isclose(own, share[p]) and torch.isclose(own + foreign, torch.tensor(1.0))
    assert share.std() > 0.15


def test_both_mixes_draw_one_per_pair():
    x = torch.arange(400).float().view(400, 1, 1, 1).expand(400, 3, 8, 8).contiguous()
    mixed, _ = mix(x, np.arange(400), augment=Augment(mixup=1.0, cutmix=1.0), seed=0)
    whole = np.array([len(np.unique(m.numpy())) == 1 for m in mixed])
    assert 120 < whole.sum() < 300 and (whole[0::2] == whole[1::2]).all()


def test_erasing_blanks_a_box_of_the_published_size():
    x = torch.ones(500, 3, 32, 32)
    out = erase(x, np.arange(500), probability=0.5, seed=0)
    share = 1 - out.mean((1, 2, 3))
    hit = share > 0
    assert 200 < hit.sum() < 300
    assert share[hit].min() > 0.01 and share[hit].max() < 0.36
    inside = out[hit][0, 0] == 0
    rows, columns = inside.any(1).nonzero().flatten(), inside.any(0).nonzero().flatten()
    assert inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"crop": "centre"},
        {"flip": "yes"},
        {"erase": 2.0},
        {"repeats": 0},
        {"area": (0.5, 0.1)},
        {"policy_magnitude": 31},
    ],
)
def test_a_wrong_value_is_one_line(wrong):
    with pytest.raises(UserError) as error:
        Augment(**wrong)
    assert next(iter(wrong)) in str(error.value) and "\n" not in str(error.value)
