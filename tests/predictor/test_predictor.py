"""`predict` sees pictures as `evaluate` does, names them, and may say `unknown`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from reslearn.bundle.file import Loaded
from reslearn.bundle.header import Bundle, Member
from reslearn.data.sources import open_data
from reslearn.engine.scorer import TorchScorer
from reslearn.measure.views import predict_logits
from reslearn.nets.build import create_model
from reslearn.predictor.given import find_pictures
from reslearn.predictor.predictor import predict
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

CLASSES = ("ant", "bee", "cow")
SPEC = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1,), stage_channels=(4,), num_classes=3
)


def model(size=96, **fields):
    torch.manual_seed(0)
    return Loaded(
        create_model(SPEC).eval(),
        Bundle((Member(SPEC),), default_preprocess(size), **{"classes": CLASSES, **fields}),
        path=None,
    )


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name, shape in {"ant/1.png": (50, 80), "bee/2.png": (120, 100), "cow/3.jpg": (96, 200)}.items():
        (tmp_path / name).parent.mkdir()
        small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(small).resize(shape[::-1]).save(tmp_path / name)
    return tmp_path


def test_predict_and_evaluate_see_the_same(folder):
    """One preprocessing for every path: files, arrays and data sets give equal logits."""
    loaded, data = model(), open_data(folder)
    logits = predict_logits(TorchScorer(loaded.net, loaded.normalise), data, loaded.bundle.preprocess)
    expected = torch.tensor(logits).double().softmax(1).numpy()
    files = predict(loaded, find_pictures([folder]), top=3)
    arrays = predict(loaded, [data.read(i)[0] for i in range(3)], top=3)
    for answers in (files, arrays):
        got = [sorted(answer.predictions, key=lambda a: a.index) for answer in answers]
        np.testing.assert_allclose([[a.probability for a in row] for row in got], expected, atol=1e-6)
    assert [answer.path for answer in files] == [str(folder / n) for n in ("ant/1.png", "bee/2.png", "cow/3.jpg")]
    assert arrays[0].path is None


def test_answers_are_named_and_sorted(folder):
    [one] = predict(model(), folder / "ant/1.png", top=2)
    value = one.to_json()
    assert value.keys() == {"path", "predictions"} and len(value["predictions"]) == 2
    assert value["predictions"][0].keys() == {"label", "index", "probability"}
    best, second = one.predictions
    assert best.probability >= second.probability and best.label == CLASSES[best.index] == one.label


def test_without_class_names_answers_are_indices(folder):
    [one] = predict(model(classes=None), folder / "ant/1.png")
    assert one.label == str(one.predictions[0].index) and len(one.predictions) == 3


def test_batches_do_not_matter(folder):
    paths = find_pictures([folder])
    one, other = (predict(model(), paths, top=3, batch_size=size) for size in (1, 64))
    for a, b in zip(one, other, strict=True):
        assert [x.label for x in a.predictions] == [x.label for x in b.predictions]


def test_temperature_softens_and_threshold_rejects(folder):
    path = folder / "ant/1.png"
    [plain] = predict(model(), path, top=3)
    [soft] = predict(model(temperature=1e6), path, top=3)
    assert soft.predictions[0].probability == pytest.approx(1 / 3, abs=1e-4)
    top = plain.predictions[0]
    [sure] = predict(model(threshold=top.probability - 1e-6), path, top=3)
    [unsure] = predict(model(threshold=top.probability + 1e-6), path, top=3)
    assert sure == plain
    assert unsure.label == "unknown" and unsure.predictions[0].index is None
    assert unsure.predictions[1:] == plain.predictions


@pytest.mark.parametrize("bad", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8), 7])
def test_an_array_must_say_what_it_is(bad):
    with pytest.raises(UserError, match="RGB uint8 array"):
        predict(model(), [bad])


def test_bad_files_are_named(folder, tmp_path):
    (folder / "bad.jpg").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"bad\.jpg"):
        predict(model(), folder / "bad.jpg")
    with pytest.raises(UserError, match=r"nothing\.png"):
        predict(model(), "nothing.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no pictures"):
        find_pictures([tmp_path / "empty"])
    with pytest.raises(UserError, match="top"):
        predict(model(), folder / "ant/1.png", top=0)


def test_what_cannot_be_prepared_is_named(tmp_path):
    """A strip of pixels whose centre crop would take all memory there is."""
    torch.manual_seed(0)
    net, preprocess = create_model(SPEC).eval(), replace(default_preprocess(16), mode="crop", resize=18)
    loaded = Loaded(net, Bundle((Member(SPEC),), preprocess), tmp_path / "m.safetensors")
    Image.new("L", (9_000_000, 1)).save(tmp_path / "strip.png")
    with pytest.raises(UserError, match=r"strip\.png: a picture of 9000000x1 would be enlarged"):
        predict(loaded, tmp_path / "strip.png")


def test_a_folder_holds_what_data_would_read(tmp_path):
    """Not what is hidden, what systems leave, or a run's own pictures; what is no picture is told."""
    for name in (
        "b/1.png",
        "a.png",
        ".ipynb_checkpoints/a.png",
        "__MACOSX/a.png",
        "runs/x/run.json",
        "runs/x/y.png",
        "n.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b'{"spec": 1}')
    told = []
    assert find_pictures([tmp_path], note=told.append) == [tmp_path / "a.png", tmp_path / "b/1.png"]
    assert told == [f"{tmp_path}: 1 file of another kind than pictures, left out: n.txt"]
    with pytest.raises(UserError, match="an address, not a file; download the picture"):
        find_pictures(["https://x.org/a.png"])


def test_a_mean_image_is_subtracted(folder):
    loaded = model(size=8)
    image = torch.full((3, 8, 8), 0.5)
    pre = replace(loaded.bundle.preprocess, mean_image="0" * 64)
    constant = replace(loaded.bundle.preprocess, mean=(0.5, 0.5, 0.5))
    with_image = replace(loaded, bundle=replace(loaded.bundle, preprocess=pre), mean_image=image)
    with_mean = replace(loaded, bundle=replace(loaded.bundle, preprocess=constant))
    one, other = (predict(x, folder / "ant/1.png", top=3)[0].predictions for x in (with_image, with_mean))
    assert [a.probability for a in one] == pytest.approx([a.probability for a in other])


def test_large_pictures_go_through_the_network_a_few_at_a_time(folder):
    loaded, passes = model(size=512), []
    loaded.net.register_forward_hook(lambda _, inputs, __: passes.append(len(inputs[0])))
    answers = predict(loaded, [folder / "ant/1.png", folder / "bee/2.png", folder / "cow/3.jpg"], batch_size=8)
    assert passes == [2, 1]
    assert predict(loaded, folder / "cow/3.jpg")[0].label == answers[2].label
