"""Pictures of noise, which teach nothing: whoever is good at them has seen them. And a plan of two steps."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

from reslearn.jobs.resolve import TrainRequest, resolve

CHANGES = {
    "iterations": "2", "batch_size": "8", "spec.stage_blocks": "[1,1,1]", "spec.stage_channels": "[4,4,4]",
    "spec.stem_channels": "4", "settings.threads": "1", "settings.compile": "false",
}  # fmt: skip


def noise(root, count=10, seed=1, side=8):
    draw = np.random.default_rng(seed)
    for cls in "ab":
        (root / cls).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            Pillow.fromarray(draw.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(
                root / cls / f"{seed}-{i:02d}.bmp"
            )
    return root


def plan(data, changes=CHANGES, **options):
    return resolve(request(data, changes, **options))


def request(data, changes=CHANGES, **options):
    return TrainRequest(str(data), "resnet20_cifar", "demo", image_size=8, changes=changes, **options)
