"""A tiny run: digits at 8 x 8, a one-block-per-stage residual net, a few steps."""

from __future__ import annotations

import pytest

from reslearn.spec.net import NetSpec
from reslearn.spec.recipe import Augment, Recipe


@pytest.fixture
def tiny_spec() -> NetSpec:
    return NetSpec(
        "tiny", stem="cifar", stem_channels=8, block="basic", stage_blocks=(1, 1), stage_channels=(8, 16), shortcut="A"
    )


@pytest.fixture
def tiny_recipe() -> Recipe:
    return Recipe(
        "tiny",
        "test",
        iterations=60,
        batch_size=64,
        lr=0.1,
        schedule="one-cycle",
        warmup=0.25,
        augment=Augment(crop="pad", pad=1),
        image_size=8,
        validate_every=1,
        checkpoint_every=0.3,
    )
