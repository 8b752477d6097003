"""What `data check` remarks on in one picture, in every format that declares it; and sizes far from the rest."""

import io

import numpy as np
import pytest
from PIL import Image

from reslearn.data.care.check import _odd_sizes
from reslearn.data.care.duplicates import look_of
from reslearn.data.care.inspect import Facts, inspect_bytes

from ..conftest import encode, picture


def see_through(seed):
    image = Image.fromarray(picture(seed, (96, 128)))
    image.putalpha(128)
    return image


def kinds_of(raw, name):
    return dict(inspect_bytes(raw, name).faults)


def test_what_conversion_to_8_bit_rgb_loses_is_remarked_on_in_every_format():
    tifffile = pytest.importorskip("tifffile", reason="needs tifffile: pip install tifffile")
    imagecodecs = pytest.importorskip("imagecodecs", reason="needs imagecodecs: pip install imagecodecs")
    deep = picture(80, (96, 128))[..., 0].astype(np.uint16)
    out = io.BytesIO()
    tifffile.imwrite(out, deep, bitspersample=12)
    sixteen = {
        "tif": out.getvalue(),
        "pgm": b"P5\n# a comment\n128 96\n4095\n" + deep.astype(">u2").tobytes(),
        "ppm": b"P6 128 96 65535\n" + np.repeat(deep[..., None], 3, 2).astype(">u2").tobytes(),
        "jp2": imagecodecs.jpeg2k_encode(deep, bitspersample=12),
        "avif": imagecodecs.avif_encode(np.repeat(deep[..., None], 3, 2) << 2, bitspersample=10),
    }
    for extension, raw in sixteen.items():
        bits = 10 if extension == "avif" else 16 if extension == "ppm" else 12
        assert kinds_of(raw, f"x.{extension}") == {"16-bit": f"{bits} bits scaled to 8 bits"}, extension
    image = see_through(81)
    for kind in ("PNG", "WEBP", "TIFF", "TGA", "AVIF", "JPEG2000"):
        extension = {"JPEG2000": "jp2", "TIFF": "tif"}.get(kind, kind.lower())
        assert set(kinds_of(encode(image, kind), f"x.{extension}")) == {"alpha"}, kind
    for kind in ("GIF", "PNG"):
        assert "alpha" in kinds_of(encode(image.convert("P"), kind, transparency=3), f"x.{kind.lower()}"), kind
    for kind in ("JPEG", "TIFF"):
        extension = {"JPEG": "jpg", "TIFF": "tif"}[kind]
        assert "cmyk" in kinds_of(
            encode(Image.fromarray(picture(82, (96, 128))).convert("CMYK"), kind), f"x.{extension}"
        )
    several = io.BytesIO()
    tifffile.imwrite(several, np.stack([deep] * 3), photometric="minisblack")
    assert kinds_of(several.getvalue(), "x.tif")["animated"] == "3 frames; the first is used"


def test_a_set_of_many_sizes_has_none_that_is_far_from_the_rest():
    def facts(sizes):
        look = look_of(picture(1, (96, 128)))
        return [Facts(i, str(i), w, h, (), look) for i, (w, h) in enumerate(sizes)]

    same = [(640, 480)] * 20
    assert [f.width for f in _odd_sizes(facts([*same, (4000, 3000), (100, 80), (20, 20), (900, 700)]))] == [4000, 100]
    rng = np.random.default_rng(0)
    assert _odd_sizes(facts([(int(s), int(s)) for s in 2 ** rng.uniform(6, 12, 200)])) == []
    assert _odd_sizes(facts([(64, 64), (4000, 4000)])) == []


def test_a_fax_that_the_decoder_mends_is_remarked_on():
    """libtiff reads what is left, as Pillow does, and says so on standard error alone."""
    raw = encode(Image.fromarray(picture(3, (96, 128))[..., 0] > 128), "TIFF", compression="group4")
    assert kinds_of(raw, "x.tif") == {}
    noise = np.random.default_rng(0).integers(0, 256, 60, dtype=np.uint8).tobytes()
    assert "repaired" in kinds_of(raw[:20] + noise + raw[80:], "x.tif")
