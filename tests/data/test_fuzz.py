"""Mutated image files through decode and check: no crash, no hang, memory bounded, each decoded or reported."""

import io
import random
import resource
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from reslearn.data.care.inspect import FATAL, inspect_bytes
from reslearn.data.formats.decode import MAX_PIXELS, decode_bytes
from reslearn.spec.errors import UserError

from .conftest import encode, picture


def seeds():
    """One whole file of each kind that people have, small."""
    image = Image.fromarray(picture(0, (40, 56)))
    exif = Image.Exif()
    exif[0x112] = 6
    exif[0x10F] = "maker" * 20
    files = [encode(image, kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "TGA", "JPEG2000")]
    files += [
        encode(image, "JPEG", progressive=True),
        encode(image, "JPEG", exif=exif),
        encode(image, "PNG", exif=exif),
    ]
    files += [
        encode(image.convert("CMYK"), "JPEG"),
        encode(image.quantize(16), "PNG"),
        encode(image.convert("L"), "PNG"),
    ]
    files += [encode(picture(1)[..., 0].astype(np.uint16) * 257, "PNG"), encode(image, "TIFF", compression="tiff_lzw")]
    out = io.BytesIO()
    image.save(out, "GIF", save_all=True, append_images=[Image.fromarray(picture(2, (40, 56)))])
    return [*files, out.getvalue()]


def mutate(raw, rng):
    """Flip, overwrite, delete, double, cut or splice; sometimes the header alone, sometimes with a mended checksum."""
    data = bytearray(raw)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if not data:
            break
        at = rng.randrange(min(len(data), 64) if rng.random() < 0.4 else len(data))
        kind = rng.randrange(7)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at] = rng.choice([0, 1, 127, 128, 255])
        elif kind == 2:
            del data[at : at + rng.randrange(1, 64)]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randrange(1, 64)]
        elif kind == 4:
            del data[at:]
        elif kind == 5:
            data[at : at + 4] = struct.pack(">I", rng.choice([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
        else:
            data[at : at + 8] = rng.randbytes(8)
    if raw[:4] == b"\x89PNG" and len(data) > 33 and rng.random() < 0.5:
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def fuzz(count, seed):
    rng, files, decoded = random.Random(seed), seeds(), 0
    slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(count):
        raw = mutate(rng.choice(files), rng)
        started = time.perf_counter()
        try:
            image = decode_bytes(raw, f"fuzz{i}")
        except UserError as error:
            image = None
            assert str(error).startswith(f"fuzz{i}: ") and "\n" not in str(error)
        facts = inspect_bytes(raw, f"fuzz{i}.jpg")
        slowest = max(slowest, time.perf_counter() - started)
        fatal = [kind for kind, _ in facts.faults if kind in FATAL]
        if image is None:
            assert fatal and facts.look is None, (seed, i)
        else:
            decoded += 1
            assert not fatal and facts.look is not None, (seed, i, fatal)
            assert image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
            assert 0 < image.shape[0] * image.shape[1] <= MAX_PIXELS
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return decoded, slowest, grown


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_files_are_decoded_or_reported(count):
    decoded, slowest, grown = fuzz(count, seed=0)
    print(f"{decoded} of {count:,} decoded; slowest {slowest:.2f} s; {grown:.0f} MiB above the start")
    assert 0.05 * count < decoded < 0.95 * count
    assert slowest < 10 and grown < 3 * MAX_PIXELS * 3 / 2**20
