"""Decoding against Pillow, on every kind of file that people have; damage is an error with a name."""

import io
import sys

import numpy as np
import pytest
from PIL import Image, ImageOps

from reslearn.data.formats import decode
from reslearn.data.formats.decode import MAX_PIXELS, decode_bytes, decode_file
from reslearn.spec.errors import UserError

from ..conftest import encode, picture

RNG = np.random.default_rng(0)


def by_pillow(raw):
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(raw))).convert("RGB")).astype(int)


def difference(raw):
    ours = decode_bytes(raw, "x")
    theirs = by_pillow(raw)
    assert ours.dtype == np.uint8 and ours.shape == theirs.shape
    return np.abs(ours - theirs).mean()


def test_photographs_agree_with_pillow(photographs):
    assert max(difference(raw) for _, raw in photographs[::4]) < 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_jpeg(mode, options):
    raw = encode(Image.fromarray(picture(1, (61, 83))).convert(mode), "JPEG", **options)
    assert difference(raw) < 2


def test_adobe_cmyk_is_not_inverted():
    """A red picture stored as CMYK must come out red, whoever converts."""
    red = Image.new("RGB", (16, 16), (220, 20, 30)).convert("CMYK")
    pixel = decode_bytes(encode(red, "JPEG", quality=95), "x")[8, 8].astype(int)
    assert np.abs(pixel - [220, 20, 30]).max() < 12


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA", "P", "1"])
@pytest.mark.parametrize("size", [(1, 1), (33, 47)])
def test_png_is_exact(mode, size):
    image = Image.fromarray(RNG.integers(0, 256, (*size, 4), dtype=np.uint8), "RGBA").convert(mode)
    assert difference(encode(image, "PNG")) == 0


def test_palette_with_transparency_is_exact():
    image = Image.fromarray(picture(2)).quantize(16)
    image.info["transparency"] = 3
    assert difference(encode(image, "PNG", transparency=3)) == 0
    assert difference(encode(image, "GIF")) == 0


def test_interlaced_and_trailing_bytes():
    raw = encode(picture(3), "PNG")
    assert np.array_equal(decode_bytes(raw + b"trailing rubbish", "x"), by_pillow(raw))
    jpeg = encode(picture(3))
    assert np.array_equal(decode_bytes(jpeg + b"\0" * 100, "x"), decode_bytes(jpeg, "x"))


@pytest.mark.parametrize("kind", ["BMP", "GIF", "WEBP", "TIFF", "PPM", "TGA", "JPEG2000"])
def test_other_formats(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    assert difference(encode(picture(4), kind, **options)) == 0


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_not_wrapped(kind):
    values = np.array([[0, 255, 256, 32768, 65280, 65535]], dtype=np.uint16)
    grey = decode_bytes(encode(values, kind), "x")
    assert grey.shape == (1, 6, 3)
    assert np.abs(grey[0, :, 0].astype(float) - values[0] / 257).max() <= 0.5
    assert (grey == grey[..., :1]).all()


def test_sixteen_bit_colour_is_scaled_not_wrapped():
    import cv2

    values = RNG.integers(0, 65536, (7, 9, 3)).astype(np.uint16)
    for extension in (".png", ".tiff"):
        raw = cv2.imencode(extension, values)[1].tobytes()
        assert np.abs(decode_bytes(raw, "x")[..., ::-1].astype(float) - values / 257).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_honoured(orientation, kind):
    exif = Image.Exif()
    exif[0x112] = orientation
    raw = encode(picture(5, (24, 40)), kind, exif=exif)
    assert decode_bytes(raw, "x").shape[:2] == ((24, 40) if orientation < 5 else (40, 24))
    assert difference(raw) < 2


def test_animated_files_give_their_first_frame():
    frames = [Image.fromarray(picture(s)) for s in range(3)]
    for kind in ("GIF", "PNG", "WEBP"):
        out = io.BytesIO()
        frames[0].save(out, kind, save_all=True, append_images=frames[1:], duration=50)
        assert difference(out.getvalue()) < 2


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_file_is_an_error_naming_it(kind, share, tmp_path):
    raw = encode(picture(6, (64, 96), smooth=False), kind)
    path = tmp_path / "cut.img"
    path.write_bytes(raw[: int(len(raw) * share)])
    with pytest.raises(UserError, match=r"cut\.img: .*(damaged|truncated|not an image)"):
        decode_file(str(path))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "empty"),
        (b"hello, this is text", "not an image"),
        (b"\xff\xd8\xff", "image"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not an image"),  # Pillow would start Ghostscript for it
    ],
)
def test_what_is_no_image_says_so(raw, message):
    with pytest.raises(UserError, match=message) as error:
        decode_bytes(raw, "some/file.jpg")
    assert str(error.value).startswith("some/file.jpg: ") and "\n" not in str(error.value)


