"""One short finished run on digits, made once, copied for each test that changes it."""

import shutil

import cv2
import numpy as np
import pytest

from reslearn.data.memory import Subset
from reslearn.data.parts.splits import choose_splits
from reslearn.data.sources import open_data
from reslearn.jobs.training import train
from reslearn.runtime.settings import Settings
from reslearn.spec.net import NetSpec
from reslearn.spec.recipe import Augment, Recipe
from reslearn.train.fit import fit

from .noise import noise, plan


@pytest.fixture
def small_plan():
    """small_plan(DATA, **options) -> a `Plan` of a network that trains in an instant."""
    changes = {
        "iterations": "2",
        "batch_size": "8",
        "spec.stage_blocks": "[1,1,1]",
        "spec.stage_channels": "[4,4,4]",
        "spec.stem_channels": "4",
        "settings.loader": "resident",
    }
    return lambda data, **options: plan(data, changes, **options)


@pytest.fixture
def folder(tmp_path):
    """Twenty small pictures of noise in two class folders."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        for i in range(10):
            cv2.imwrite(
                str(tmp_path / "pictures" / name / f"{i}.png"), rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
            )
    return tmp_path / "pictures"


@pytest.fixture(scope="session")
def _short_run(tmp_path_factory):
    spec = NetSpec(
        "tiny", stem="cifar", stem_channels=8, block="basic", stage_blocks=(1, 1), stage_channels=(8, 16), shortcut="A"
    )
    recipe = Recipe(
        "tiny",
        "tests",
        iterations=60,
        batch_size=64,
        augment=Augment(crop="pad", pad=1),
        image_size=8,
        validate_every=1,
    )
    digits = open_data("digits")
    splits = choose_splits(digits)
    out = tmp_path_factory.mktemp("runs") / "short"
    fit(spec, Subset(digits, splits["train"]), Subset(digits, splits["val"]), recipe, out=out, settings=Settings())
    return out


@pytest.fixture
def short_run(_short_run, tmp_path):
    """A private copy of a finished run."""
    return shutil.copytree(_short_run, tmp_path / "short")


@pytest.fixture
def photo():
    """A picture larger than a thumbnail."""
    return np.random.default_rng(0).integers(0, 255, (375, 500, 3), dtype=np.uint8)


@pytest.fixture
def flat(tmp_path):
    return noise(tmp_path / "flat")


@pytest.fixture
def run(flat, tmp_path):
    """A run on 18 of the 20 pictures of `flat`."""
    train(plan(flat), out=tmp_path / "run")
    return tmp_path / "run"
