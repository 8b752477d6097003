"""The first twenty losses of every recipe on a small net, so that a refactor cannot change a recipe unseen.

`make golden` rewrites the file; its diff then shows which recipes moved, and the commit says why.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reslearn.data.sources import Subset, open_data
from reslearn.runtime.settings import Settings
from reslearn.spec.net import NetSpec
from reslearn.spec.recipes import RECIPES
from reslearn.train.fit import fit
from reslearn.train.journal import read_journal

GOLDEN = Path(__file__).parent / "golden_losses.json"
REWRITE = os.environ.get("RESLEARN_REWRITE_GOLDEN") == "1"


def first_losses(name, folder):
    """20 steps over 320 digits in fp32, eager, one thread; large batches are cut to 64, BN slices to a half of it."""
    recipe = RECIPES[name]
    small = {"batch_size": 64, "iterations": 20, "epochs": None, "images": None, "image_size": 8, "validate_every": 2}
    if recipe.bn_batch is not None:
        small["bn_batch"] = 32
    if recipe.small_size is not None:
        small["small_size"] = 6
    data = open_data("digits")
    spec = NetSpec(
        "golden",
        stem="cifar",
        stem_channels=8,
        block="basic",
        stage_blocks=(1, 1),
        stage_channels=(8, 16),
        shortcut="A",
    )
    parts = Subset(data, np.arange(320)), Subset(data, np.arange(320, 384))
    fit(spec, *parts, replace(recipe, **small), out=folder, settings=Settings(threads=1))
    return [line["loss"] for line in read_journal(folder / "metrics.jsonl") if line["kind"] == "step"]


@pytest.mark.parametrize("name", list(RECIPES))
def test_the_first_losses_are_what_they_were(name, tmp_path):
    losses = first_losses(name, tmp_path / "run")
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if REWRITE:
        golden = {**golden, "torch": torch.__version__.partition("+")[0], name: [round(loss, 6) for loss in losses]}
        GOLDEN.write_text(json.dumps(dict(sorted(golden.items())), indent=1) + "\n")
    assert losses == pytest.approx(golden[name], rel=1e-3)