def test_a_decompression_bomb_is_refused_from_its_header():
    for raw in (encode(Image.new("1", (20_000, 20_000)), "PNG"), encode(Image.new("1", (20_000, 20_000)), "TIFF")):
        assert len(raw) < 60_000_000 and MAX_PIXELS < 20_000**2
        with pytest.raises(UserError, match="decompression bomb"):
            decode_bytes(raw, "bomb.png")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP", "JPEG2000", "BMP", "GIF"])
def test_another_bound_on_pixels_is_held_by_every_kind(form):
    raw = encode(Image.new("RGB", (40, 30)), form)
    assert decode_bytes(raw, "x", 1200).shape == (30, 40, 3)
    with pytest.raises(UserError, match=r"^x: 40x30 is over 1,199 pixels"):
        decode_bytes(raw, "x", 1199)


def test_a_missing_file_is_an_error_naming_it():
    with pytest.raises(UserError, match=r"no/such\.jpg: cannot be read"):
        decode_file("no/such.jpg")


@pytest.mark.parametrize("maxval", [256, 1023, 4095, 65535])
def test_a_pgm_of_more_than_8_bits_is_scaled(maxval):
    """PGM in binary (P5) and in words (P2): v of `maxval` is round(255 v / maxval), to the rounding of two steps."""
    values = np.array([0, 1, 100, maxval // 3, maxval // 2, maxval - 1, maxval], dtype=np.uint16)
    expected = np.rint(255 * values.astype(float) / maxval)
    head = f"{len(values)} 1\n{maxval}\n".encode()
    for raw in (b"P5\n" + head + values.astype(">u2").tobytes(), b"P2\n" + head + " ".join(map(str, values)).encode()):
        image = decode_bytes(raw, "x.pgm")
        assert image.shape == (1, len(values), 3) and np.abs(image[0] - expected[:, None]).max() <= 1
        assert image[0, -1, 0] == 255 and image[0, 0, 0] == 0


def test_a_heic_picture_is_named_with_the_package_that_reads_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    decode._with_heif.cache_clear()
    raw = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)
    with pytest.raises(UserError, match=r"IMG_1\.HEIC: a HEIC .*pillow-heif.* is not read; pip install pillow-heif"):
        decode_bytes(raw, "IMG_1.HEIC")
    decode._with_heif.cache_clear()


@pytest.mark.parametrize("orientation", [1, 6])
def test_heic_is_read_where_its_package_is(orientation):
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif: pip install pillow-heif")
    exif = Image.Exif()
    exif[0x112] = orientation
    out = io.BytesIO()
    heif.from_pillow(Image.fromarray(picture(8, (64, 48)))).save(out, quality=95, exif=exif.tobytes())
    ours = decode_bytes(out.getvalue(), "x.heic")
    with heif.open_heif(io.BytesIO(out.getvalue())).to_pillow() as theirs:
        assert np.array_equal(ours, np.asarray(ImageOps.exif_transpose(theirs).convert("RGB")))


@pytest.mark.parametrize("broken", [b"Exif\0\0" + b"\xff" * 40, b"Exif\0\0", b"rubbish"])
def test_a_whole_picture_is_not_refused_for_its_metadata(broken):
    image = Image.fromarray(picture(9))
    for raw in (encode(image, "WEBP", lossless=True, exif=broken), encode(image.quantize(), "PNG", exif=broken)):
        assert decode_bytes(raw, "x").shape == (24, 32, 3)
