"""The first twenty losses of every recipe on a small net, so that a refactor cannot change a recipe unseen.

They say what a recipe does, not how a processor rounds: all is float64, from the draws of the first weights on, where
processors differ by 1e-13, and must agree to 1e-6. The uint8 pictures have digests of their own, because one grey level
would outgrow that. `make golden` rewrites both files; their diff shows which recipes moved, and the commit says why.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reslearn.data.loaders import train_loader
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.preprocess import Normalise
from reslearn.data.sources import open_data
from reslearn.nets.build import create_model
from reslearn.runtime.settings import Settings
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipes import RECIPES
from reslearn.train import execute
from reslearn.train.events import Tick
from reslearn.train.fit import fit
from reslearn.train.records.journal import read_journal

LOSSES, PICTURES = (Path(__file__).parent / name for name in ("golden_losses.json", "golden_pictures.json"))
REWRITE = os.environ.get("RESLEARN_REWRITE_GOLDEN") == "1"
STEPS, BATCH, EPOCH = 20, 32, 5 * 32
NET = NetSpec(
    "golden",
    stem="cifar",
    stem_channels=8,
    block="basic",
    stage_blocks=(1, 1),
    stage_channels=(8, 16),
    shortcut="A",
)


def scaled(recipe):
    """The recipe over 20 steps, 4 epochs of small pictures: all that depends on time happens within them."""
    return replace(
        recipe,
        iterations=STEPS,
        epochs=None,
        images=None,
        batch_size=BATCH,
        image_size=8,
        bn_batch=recipe.bn_batch and BATCH // 2,
        small_size=recipe.small_size and 6,
        validate_every=1,
        weight_decay=recipe.weight_decay * 100,  # twenty steps of the real one hardly show
        patience=recipe.patience / 5,
        hold_steps=recipe.hold_steps // 100,
        hold_error=recipe.hold_error and recipe.hold_error + 5,  # passed after the first step
        hold_depth=0,
    )


def in_float64(spec):
    """The network with first weights drawn in float64: torch draws float32 ones differently on each processor."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        return create_model(spec)
    finally:
        torch.set_default_dtype(before)


class Enough(Exception):
    """Ends a training early."""


def first_losses(recipe, folder, *, build=in_float64, precision="fp64", enough=lambda step, loss: False):
    """The losses of 20 steps over 160 digits, eager, one thread; fewer once `enough(step, loss)` of one of them."""
    data = open_data("digits")
    parts = Subset(data, np.arange(EPOCH)), Subset(data, np.arange(EPOCH, EPOCH + 64))
    losses = []

    def watch(event):
        if isinstance(event, Tick):
            losses.append(event.loss)
            if enough(len(losses) - 1, event.loss):
                raise Enough

    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(execute, "create_model", build)
            fit(NET, *parts, recipe, out=folder, settings=Settings(precision=precision), watch=watch)
        assert losses == [line["loss"] for line in read_journal(folder / "metrics.jsonl") if line["kind"] == "step"]
    except Enough:
        pass
    return losses


