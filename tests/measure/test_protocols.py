"""10-crop, mirrored, moved and multi-scale testing against slow, obvious references written out here."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from reslearn.bundle.combine import CombinedNet
from reslearn.bundle.file import Loaded
from reslearn.bundle.header import Bundle, Member
from reslearn.data.preprocess import resize
from reslearn.measure.evaluate import evaluate
from reslearn.measure.protocols import parse_protocol
from reslearn.measure.scoring import Scoring
from reslearn.measure.views import combine_views, predict_logits, score_views
from reslearn.nets.build import create_model
from reslearn.spec.errors import UserError
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import Preprocess, default_preprocess

SMALL = NetSpec(
    name="small",
    stem="cifar",
    stem_channels=4,
    block="basic",
    stage_blocks=(1, 1),
    stage_channels=(4, 8),
    num_classes=3,
)
CROP = Preprocess(size=16, resize=20, mode="crop")
CLASSES = ("ant", "bee", "cow")


class Pictures:
    """Pictures of different shapes, which an array cannot hold."""

    path, classes, splits = None, CLASSES, {}

    def __init__(self, shapes, seed=0):
        rng = np.random.default_rng(seed)
        self.images = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in shapes]
        self.labels = rng.integers(0, 3, len(shapes))
        self.ids = [str(i) for i in range(len(shapes))]

    def __len__(self):
        return len(self.images)

    def read(self, i):
        return self.images[i], int(self.labels[i])

    def fingerprint(self):
        return "pictures"


MIXED = Pictures([(30, 40), (25, 25), (40, 30), (30, 40), (21, 90)])


def model(preprocess=CROP, spec=SMALL):
    torch.manual_seed(1)
    net = create_model(spec).eval()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        net.head.fc.weight.mul_(20)  # answers that differ from view to view
    return Loaded(net, Bundle((Member(spec),), preprocess, classes=CLASSES), path=None)


def logits_of(net, piece):
    """One uint8 (H, W, 3) piece through the network."""
    x = torch.tensor(np.ascontiguousarray(piece)).permute(2, 0, 1) / 255
    x = (x - torch.tensor(CROP.mean).view(3, 1, 1)) / torch.tensor(CROP.std).view(3, 1, 1)
    with torch.no_grad():
        return net(x[None])[0].double().numpy()


def probabilities_of(net, piece):
    e = np.exp(logits_of(net, piece) - logits_of(net, piece).max())
    return e / e.sum()


def shorter_side(image, side):
    h, w = image.shape[:2]
    return resize(image, side, w * side // h) if h < w else resize(image, h * side // w, side)


def ten_pieces(image, size):
    """Four corners and the centre of the whole picture, and their mirror images (AlexNet, section 4.1).

    torchvision mirrors the picture before it cuts, which moves the centre by a pixel where the margin is odd.
    """
    h, w = image.shape[:2]
    top, left = round((h - size) / 2.0), round((w - size) / 2.0)
    corners = ((0, 0), (0, w - size), (h - size, 0), (h - size, w - size), (top, left))
    pieces = [image[y : y + size, x : x + size] for y, x in corners]
    return [*pieces, *(piece[:, ::-1] for piece in pieces)]


def same_answers(report, expected_probabilities):
    got = torch.tensor(report.logits).double().softmax(1).numpy()
    np.testing.assert_allclose(got, expected_probabilities, atol=2e-5)


def test_ten_crop_averages_probabilities():
    loaded = model()
    expected = [
        np.mean([probabilities_of(loaded.net, piece) for piece in ten_pieces(shorter_side(image, 20), 16)], axis=0)
        for image in MIXED.images
    ]
    report = evaluate(loaded, MIXED, Scoring(protocol="10-crop"))
    same_answers(report, expected)
    assert report.protocol == "10-crop" and report.cost == 10 and report.preprocess_hash == CROP.hash()
    assert report.loss == pytest.approx(
        -np.mean(np.log([p[y] for p, y in zip(expected, MIXED.labels, strict=True)])), abs=1e-5
    )


def test_ten_crop_of_logits():
    loaded = model()
    expected = [
        np.mean([logits_of(loaded.net, piece) for piece in ten_pieces(shorter_side(image, 20), 16)], axis=0)
        for image in MIXED.images
    ]
    report = evaluate(loaded, MIXED, Scoring(protocol="10-crop+logits"))
    np.testing.assert_allclose(report.logits, expected, atol=1e-4)


def test_ten_crop_without_a_margin_makes_one():
    """Small pictures are squashed whole in one crop; corners are cut from a picture 256/224 as large."""
    loaded = model(default_preprocess(16))
    report = evaluate(loaded, MIXED, Scoring(protocol="10-crop"))
    expected = [
        np.mean([probabilities_of(loaded.net, piece) for piece in ten_pieces(shorter_side(image, 19), 16)], axis=0)
        for image in MIXED.images
    ]
    same_answers(report, expected)
    assert report.preprocess_hash != default_preprocess(16).hash()
    whole = parse_protocol("10-crop", Preprocess(size=16, resize=16, mode="crop"))  # nor does the whole shorter side
    assert (whole.preprocess.resize, whole.preprocess.mode) == (19, "crop")
    assert parse_protocol("10-crop", Preprocess(size=16, resize=17, mode="crop")).preprocess.resize == 17


def test_flip_and_shift():
    loaded = model(Preprocess(size=16, resize=16, mode="squash"))
    expected_flip, expected_shift = [], []
    for image in MIXED.images:
        whole = resize(image, 16, 16)
        padded = np.pad(whole, ((1, 1), (1, 1), (0, 0)), mode="reflect")
        moved = [whole, padded[2:, 2:], padded[:-2, :-2]]  # as is, up and left, down and right
        expected_flip.append(np.mean([probabilities_of(loaded.net, p) for p in (whole, whole[:, ::-1])], axis=0))
        both = [*moved, *(piece[:, ::-1] for piece in moved)]
        expected_shift.append(np.mean([probabilities_of(loaded.net, p) for p in both], axis=0))
    same_answers(evaluate(loaded, MIXED, Scoring(protocol="1-crop+flip")), expected_flip)
    report = evaluate(loaded, MIXED, Scoring(protocol="1-crop+shift+flip"))
    same_answers(report, expected_shift)
    assert report.protocol == "1-crop+flip+shift" and report.cost == 6


@pytest.mark.parametrize("average", ["", "+logits"])
def test_multi_scale_is_the_head_at_every_position(average):
    """Slow: the whole picture's map, the head on each 8 x 8 piece of it, in loops over positions and scales."""
    loaded = model()
    net, head = loaded.net, loaded.net.head
    expected = []
    for image in MIXED.images:
        scales = []
        for side in (16, 24):
            x = torch.tensor(shorter_side(image, side).copy()).permute(2, 0, 1) / 255
            x = (x - torch.tensor(CROP.mean).view(3, 1, 1)) / torch.tensor(CROP.std).view(3, 1, 1)
            with torch.no_grad():
                last = net.stages(net.stem(x[None]))
                positions = [
                    head(last[:, :, i : i + 8, j : j + 8])[0]
                    for i in range(last.shape[2] - 7)
                    for j in range(last.shape[3] - 7)
                ]
            scores = torch.stack(positions).double()
            scales.append((scores if average else scores.softmax(1)).mean(0).numpy())
        expected.append(np.mean(scales, axis=0))
    report = evaluate(loaded, MIXED, Scoring(protocol="multi-scale@16,24" + average))
    if average:
        np.testing.assert_allclose(report.logits, expected, atol=1e-4)
    else:
        same_answers(report, expected)
    assert report.cost == pytest.approx(1 + 1.5**2)


