"""P1's input, the pixels' own mean subtracted: numpy's mean, kept beside the record and checked when it comes back."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reslearn.data.memory import ArrayDataset
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess
from reslearn.train.mean_image import load_mean_image, save_mean_image, with_mean_image

EIGHT = default_preprocess(8)
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


@pytest.fixture
def data():
    return ArrayDataset(IMAGES, np.zeros(6, np.int64), classes=("a",), ids=list("uvwxyz"))


@pytest.fixture
def made(tiny_recipe, data):
    return with_mean_image(replace(tiny_recipe, input_mean="pixel"), EIGHT, data, "stop")


def test_it_is_the_mean_of_every_pixel(made):
    preprocess, mean = made
    np.testing.assert_allclose(mean.numpy(), IMAGES.mean(0).transpose(2, 0, 1) / 255, atol=1e-6)
    assert preprocess.mean == (0.0, 0.0, 0.0) and preprocess.std == (1.0, 1.0, 1.0)
    assert preprocess.mean_image == hashlib.sha256(mean.numpy().tobytes()).hexdigest()


def test_pictures_that_cannot_be_read_count_where_they_stop_the_run(tiny_recipe):
    class Gap(ArrayDataset):
        def read(self, i):
            if i == 2:
                raise UserError("picture 2 is damaged")
            return super().read(i)

    data = Gap(IMAGES, np.zeros(6, np.int64), classes=("a",), ids=list("uvwxyz"))
    recipe = replace(tiny_recipe, input_mean="pixel")
    with pytest.raises(UserError, match="picture 2 is damaged"):
        with_mean_image(recipe, EIGHT, data, "stop")
    _, mean = with_mean_image(recipe, EIGHT, data, "skip")
    expected = IMAGES[[0, 1, 3, 4, 5]].mean(0).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(mean.numpy(), expected, atol=1e-6)


def test_another_s_image_comes_with_its_weights_alone(tiny_recipe, data, made):
    preprocess, mean = made
    assert with_mean_image(tiny_recipe, EIGHT, data, "stop") == (EIGHT, None)
    assert with_mean_image(tiny_recipe, EIGHT, data, "stop", mean) == (EIGHT, None), "its preprocessing names none"
    adopted = with_mean_image(tiny_recipe, preprocess, data, "stop", mean)
    assert adopted[0] == preprocess and adopted[1] is mean
    with pytest.raises(UserError, match="names a mean image, which comes with weights alone"):
        with_mean_image(tiny_recipe, preprocess, data, "stop")


def test_what_lies_beside_the_record_is_checked(made, tmp_path):
    preprocess, mean = made
    assert load_mean_image(tmp_path, SimpleNamespace(preprocess=EIGHT)) is None
    record = SimpleNamespace(preprocess=preprocess)
    with pytest.raises(UserError, match=r"mean_image\.safetensors: gone"):
        load_mean_image(tmp_path, record)
    save_mean_image(tmp_path, mean)
    assert torch.equal(load_mean_image(tmp_path, record), mean)
    save_mean_image(tmp_path, mean + 1e-3)
    with pytest.raises(UserError, match="altered since the run began"):
        load_mean_image(tmp_path, record)
