"""A callable from elsewhere sees each picture at each reading; what it returns is read right or refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from reslearn.data.augment.foreign import Transformed, as_picture
from reslearn.data.memory import ArrayDataset
from reslearn.spec.errors import UserError

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 6, 4, 3), dtype=np.uint8)
DATA = ArrayDataset(PICTURES, np.array([0, 1]), classes=["a", "b"], ids=["x", "y"])


@pytest.mark.parametrize(
    "form", [lambda p: p, np.asarray, lambda p: torch.from_numpy(np.asarray(p).copy()).permute(2, 0, 1)]
)
def test_every_form_of_a_picture_is_the_same_picture(form):
    image, label = Transformed(DATA, lambda p: form(ImageOps.mirror(p))).read(1)
    assert label == 1
    np.testing.assert_array_equal(image, PICTURES[1, :, ::-1])


def test_it_is_called_at_every_reading_and_names_the_untouched_data():
    calls = []
    data = Transformed(DATA, lambda p: calls.append(p.size) or p)
    data.read(0), data.read(0)
    assert calls == [(4, 6), (4, 6)]
    assert (len(data), list(data.ids), data.fingerprint()) == (2, ["x", "y"], DATA.fingerprint())


@pytest.mark.parametrize("result", [torch.rand(3, 6, 4), np.zeros((6, 4), np.uint8), "a.png", None])
def test_anything_else_is_refused(result):
    with pytest.raises(UserError, match="must return a PIL image"):
        as_picture(result)


def test_grey_becomes_rgb():
    assert as_picture(Image.new("L", (4, 6), 7)).shape == (6, 4, 3)
