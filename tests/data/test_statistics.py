"""Mean and std against numpy over all pixels, the mean image, the contact sheet, sampling, crops."""

import io

import numpy as np
import pytest
from PIL import Image

from reslearn.data.augment.crops import random_resized_box, scale_crop
from reslearn.data.care.preview import contact_sheet
from reslearn.data.loading.sampling import EndlessOrder, class_weights
from reslearn.data.memory import ArrayDataset
from reslearn.data.sources import open_data
from reslearn.data.statistics import mean_image, statistics
from reslearn.runtime.random import uniform
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipe import Augment


def test_mean_and_std_are_those_of_all_training_pixels(folder):
    data = open_data(folder({"train/a": 4, "train/b": 3, "test/a": 2}, size=(20, 30)))
    found = statistics(data)
    pixels = np.concatenate([data.read(int(i))[0].reshape(-1, 3) for i in data.splits["train"]]) / 255
    assert np.allclose(found.mean, pixels.mean(0), atol=1e-6) and np.allclose(found.std, pixels.std(0), atol=1e-6)
    assert found.measured == 7 and found.pictures == 9
    assert found.width == (30, 30, 30) and found.height == (20, 20, 20)
    assert found.classes == {"a": {"train": 4, "test": 2}, "b": {"train": 3, "test": 0}}
    assert statistics(data, workers=2) == found


def test_cifars_published_statistics(shared_data):
    """papers.md 3.6: 125.3, 123.0, 113.9 and 63.0, 62.1, 66.7 over 50,000; within 1.5 % on a tenth of them."""
    found = statistics(open_data(shared_data("cifar10-lossless-mini.tar.gz")))
    assert np.allclose(np.array(found.mean) * 255, [125.3, 123.0, 113.9], rtol=0.015)
    assert np.allclose(np.array(found.std) * 255, [63.0, 62.1, 66.7], rtol=0.015)


def test_the_mean_image_is_the_mean_of_every_pixel():
    images = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), dtype=np.uint8)
    data = ArrayDataset(images, np.arange(9) % 2, classes=["a", "b"], ids=[str(i) for i in range(9)])
    tensor, digest = mean_image(data, default_preprocess(8))
    assert np.allclose(tensor.numpy(), images.mean(0).transpose(2, 0, 1) / 255, atol=1e-6)
    assert mean_image(data, default_preprocess(8))[1] == digest and len(digest) == 64


def test_the_contact_sheet_shows_the_evaluation_view_and_then_training(folder):
    data = open_data(folder({"a": 3, "b": 3}, size=(32, 32), kind="PNG"))
    value = default_preprocess(32)
    sheet = np.asarray(
        Image.open(io.BytesIO(contact_sheet(data, value, Augment(flip="alternating"), rows=4, columns=4)))
    )
    side = 3 * 32 + 4
    assert sheet.shape == (4 * side + 4, 4 * side + 4, 3)

    def cell(row, column):
        return sheet[4 + row * side : (row + 1) * side, 4 + column * side : (column + 1) * side][::3, ::3]

    assert np.array_equal(cell(0, 0), data.read(0)[0]) and np.array_equal(cell(1, 0), data.read(3)[0])
    for row in range(4):  # what training shows is the picture or its mirror image, turned over each epoch
        views = [np.array_equal(cell(row, c), cell(row, 0)) for c in (1, 2, 3)]
        assert views in ([True, False, True], [False, True, False])
        assert all(np.array_equal(cell(row, c), cell(row, 0)[:, ::-1]) for c in (1, 2, 3) if not views[c - 1])


def labels_of(counts):
    return np.repeat(np.arange(len(counts)), counts)


def test_balanced_sampling_shows_every_class_equally_often():
    labels = labels_of([300, 30, 3])
    sequence = EndlessOrder(labels, seed=0, augment=Augment(sampler="balanced"), batch_size=32)
    seen = np.zeros(333, int)
    for epoch in range(6):
        samples = sequence.epoch(epoch)
        assert len(samples) == 333 and np.ptp(np.bincount(labels[samples], minlength=3)) <= 1
        seen += np.bincount(samples, minlength=333)
    assert np.ptp(seen[330:]) <= 6 and seen[:300].max() <= 6 and (seen > 0).mean() > 0.9
    batches = labels[sequence.epoch(1)][:320].reshape(10, 32)
    assert all(len(set(batch)) == 3 for batch in batches)


def test_repeated_augmentation_shows_each_sample_r_times_in_a_batch():
    sequence = EndlessOrder(labels_of([60, 60]), seed=0, augment=Augment(repeats=3), batch_size=24)
    samples = sequence.epoch(0)
    assert len(samples) == 120 and len(set(samples)) == 40
    for batch in samples.reshape(5, 24):
        assert (np.bincount(batch)[np.unique(batch)] == 3).all()
        assert all(batch[p] != batch[p ^ 1] for p in range(24))


def test_class_weights_are_inverse_frequencies_with_mean_one():
    labels = labels_of([80, 20])
    weights = class_weights(labels, 3, "balanced")
    assert weights.tolist() == pytest.approx([0.625, 2.5, 0.0]) and weights[labels].mean() == pytest.approx(1.0)
    assert class_weights(labels, 3, "none") is None


def test_random_resized_boxes_have_the_asked_area_and_ratio():
    augment = Augment(crop="random-resized")
    boxes = np.array([random_resized_box(375, 500, d, augment) for d in uniform(0, "box", np.arange(4000), 40)])
    top, left, h, w = boxes.T
    assert (top >= 0).all() and (left >= 0).all() and (top + h <= 375).all() and (left + w <= 500).all()
    area, ratio = h * w / (375 * 500), w / h
    assert 0.079 < area.min() < 0.1 and area.max() > 0.9 and ratio.min() > 0.74 and ratio.max() < 1.35
    assert (left + w == 500).any() and (top + h == 375).any()  # the last place is drawn too


@pytest.mark.parametrize(("size", "box"), [((10, 1000), (10, 13)), ((1000, 10), (13, 10)), ((50, 50), (50, 50))])
def test_the_fallback_box_is_central_and_within_the_ratios(size, box):
    draws = np.tile([0.999999, 0.5, 0.5, 0.5], 10)
    found = random_resized_box(*size, draws, Augment(area=(1.0, 1.0), ratio=(3 / 4, 4 / 3)))
    assert found[2:] == box
    assert size == box or all(abs(2 * found[k] + box[k] - size[k]) <= 1 for k in (0, 1))


@pytest.mark.parametrize("resize", ["antialias", "aliased"])
def test_the_papers_scale_crop_draws_the_shorter_side(resize):
    """A vertical ramp of x: its slope in the crop tells the scale that was drawn."""
    width, height = 640, 400
    ramp = np.linspace(0, 255, width).astype(np.uint8)[None, :, None].repeat(height, 0).repeat(3, 2)
    augment = Augment(crop="scale", scale=(256, 480), resize=resize)
    sides = []
    for draws in uniform(3, "t", np.arange(200), 3):
        crop = scale_crop(ramp, draws, augment, 224)
        assert crop.shape == (224, 224, 3)
        slope = np.polyfit(np.arange(20, 204), crop[100, 20:204, 0].astype(float), 1)[0]
        sides.append(255 / width / slope * height)
    assert 250 < min(sides) < 275 and 460 < max(sides) < 490 and 350 < np.mean(sides) < 385
