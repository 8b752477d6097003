"""`reslearn.save`: a network from somebody's own loop becomes a sealed file that says what it is and has seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import reslearn
from reslearn.bundle.file import load, read_bundle
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import Preprocess

from .sealing import CLASSES, TINY, tiny

EIGHT = Preprocess(8, 8)


@pytest.fixture
def pictures(tmp_path):
    """Four pictures a class and split, as a folder."""
    draw = np.random.default_rng(0)
    for name in CLASSES:
        for part in ("train", "val", "test"):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for i in range(4):
                pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "data" / part / name / f"{i}.png")
    return tmp_path / "data"


def test_a_network_of_ones_own_loop(tmp_path):
    net = tiny()
    optimiser = torch.optim.SGD(net.parameters(), 0.1)
    torch.nn.functional.cross_entropy(net.train()(torch.randn(4, 3, 8, 8)), torch.tensor([0, 1, 2, 0])).backward()
    optimiser.step()
    bundle = reslearn.save(tmp_path / "m", torch.compile(net), preprocess=EIGHT, classes=list(CLASSES))
    loaded = reslearn.load(tmp_path / "m")
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(loaded.net(x), net.eval()(x))
    assert loaded.bundle == bundle and bundle.classes == CLASSES and bundle.members[0].spec == TINY
    assert loaded.known.known_by == "nothing" and bundle.seen.known_by == "nothing"
    picture = np.zeros((20, 30, 3), np.uint8)
    assert reslearn.predict(loaded, picture)[0].label in CLASSES


def test_several_answer_as_one(tmp_path):
    nets = [tiny(0), tiny(1)]
    reslearn.save(tmp_path / "m", nets, preprocess=EIGHT, weights=[1, 3])
    x = torch.randn(2, 3, 8, 8)
    shares = (nets[0](x).softmax(1) + 3 * nets[1](x).softmax(1)) / 4
    torch.testing.assert_close(load(tmp_path / "m").net(x), shares.log())


def test_the_mean_image_is_named_by_its_hash(tmp_path):
    image = torch.rand(3, 8, 8)
    reslearn.save(tmp_path / "m", tiny(), preprocess=EIGHT, mean_image=image)
    loaded = load(tmp_path / "m")
    assert torch.equal(loaded.mean_image, image) and loaded.bundle.preprocess.mean_image is not None


def test_pictures_that_are_given_are_recognised(tmp_path, pictures):
    reslearn.save(
        tmp_path / "m", tiny(), preprocess=EIGHT, classes=CLASSES, train_data=pictures, val_data=str(pictures)
    )
    bundle = read_bundle(tmp_path / "m")
    assert bundle.seen.known_by == "content" and bundle.data["train"] == bundle.data["val"] == 12
    assert 12 <= bundle.seen.trained <= 36 and 12 <= bundle.seen.selected <= 36  # up to three keys a picture
    whole = reslearn.open_data(pictures / "test")
    reslearn.save(tmp_path / "m", tiny(), preprocess=EIGHT, train_data=whole)
    assert read_bundle(tmp_path / "m").data["train"] == 12
    with pytest.raises(UserError, match=r"val_data: .* declares test, train and no val"):
        reslearn.save(tmp_path / "m", tiny(), preprocess=EIGHT, val_data="digits")


@pytest.mark.parametrize(
    ("nets", "options", "message"),
    [
        (torch.nn.Linear(2, 2), {}, "a Linear has no spec"),
        ([], {}, "members is empty"),
        (tiny(), {"preprocess": 8}, "preprocess is 8; give a reslearn.Preprocess"),
        (tiny(), {"classes": "cat"}, "classes is the text 'cat'"),
        (tiny(), {"classes": ["a", "a", "b"]}, "'a' is there twice"),
        (tiny(), {"classes": ["a"]}, "1 class names for a network with 3"),
        ([tiny(), tiny()], {"weights": [1]}, "1 weights for 2 networks"),
        ([tiny(), tiny()], {"combine": "median"}, "combine is 'median'"),
        ([tiny(), tiny(0, replace(TINY, num_classes=2))], {}, "different numbers of classes"),
        (tiny(), {"mean_image": torch.zeros(3, 4, 4)}, r"has shape \(3, 4, 4\)"),
    ],
)
def test_what_cannot_be_sealed_is_named(tmp_path, nets, options, message):
    with pytest.raises(UserError, match=message):
        reslearn.save(tmp_path / "m", nets, **{"preprocess": EIGHT, **options})
    assert not (tmp_path / "m").exists()


def test_a_network_that_is_no_longer_its_spec(tmp_path):
    net = tiny()
    net.head.fc = torch.nn.Linear(8, 5)
    with pytest.raises(UserError, match=r"head\.fc\.weight has shape \(5, 8\), its spec needs \(3, 8\)"):
        reslearn.save(tmp_path / "m", net, preprocess=EIGHT)
    net = tiny()
    with torch.no_grad():
        net.head.fc.weight[0, 0] = float("nan")
    with pytest.raises(UserError, match=r"head\.fc\.weight holds NaN"):
        reslearn.save(tmp_path / "m", net, preprocess=EIGHT)


def test_a_sealed_file_is_replaced_aloud(tmp_path, capsys):
    reslearn.save(tmp_path / "m", tiny(0), preprocess=EIGHT)
    assert capsys.readouterr().err == ""
    reslearn.save(tmp_path / "m", tiny(1), preprocess=EIGHT)
    assert capsys.readouterr().err == f"note: replaces {tmp_path / 'm'}\n"
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(load(tmp_path / "m").net(x), tiny(1).eval()(x))


def test_nothing_else_is_replaced(tmp_path):
    (tmp_path / "m").write_text("years of work")
    with pytest.raises(UserError, match="is not replaced"):
        reslearn.save(tmp_path / "m", tiny(), preprocess=EIGHT)
    assert (tmp_path / "m").read_text() == "years of work"
