"""Small sets of pictures on disk, in the layouts that people have."""

import io

import numpy as np
import pytest
from PIL import Image


def picture(seed, size=(24, 32), *, smooth=True):
    """A smooth random RGB picture, uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8) if smooth else rng.integers(0, 256, (*size, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC))


def encode(array, kind="JPEG", **options):
    """Encoded bytes of an array."""
    out = io.BytesIO()
    image = array if isinstance(array, Image.Image) else Image.fromarray(array)
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.fixture
def folder(tmp_path):
    """folder({"train/cat": 3, "test/cat": 1}) -> the root, with that many JPEG files in each folder."""

    def build(layout, *, name="data", size=(24, 32), kind="JPEG"):
        root, seed = tmp_path / name, 0
        for place, count in layout.items():
            (root / place).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                file = root / place / f"{i:03d}.{'jpg' if kind == 'JPEG' else kind.lower()}"
                file.write_bytes(encode(picture(seed, size), kind))
                seed += 1
        return root

    return build
