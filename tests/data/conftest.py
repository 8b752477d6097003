"""Small sets of pictures on disk, in the layouts that people have."""

import io
import pickle
import tarfile

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


def photograph(seed, size=(375, 500)):
    """RGB uint8 (H, W, 3) with a photograph's statistics: power falls with the square of frequency, and edges."""
    rng = np.random.default_rng(seed)
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)) + 1 / max(size)
    planes = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(4, *size))) / frequency, size)
    planes = planes / planes.std((1, 2), keepdims=True)
    image = 120 + 45 * (planes[:1] + 0.5 * planes[1:])  # three colours that go together
    for _ in range(6):  # things in front, each of one brightness more or less
        (top, left), high, wide = rng.integers(0, size), *rng.integers(30, 200, 2)
        image[:, top : top + high, left : left + wide] += rng.integers(-80, 80)
    return image.clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


@pytest.fixture(scope="session", params=["made", "real"])
def photographs(request, shared_data):
    """Photographs as (name, JPEG bytes): made here, and a hundred real ones where this machine has them."""
    if request.param == "made":
        return [(f"{seed}.jpg", encode(photograph(seed), quality=90)) for seed in range(20)]
    with tarfile.open(shared_data("photos-100.tar")) as tar:
        return [(member.name, tar.extractfile(member).read()) for member in tar if member.isfile()]


CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture(scope="session", params=["made", "real"])
def cifar_archive(request, shared_data, tmp_path_factory):
    """cifar-10-python.tar.gz as published, with fewer records in each of its six batches: made, and genuine ones."""
    if request.param == "real":
        return shared_data("cifar10-lossless-mini.tar.gz")
    path, rng = tmp_path_factory.mktemp("cifar") / "cifar-10-python.tar.gz", np.random.default_rng(0)
    names = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]
    files = {"batches.meta": {b"label_names": [name.encode() for name in CIFAR10], b"num_vis": 3072}}
    for name in names:
        pixels, labels = rng.integers(0, 256, (17, 3072), dtype=np.uint8), rng.integers(0, 10, 17).tolist()
        files[name] = {b"batch_label": name.encode(), b"labels": labels, b"data": pixels}
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            raw = pickle.dumps(content, protocol=2)
            entry = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            entry.size = len(raw)
            tar.addfile(entry, io.BytesIO(raw))
    return path