def golden(path, name, found):
    """What the file holds for a recipe; with RESLEARN_REWRITE_GOLDEN=1 it is made to hold `found`."""
    kept = json.loads(path.read_text()) if path.exists() else {}
    if REWRITE:
        kept = {**kept, name: found}
        path.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
    return kept[name]


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_first_losses_are_what_they_were(name, tmp_path):
    losses = first_losses(scaled(RECIPES[name]), tmp_path / "run")
    assert len(losses) == STEPS
    assert losses == pytest.approx(golden(LOSSES, name, [round(loss, 9) for loss in losses]), rel=1e-6)


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_first_pictures_are_what_they_were(name):
    """In uint8, after crops, flips and colours, before they are normalised and mixed; in colour, 40 x 36 pixels."""
    i, y, x, c = np.ogrid[:64, :40, :36, :3]
    waves = (37 * i + 3 * y * y + (5 + i % 7) * x + 41 * c * c + x * y // 3) % 256
    ids = [str(k) for k in range(64)]
    data = ArrayDataset(waves.astype(np.uint8), np.arange(64) % 10, classes=[str(k) for k in range(10)], ids=ids)
    augment = RECIPES[name].augment
    augment = replace(augment, scale=(augment.scale[0] // 8, augment.scale[1] // 8), mixup=0.0, cutmix=0.0, erase=0.0)
    plain = replace(default_preprocess(32), mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))  # so that times 255 undoes it
    loader = train_loader(data, normalise=Normalise(plain, dtype=torch.float64), augment=augment, batch_size=64, seed=0)
    pictures = [(batch.images * 255).round().to(torch.uint8).contiguous().numpy() for batch in loader.batches(0, 8)]
    digest = hashlib.sha256(np.stack(pictures).tobytes()).hexdigest()[:16]
    assert digest == golden(PICTURES, name, digest)


def rounded_up(spec):
    """The network whose first weights are all one rounding too large."""
    net = in_float64(spec).float()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(torch.nextafter(parameter, torch.tensor(torch.inf)))
    return net


@pytest.mark.parametrize("name", list(RECIPES))
def test_float32_begins_as_float64_does(name, tmp_path):
    """One update to 1e-5; another rounding of the first weights may use up a tenth of that, so a processor may too.

    Later a ReLU or a step's orthogonalisation turns last bits into 1e-3. TF32 or bf16 would show at once.
    """
    stop = {"precision": "fp32", "enough": lambda step, loss: step == 1}
    recipe = scaled(RECIPES[name])
    losses = first_losses(recipe, tmp_path / "run", build=lambda spec: in_float64(spec).float(), **stop)
    shifted = first_losses(recipe, tmp_path / "shifted", build=rounded_up, **stop)
    assert losses == pytest.approx(golden(LOSSES, name, None)[:2] if not REWRITE else losses, rel=1e-5)
    assert shifted == pytest.approx(losses, rel=1e-6)


def mutants(recipe):
    """The recipe with one thing wrong at a time: rate, decay, momentum, and whatever its schedule is made of."""
    yield "lr", {"lr": recipe.lr * 1.01}
    yield "weight_decay", {"weight_decay": recipe.weight_decay * 1.05}
    if not recipe.settled(1).freeze_bn:  # else it says no more than whether one bias decays, which hardly shows
        yield "decay", {"decay": "weights" if recipe.decay == "all" else "all"}
    yield "momentum", {"momentum": recipe.momentum + 0.01}
    yield "schedule", {"schedule": "constant"}
    for k, at in enumerate(recipe.milestones):
        later = (*recipe.milestones[:k], at + 1.01 / STEPS, *recipe.milestones[k + 1 :])
        yield f"milestones[{k}]", {"milestones": later}
    if recipe.schedule in ("step", "plateau"):
        yield "gamma", {"gamma": recipe.gamma * 1.05}
    else:
        yield "final_lr", {"final_lr": recipe.peak_lr / 100}
    if recipe.schedule == "plateau":
        yield "patience", {"patience": recipe.patience + 1}
    if recipe.warmup:
        yield "warmup", {"warmup": recipe.warmup * 1.5}
    if recipe.hold_lr is not None:
        yield "hold_lr", {"hold_lr": recipe.hold_lr * 1.01}
        yield "hold", {"hold_steps": recipe.hold_steps + 100, "hold_error": recipe.hold_error and recipe.hold_error - 1}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param(name, changes, id=f"{name}-{label}")
        for name, recipe in RECIPES.items()
        for label, changes in mutants(recipe)
    ],
)
def test_a_changed_recipe_does_not_pass(name, changes, tmp_path):
    kept = golden(LOSSES, name, None) if not REWRITE else pytest.skip("needs RESLEARN_REWRITE_GOLDEN unset")
    wrong = lambda step, loss: loss != pytest.approx(kept[step], rel=1e-6)  # noqa: E731
    losses = first_losses(scaled(replace(RECIPES[name], **changes)), tmp_path / "run", enough=wrong)
    assert losses != pytest.approx(kept, rel=1e-6)
