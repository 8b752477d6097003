"""`reslearn.fit` takes what people hold; what it does not take it refuses, saying what it does."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils.data import TensorDataset

import reslearn
from reslearn.spec.errors import UserError
from reslearn.spec.recipe import Augment, Recipe
from reslearn.train.trackers import forward

SPEC = reslearn.NetSpec("tiny", "cifar", 4, "basic", (1,), (4,))
QUICK = Recipe("quick", "tests", iterations=3, batch_size=8, augment=Augment(), image_size=8)
SETTINGS = reslearn.Settings()


@pytest.fixture
def held():
    """Twenty pictures of two classes, in arrays."""
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (20, 8, 8, 3), dtype=np.uint8), np.arange(20) % 2


@pytest.fixture
def folder(tmp_path, held):
    for i, (image, label) in enumerate(zip(*held, strict=True)):
        (tmp_path / "set" / "ab"[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "set" / "ab"[label] / f"{i:02d}.png")
    return tmp_path / "set"


def fit(data, tmp_path, **more):
    return reslearn.fit(SPEC, data, recipe=QUICK, out=tmp_path / "run", settings=SETTINGS, **more)


def test_a_path_is_split_trained_and_reported(folder, tmp_path):
    run = fit(folder, tmp_path)
    assert run.val["images"] == 2 and (run.path / "report.html").exists()
    assert "\n" not in repr(run) and "validation pictures right" in repr(run)
    html = run._repr_html_()
    assert html.count("<svg") == 2 and "class=" not in html.partition("<svg")[0]
    assert fit(folder, tmp_path, overwrite=True, val_fraction=0.5, report=False).val["images"] == 10
    assert not (run.path / "report.html").exists()


def test_arrays_tensors_and_torch_data_sets(held, folder, tmp_path):
    images, labels = held
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    weights = []
    for number, (data, more) in enumerate((
        ((images, labels), {}),
        (TensorDataset(tensor, torch.from_numpy(labels)), {}),
        (TensorDataset(tensor / 255, torch.from_numpy(labels)), {"value_range": (0, 1)}),
        (reslearn.open_data(folder), {}),
    )):  # fmt: skip
        run = fit(data, tmp_path / str(number), report=False, **more)
        assert run.val is None
        weights.append(reslearn.load(run.path))
    digest = [torch.cat([p.flatten() for p in one.net.parameters()]) for one in weights]
    assert torch.equal(digest[0], digest[1]) and torch.equal(digest[0], digest[2])
    assert weights[3].bundle.classes == ("a", "b") and weights[0].bundle.classes == ("0", "1")


def test_validation_is_given_or_drawn(held, tmp_path):
    images, labels = held
    run = fit((images[:12], labels[:12]), tmp_path, val_data=(images[12:], labels[12:]))
    assert run.val["images"] == 8
    assert fit((images, labels), tmp_path / "b", val_fraction=0.2).val["images"] == 4


def test_what_is_not_named_is_chosen_and_said(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = reslearn.fit(train_data="set", epochs=0.5, image_size=8, report=False)
    assert run.path.as_posix() == "runs/set-1" and reslearn.load(run.path).bundle.preprocess.size == 8
    told = capsys.readouterr().err
    assert "chosen    resnet20_cifar, recipe demo" in told and "step" in told
    assert "yours to change: model=..., recipe=..., reslearn.recipe(..., batch_size=...)" in told
    assert "advice    " in told and "epochs=" in told and "--epochs" not in told  # as the command says it, in its words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((nn.Linear(2, 2), "digits"), "create_model.*reslearn.save"),
        ((nn.Linear, "digits"), "nn.Module"),
        ((3, "digits"), "name of list_models"),
        ((SPEC,), "fit needs train_data"),
        ((SPEC, 7), "data is a path"),
        ((SPEC, np.zeros((4, 8, 8, 3))), "an item is"),
        ((SPEC, "nowhere"), "nowhere"),
        ((None, "digits", None, "fastest"), "fast-cifar"),
    ],
)
def test_what_it_does_not_take_is_told_what_it_does(arguments, words, tmp_path):
    with pytest.raises(UserError, match=words):
        reslearn.fit(*arguments, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("wrong", [{"epochs": "x"}, {"epochs": True}, {"epochs": -1}, {"epochs": float("nan")},
                                   {"val_fraction": "a"}, {"val_fraction": 2}, {"seed": "x"}])  # fmt: skip
def test_a_wrong_number_is_told_by_its_name(wrong, tmp_path):
    [(name, value)] = wrong.items()
    with pytest.raises(UserError, match=f"^{name} is {value!r}; it must"):
        reslearn.fit(SPEC, "digits", recipe=QUICK, out=tmp_path / "run", **wrong)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("call", [reslearn.check, reslearn.split, reslearn.crossval])
def test_what_needs_a_path_says_so(call, held):
    with pytest.raises(UserError, match=r"takes the path of its pictures.*found tuple"):
        call(held)


def test_data_in_the_place_of_the_network_is_told(folder, tmp_path):
    with pytest.raises(UserError, match="train_data="):
        reslearn.fit(str(folder))


def test_evaluate_and_predict_take_the_same(held, folder, tmp_path):
    run = fit(folder, tmp_path)
    images, labels = held
    known = reslearn.evaluate(run.path, (images, labels), allow_seen=True)
    assert known.images == 20 and "\n" not in repr(known) and "right" in repr(known)
    as_floats = reslearn.evaluate(
        str(run.model), list(zip(images / 255, labels, strict=True)), allow_seen=True, value_range=(0, 1)
    )
    assert as_floats.loss == known.loss
    html = known._repr_html_()
    assert "of 20 pictures right" in html and "<svg" in html
    loaded = reslearn.load(run.path)
    paths = sorted(folder.glob("*/*.png"), key=lambda path: path.name)
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    answers = [
        [answer.predictions for answer in reslearn.predict(model, held_so, **more)]
        for model, held_so, more in (
            (loaded, images, {}),
            (run.path, paths, {}),
            (run.model, [Image.open(path) for path in paths], {}),
            (loaded, tensor, {}),
            (loaded, tensor / 255, {"value_range": (0, 1)}),
            (loaded, TensorDataset(tensor), {}),
            (run.path, TensorDataset(tensor / 255, torch.from_numpy(labels)), {"value_range": (0, 1)}),
        )
    ]
    assert all(one == answers[0] for one in answers) and len(answers[0]) == 20
    assert len(reslearn.predict(run.path, folder)) == 20
    one = reslearn.predict(run.path, paths[0])[0]
    assert one._repr_html_().count("<tr>") == 2 and "data:image/png" in one._repr_html_() and "\n" not in repr(one)
    with pytest.raises(UserError, match="value_range"):
        reslearn.predict(loaded, images / 255)
    with pytest.raises(UserError, match="found int"):
        reslearn.predict(loaded, 7)
    for wrong in ((1, 0), 1, (0, 1, 2), ("a", "b")):
        with pytest.raises(UserError, match=r"value_range is .*it must be .least, most"):
            reslearn.predict(loaded, images / 255, value_range=wrong)


def test_a_recipe_is_changed_by_name():
    changed = reslearn.recipe("finetune", lr=0.01, iterations=5, augment={"flip": "none"})
    assert (changed.lr, changed.iterations, changed.epochs, changed.augment.flip) == (0.01, 5, None, "none")
    assert reslearn.recipe("demo") is not None
    for wrong, words in (
        ({"learning": 1}, "learning"),
        ({"augment": {"flop": 1}}, "did you mean flip"),
        ({"lr": -1}, "lr"),
        ({"lr": "x"}, "lr is 'x'; it must be a number, positive"),
        ({"lr": True}, "lr is True"),
        ({"batch_size": 8.5}, "batch_size is 8.5; it must be a whole number"),
        ({"milestones": 3}, "milestones is 3; it must be rising"),
    ):
        with pytest.raises(UserError, match=words):
            reslearn.recipe("finetune", **wrong)
    with pytest.raises(UserError, match="did you mean finetune"):
        reslearn.recipe("finetuned")


def test_specs_draw_themselves():
    for name in ("resnet50", "resnet20_cifar", "vgg16_bn", "resnext50_32x4d", "resnet_speed_cifar"):
        spec = reslearn.get_spec(name)
        assert "\n" not in repr(spec)
        assert spec._repr_html_().count("<tr>") > 2 and name in spec._repr_html_()


def test_boards_are_told_what_the_journal_holds(folder, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(forward, "board", lambda tracker: lambda about: Told(told))
    run = fit(folder, tmp_path, log_to="tensorboard")
    journal = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    losses = [(line["step"], line["loss"]) for line in journal if line["kind"] == "step"]
    assert losses and [(step, numbers["step/loss"]) for step, numbers in told if "step/loss" in numbers] == losses
    with pytest.raises(reslearn.UserError, match=r"log_to is 'board'; valid: 'tensorboard'"):
        reslearn.fit(None, folder, log_to=["board"])


class Told:
    """A board that remembers."""

    def __init__(self, lines):
        self.lines = lines

    def log(self, numbers, step):
        self.lines.append((step, dict(numbers)))

    def close(self):
        pass