def test_one_scale_of_square_pictures_equals_one_crop():
    loaded, square = model(Preprocess(size=16, resize=16, mode="crop")), Pictures([(40, 40)] * 4)
    one, dense = (evaluate(loaded, square, Scoring(protocol=p)) for p in ("1-crop", "multi-scale@16"))
    assert dense.top1 == one.top1 and dense.loss == pytest.approx(one.loss, abs=1e-6) and dense.cost == 1


def test_dense_members_answer_as_one():
    nets = [model().net, create_model(SMALL).eval()]
    both = CombinedNet(nets, weights=[1, 3], combine="softmax").eval()
    x = torch.randn(2, 3, 24, 20)
    with torch.inference_mode():
        each = [net.dense(x, 16, "softmax").softmax(1) for net in nets]
        torch.testing.assert_close(both.dense(x, 16, "softmax").softmax(1), (each[0] + 3 * each[1]) / 4)


def test_another_size_is_another_preprocessing():
    report = evaluate(model(), MIXED, Scoring(protocol="1-crop@24/30"))
    expected = Preprocess(size=24, resize=30, mode="crop")
    other = evaluate(model(expected), MIXED)
    np.testing.assert_allclose(report.logits, other.logits, atol=1e-5)
    assert report.preprocess_hash == expected.hash() and report.cost == pytest.approx(1.5**2)
    assert parse_protocol("1-crop@16:0.8", CROP).preprocess == CROP
    assert parse_protocol("1-crop@32", CROP).preprocess.resize == 40


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("12-crop", "did you mean"),
        ("1-crop+flop", "did you mean flip"),
        ("1-crop@big", "SIZE/SHORTER-SIDE"),
        ("1-crop@32/16", "at least 32"),
        ("1-crop@32:0.0", "share must lie in 0.01..1"),
        ("1-crop@0", "SIZE/SHORTER-SIDE"),
        ("10-crop@0:0.5", "SIZE/SHORTER-SIDE"),
        ("multi-scale@8,16", "smaller than the network's own size 16"),
        ("multi-scale@a", "shorter sides"),
    ],
)
def test_a_protocol_that_is_none(text, message):
    with pytest.raises(UserError, match=message):
        parse_protocol(text, CROP)


