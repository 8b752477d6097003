"""Pictures and data sets as people hold them: all give the pixels of the file; what is no picture is told what is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from reslearn.data.anything import as_dataset, as_image, as_images
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, pixels):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.fromarray(np.roll(pixels, i, axis=0)).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_every_way_to_hold_a_picture_gives_its_pixels(folder, pixels):
    path = folder / "ant" / "0.png"
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    for held in (path, str(path), Image.open(path), pixels, tensor, torch.from_numpy(pixels)):
        assert np.array_equal(as_image(held), pixels)
    for held, span in (
        (pixels / 255, (0, 1)),
        ((pixels / 255).astype(np.float32), (0, 1)),
        (tensor / 127.5 - 1, (-1, 1)),
        (pixels.astype(np.float64), (0, 255)),
        (pixels.astype(np.uint16) * 257, (0, 65535)),
    ):
        assert np.array_equal(as_image(held, span), pixels)


def test_a_pil_image_is_turned_as_its_exif_says_and_loses_its_alpha(pixels, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    turned = Image.open(tmp_path / "turned.png")
    assert np.array_equal(as_image(turned), as_image(tmp_path / "turned.png"))
    assert as_image(turned).shape == (9, 6, 3)
    assert np.array_equal(as_image(Image.fromarray(pixels).convert("RGBA")), pixels)
    grey = Image.fromarray(pixels[..., 0])
    assert np.array_equal(as_image(grey), np.repeat(pixels[..., :1], 3, axis=2))


@pytest.mark.parametrize(
    ("held", "span", "words"),
    [
        (np.zeros((4, 4, 3)), None, r"value_range=\(0, 1\)"),
        (torch.zeros(3, 4, 4), None, r"value_range=\(0, 1\)"),
        (np.full((4, 4, 3), 3.0), (0, 1), "runs from 3 to 3, outside"),
        (np.full((4, 4, 3), np.nan), (0, 1), "outside"),
        (np.zeros((4, 4, 3)), (1, 0), "must be .least, most."),
        (np.zeros((4, 4), np.uint8), None, "RGB uint8 array"),
        (np.zeros((4, 4, 4), np.uint8), None, "RGB uint8 array"),
        (Image.new("I;16", (4, 4)), None, "more than 8 bits"),
        (b"bytes", None, "found bytes"),
        (None, None, "found NoneType"),
    ],
)
def test_what_is_no_picture_is_told_what_is(held, span, words):
    with pytest.raises(UserError, match=words):
        as_image(held, span)


def test_one_picture_or_many(pixels):
    many = np.stack([pixels, pixels])
    assert len(as_images(many)) == 2 and len(as_images(pixels)) == 1 and len(as_images("a.png")) == 1
    assert len(as_images(torch.zeros(5, 3, 4, 4))) == 5 and len(as_images(p for p in ["a", "b"])) == 2
    with pytest.raises(UserError, match="found int"):
        as_images(7)


class Items(Dataset):
    """What torch calls a map-style data set."""

    def __init__(self, folder, classes=None, names=False):
        self.data, self.names = open_data(folder), names
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        image, label = self.data.read(i)
        return Image.fromarray(image), self.data.classes[label] if self.names else label


def test_a_torch_data_set_is_the_folder_it_reads(folder):
    known = open_data(folder)
    for data, classes in (
        (Items(folder), ("0", "1")),
        (Items(folder, ["ant", "bee"]), ("ant", "bee")),
        (Items(folder, names=True), ("ant", "bee")),
        ([Items(folder)[i] for i in range(6)], ("0", "1")),
        ((np.stack([known[i][0] for i in range(6)]), known.labels), ("0", "1")),
        (TensorDataset(torch.stack([torch.from_numpy(known[i][0]).permute(2, 0, 1) for i in range(6)]),
                       torch.from_numpy(known.labels)), ("0", "1")),
    ):  # fmt: skip
        opened = as_dataset(data)
        assert len(opened) == 6 and opened.classes == classes and opened.path is None
        assert np.array_equal(opened.labels, known.labels)
        assert all(np.array_equal(opened[i][0], known[i][0]) for i in range(6))
    first, other = as_dataset(Items(folder)).fingerprint(), as_dataset([Items(folder)[0]] * 6).fingerprint()
    assert first == as_dataset(Items(folder)).fingerprint() != other
    assert np.array_equal(as_dataset(folder)[0][0], known[0][0]) and as_dataset(known) is known


class Stream(IterableDataset):
    def __iter__(self):
        return iter([])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Stream(), "has no length"),
        (7, "found int"),
        ([], "empty list"),
        ([1, 2], "an item is .picture, label."),
        ([("a.png", 1.5)], "whole numbers from 0, or names"),
        ([("a.png", -1)], "numbers from 0"),
        ((np.zeros((2, 4, 4, 3), np.uint8), [0]), "2 pictures and 1 labels"),
        ({"a": 1}, "found dict"),
    ],
)
def test_what_is_no_data_set_is_told_what_is(data, words):
    with pytest.raises(UserError, match=words):
        as_dataset(data)


def test_a_picture_that_cannot_be_read_is_named_by_its_number(folder):
    data = as_dataset([(np.zeros((4, 4, 3)), 0)])
    with pytest.raises(UserError, match=r"item 0 of the data set: .*value_range"):
        data[0]
    assert as_dataset([(np.ones((4, 4, 3)), 0)], (0, 1))[0][0].max() == 255


def test_a_data_set_is_a_sequence(folder):
    data = open_data(folder)
    assert data[-1][1] == 1 and len(list(data)) == 6
    with pytest.raises(IndexError):
        data[6]
    assert len(next(iter(DataLoader(data, batch_size=6)))[1]) == 6
    assert "\n" not in repr(data) and "6 pictures, 2 classes: ant, bee" in repr(data)
