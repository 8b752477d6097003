"""What a run says of its start is what it does."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reslearn.bundle.file import load, save
from reslearn.bundle.header import Bundle, Member
from reslearn.data.memory import Subset
from reslearn.data.sources import open_data
from reslearn.nets.build import create_model
from reslearn.nets.state_files import Contents, write_state
from reslearn.runtime.container import MEAN_IMAGE
from reslearn.runtime.settings import Settings
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.facts import Facts
from reslearn.spec.preprocess import Preprocess, default_preprocess
from reslearn.spec.recipes import RECIPES
from reslearn.train.fit import fit, resume
from reslearn.train.optimiser import frozen_parameters
from reslearn.train.origin import (
    adopted,
    check_start,
    frozen_lines,
    read_origin,
    starting_preprocess,
    weights_sha256,
)


@pytest.mark.parametrize("name", ["resnet20_cifar", "preact_resnet18", "vgg16_cifar"])
@pytest.mark.parametrize("unfreeze", [(0.15, 0.25, 0.35), (0.5,), (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)])
def test_what_is_said_to_be_frozen_is_frozen_until_then(name, unfreeze):
    spec, steps = get_spec(name), 37
    net, recipe = create_model(spec), replace(RECIPES["finetune"], unfreeze=unfreeze, freeze_bn_below=None)
    (line,) = frozen_lines(spec, recipe, steps)
    assert line.endswith("the head trains from the start")
    said = re.findall(r"([\w., ]+) until step (\d+)", line)
    assert said
    names = {id(p): name for name, p in net.named_parameters()}

    def frozen(step):
        return {names[id(p)] for p in frozen_parameters(net, recipe, step / steps)}

    for parts, step in said:
        for part in parts.split(", "):
            under = {name for name in names.values() if name.startswith(part.strip() + ".")}
            assert under and not under & frozen(int(step))
            assert int(step) == 0 or under <= frozen(int(step) - 1)
    assert frozen(max(int(step) for _, step in said)) == set()


def test_batch_norm_that_stands_still_is_said():
    assert frozen_lines(get_spec("resnet18"), replace(RECIPES["demo"], freeze_bn=True), 9) == [
        "batch norm throughout: statistics, gamma and beta"
    ]
    assert frozen_lines(get_spec("resnet18"), RECIPES["demo"], 9) == []


def test_a_recipe_that_needs_weights_says_so():
    check_start(RECIPES["finetune"], "w.pth")
    for recipe in RECIPES.values():
        if recipe.name != "finetune":
            check_start(recipe, None)
    with pytest.raises(UserError, match=r"recipe finetune trains the head first.*--weights FILE"):
        check_start(RECIPES["finetune"], None)


def test_preprocessing_at_another_size_keeps_its_ratio_and_loses_its_image():
    sealed = Preprocess(size=224, resize=256, mode="crop", mean=(0.0,) * 3, std=(1.0,) * 3, mean_image="ab" * 32)
    assert sealed.at_size(224) == sealed
    small = sealed.at_size(112)
    assert (small.size, small.resize, small.mode, small.mean_image) == (112, 128, "crop", None)
    assert replace(small, mean_image=sealed.mean_image).at_size(224).resize == 256
    assert default_preprocess(32).at_size(16) == default_preprocess(16)
    assert small.differences(sealed) == ["size 112 (224)", "mean 0.0,0.0,0.0 (image abababababab)"]


def test_at_another_size_the_channels_means_take_the_place_of_a_mean_image():
    image = torch.arange(3 * 4 * 4, dtype=torch.float32).reshape(3, 4, 4) / 100
    sealed = Preprocess(size=4, resize=4, mean=(0.0,) * 3, std=(1.0,) * 3, mean_image="ab" * 32)
    contents = Contents("x", {"": {MEAN_IMAGE: image}}, facts=Facts(preprocess=sealed), sealed=True)
    assert adopted(contents, None) == adopted(contents, 4) == sealed
    means = tuple(round(float(channel.mean()), 6) for channel in image)
    assert adopted(contents, 8) == replace(sealed.at_size(8), mean=means)
    assert adopted(contents, None, image=False) == replace(sealed, mean=means, mean_image=None)
    assert adopted(replace(contents, facts=Facts()), 8) is None


@pytest.fixture
def sealed(tiny_spec, tmp_path):
    """A sealed file of ten classes whose pictures are squashed to 8 x 8, and the weights alone."""
    torch.manual_seed(0)
    net = create_model(replace(tiny_spec, num_classes=10))
    how = Preprocess(8, 8, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    save(tmp_path / "m.safetensors", [net], Bundle((Member(net.spec),), how))
    write_state(tmp_path / "w.safetensors", net.state_dict())
    return how, str(tmp_path / "m.safetensors"), str(tmp_path / "w.safetensors")


def test_what_a_run_starts_from_is_said(sealed, tiny_spec, tiny_recipe):
    how, ours, theirs = sealed
    ten, two = (replace(tiny_spec, num_classes=classes) for classes in (10, 2))
    channel, pixel = tiny_recipe, replace(tiny_recipe, input_mean="pixel")
    origin = read_origin(ours, ten)
    tensors = len(create_model(ten).state_dict())
    assert origin.preprocess == how and origin.mean_image is None
    first = f"{ours}: {tensors} tensors in reslearn's layout"
    assert origin.lines(channel, how) == [first, "their preprocessing is adopted"]
    other = replace(how, std=(1.0, 1.0, 1.0))
    said = "their preprocessing is adopted but for, theirs in brackets: std 1.0,1.0,1.0 (0.25,0.25,0.25)"
    assert origin.lines(channel, other) == [first, said]
    assert origin.lines(pixel, other) == [
        first,
        "their preprocessing is adopted but for, theirs in brackets: "
        "the mean image of this run's own pictures (input_mean=pixel)",
    ]
    told = origin.to_json(channel, other)
    assert told["sha256"] == hashlib.sha256(Path(ours).read_bytes()).hexdigest() == weights_sha256(ours)
    assert (told["path"], told["layout"], told["tensors"], told["fresh"]) == (ours, "reslearn", tensors, "")
    assert told["preprocess"]["std"] == [0.25, 0.25, 0.25] and told["differs"] == ["std 1.0,1.0,1.0 (0.25,0.25,0.25)"]
    fewer = read_origin(theirs, two)
    assert fewer.lines(channel, how) == [
        f"{theirs}: {tensors - 2} tensors in reslearn's layout",
        "the head starts afresh: 10 -> 2 classes (head.fc)",
        "the file names no preprocessing; mean 0.5,0.5,0.5 and std 0.25,0.25,0.25 are this run's",
    ]
    assert fewer.lines(pixel, how)[2:] == [], "its own mean image is no mean to be told"
    assert fewer.to_json(channel, how)["preprocess"] is None and fewer.differences(channel, how) == []


def test_no_weights_are_no_origin(sealed, tiny_spec):
    assert read_origin(None, tiny_spec) is None
    with pytest.raises(UserError, match="--prefer ema chooses among the weights of a file; name one with --weights"):
        read_origin(None, tiny_spec, "ema")


def test_a_run_is_shown_pictures_as_its_weights_were(sealed, tiny_spec, tiny_recipe):
    how, ours, theirs = sealed
    spec = replace(tiny_spec, num_classes=10)
    recipe = replace(tiny_recipe, image_size=None)
    assert starting_preprocess(recipe, spec, read_origin(ours, spec)) == how
    assert starting_preprocess(recipe, spec, read_origin(theirs, spec)) == default_preprocess(spec.image_size)
    assert starting_preprocess(recipe, spec, None) == default_preprocess(spec.image_size)
    twelve = replace(recipe, image_size=12)
    assert starting_preprocess(twelve, spec, read_origin(ours, spec)) == how.at_size(12)
    assert starting_preprocess(twelve, spec, None) == default_preprocess(12)
    changed = starting_preprocess(recipe, spec, read_origin(ours, spec), {"std": "[1,1,1]"})
    assert changed == replace(how, std=(1.0, 1.0, 1.0))


def test_a_resume_needs_the_weights_until_there_is_a_checkpoint(tiny_spec, tiny_recipe, tmp_path):
    digits = open_data("digits")
    part, weights = Subset(digits, np.arange(200)), tmp_path / "w.safetensors"
    torch.manual_seed(0)
    write_state(weights, create_model(replace(tiny_spec, num_classes=10)).state_dict())
    recipe, out = replace(tiny_recipe, iterations=4, checkpoint_every=1e-6), tmp_path / "run"
    whole = fit(tiny_spec, part, None, recipe, out=out, weights=str(weights), settings=Settings())
    sealed = load(whole.model).net.state_dict()
    for keep, moved, message in ((1, True, None), (0, True, "no such file"), (0, False, "altered since the run began")):
        (out / "model.safetensors").unlink(missing_ok=True)
        for old in sorted((out / "checkpoints").glob("step-*"))[keep:]:
            old.unlink()
        there = weights.rename(tmp_path / "moved") if moved else tmp_path / "moved"
        if not moved:
            write_state(weights, create_model(replace(tiny_spec, num_classes=10)).state_dict())
        if message is None:
            resume(out, train_data=part)
            assert all(
                torch.equal(a, b) for a, b in zip(load(out).net.state_dict().values(), sealed.values(), strict=True)
            )
        else:
            with pytest.raises(UserError, match=message):
                resume(out, train_data=part)
        if moved:
            there.rename(weights)