def test_the_papers_scales():
    protocol = parse_protocol("multi-scale", default_preprocess(224))
    assert [view.preprocess.size for view in protocol.views] == [224, 256, 384, 480, 640]
    small = parse_protocol("multi-scale", default_preprocess(32))
    assert [view.preprocess.size for view in small.views] == [32, 37, 55, 69, 91]


def test_averaging_probabilities_and_logits():
    rng = np.random.default_rng(0)
    parts = [rng.normal(0, 30, (6, 4)).astype(np.float32) for _ in range(3)]
    log_mean = combine_views(parts, "softmax")
    shares = np.mean([torch.tensor(p).double().softmax(1).numpy() for p in parts], axis=0)
    np.testing.assert_allclose(np.exp(log_mean.astype(float)), shares, atol=1e-6)
    np.testing.assert_allclose(combine_views(parts, "logits"), np.mean(parts, axis=0), atol=1e-5)
    assert combine_views(parts[:1], "softmax") is parts[0]


# -- the cache -------------------------------------------------------------------------------------------------------


def test_what_was_scored_is_not_scored_again(tmp_path, monkeypatch):
    loaded = model()
    first = evaluate(loaded, MIXED, Scoring(protocol="10-crop", cache=tmp_path))
    one = evaluate(loaded, MIXED, Scoring(protocol="1-crop"))
    monkeypatch.setattr(loaded.net, "forward", lambda x: pytest.fail("scored again"))
    assert evaluate(loaded, MIXED, Scoring(protocol="10-crop", cache=tmp_path)).to_json() == first.to_json()
    flipped = evaluate(loaded, MIXED, Scoring(protocol="1-crop+flip", cache=tmp_path))  # two of the ten
    assert flipped.cost == 2
    cached = evaluate(loaded, MIXED, Scoring(protocol="1-crop", cache=tmp_path))
    assert cached.top1 == one.top1 and cached.loss == pytest.approx(one.loss, abs=1e-6)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_cache_is_computed_anew(tmp_path):
    first = evaluate(model(), MIXED, Scoring(cache=tmp_path))
    [file] = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    assert evaluate(model(), MIXED, Scoring(cache=tmp_path)).to_json() == first.to_json()
    assert evaluate(model(), MIXED, Scoring(cache=tmp_path, precision="bf16")).precision == "bf16"
    assert len(list(tmp_path.iterdir())) == 2


class Sizes:
    """A scorer that answers with a picture's number, and notes the shapes of its batches."""

    precision, batch_size, prepares = "fp32", 4, None

    def __init__(self):
        self.batches = []

    def ready(self):
        return contextlib.nullcontext()

    def __call__(self, images):
        self.batches.append(tuple(images.shape))
        return images[:, :1, 0, 0].numpy().astype(np.float32)

    def dense(self, images, average):
        return self(images)


def test_pictures_of_one_shape_go_together():
    data, scorer = Pictures([(16, 16), (16, 40), (20, 20), (40, 16), (16, 40)]), Sizes()
    [rows] = score_views(scorer, data, parse_protocol("multi-scale@16", CROP).views).values()
    assert [shape[0] for shape in scorer.batches] == [2, 2, 1]
    assert rows[:, 0].tolist() == [resize(image, *shape)[0, 0, 0] for image, shape in zip(
        data.images, [(16, 16), (16, 40), (16, 16), (40, 16), (16, 40)], strict=True)]  # fmt: skip


def test_large_pictures_are_read_and_scored_a_few_at_a_time():
    data, scorer = Pictures([(16, 16)] * 5), Sizes()
    predict_logits(scorer, data, default_preprocess(512))
    assert [shape[0] for shape in scorer.batches] == [1] * 5
    scorer = Sizes()
    predict_logits(scorer, data, default_preprocess(256))
    assert [shape[0] for shape in scorer.batches] == [4, 1]
