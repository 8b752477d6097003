"""A header is read in a time that no file can make long: what keeps readers busy is refused by name, or passed over."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from reslearn.data.formats.decode import decode_bytes
from reslearn.data.pictures.headers import MOST_SCANS, MOST_SEGMENTS, read_header, without_text
from reslearn.spec.errors import BadPicture

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)


def saved(form, **how):
    target = io.BytesIO()
    Image.fromarray(PIXELS).save(target, form, **how)
    return target.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(extra):
    raw = saved("PNG")
    at = raw.index(b"IDAT") - 4
    return raw[:at] + extra + raw[at:]


def packed(keyword, size):
    return chunk(b"zTXt", keyword + b"\0\0" + zlib.compress(bytes(size), 9))


def with_scans(count, size=64):
    """A grey progressive JPEG: one scan for the mean of every block, then `count` that add nothing."""
    blocks = (size // 8) ** 2
    table = b"\xff\xc4\x00\x14%c\x01" + bytes(15)
    head = b"\xff\xd8\xff\xdb\x00\x43\x00" + bytes([1] * 64)
    head += b"\xff\xc2" + struct.pack(">HBHHB", 11, 8, size, size, 1) + b"\x01\x11\x00"
    head += table % 0 + b"\x00" + table % 0x10 + b"\xe0"  # a difference of nothing; a run of blocks without more
    head += b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" + bytes(blocks // 8)
    return head + b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x00\x3f\xfe" * count + b"\xff\xd9"


JPEG = saved("JPEG")
FRAME = b"\xff\xc0\x00\x0b\x08\x00\x40\x00\x40\x01\x01\x11\x00"
TOO_MUCH = {
    "chunks": png(chunk(b"tEXt", b"") * (MOST_SEGMENTS + 1)),
    "segments": JPEG[:2] + b"\xff\xe2\x00\x02" * (MOST_SEGMENTS + 1) + JPEG[2:],
    "fill": JPEG[:2] + b"\xff" * (MOST_SEGMENTS + 2) + JPEG[2:],
    "frames": JPEG[:2] + FRAME * (MOST_SEGMENTS + 1) + b"\xff\xe1\x00\x02" + JPEG[2:],
    "scans": with_scans(MOST_SCANS),
    "scans, each behind a lonely marker": with_scans(MOST_SCANS).replace(b"\xff\xda", b"\xff\x01\xff\xda"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_more_than_a_picture_needs_is_refused_at_once(what):
    began = time.process_time()
    with pytest.raises(
        BadPicture, match=r"^x: a (PNG|JPEG) with over [0-9,]+ (chunks|segments|scans) .*; save it anew$"
    ):
        decode_bytes(TOO_MUCH[what], "x")
    assert time.process_time() - began < 2  # seconds of a slow machine; it was half a minute


def test_scans_that_are_allowed_are_read():
    raw = with_scans(MOST_SCANS - 1)
    assert Image.open(io.BytesIO(raw)).size == (64, 64)
    assert decode_bytes(raw, "x").shape == (64, 64, 3)
    assert np.array_equal(decode_bytes(JPEG, "x"), decode_bytes(saved("JPEG"), "x"))
    progressive = saved("JPEG", progressive=True, quality=95)
    assert not read_header(progressive).excess and decode_bytes(progressive, "x").shape == PIXELS.shape


def test_metadata_that_look_like_scans_are_none():
    """As a film that a telephone puts into its picture."""
    progressive = saved("JPEG", progressive=True)
    raw = progressive[:2] + b"\xff\xe2\x10\x02" + b"\xff\xda" * 2048 + progressive[2:]
    assert np.array_equal(decode_bytes(raw, "x"), decode_bytes(progressive, "x"))


TEXTS = {
    "much, packed well": packed(b"Comment", 1 << 20) * 300,
    "orientation, packed well": packed(b"Raw profile type exif", 1 << 20) * 300,
    "EXIF's mark": chunk(b"eXIf", b"Exif\0\0" * 100_000),
    "a long number": chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0tiff:Orientation="' + b"1" * 6000 + b'"'),
    "no text at all": chunk(b"iTXt", b"XML:com.adobe.xmp\0"),
}


@pytest.mark.parametrize("what", TEXTS)
def test_text_beside_the_pixels_costs_nothing(what):
    raw, began = png(TEXTS[what]), time.process_time()
    assert np.array_equal(decode_bytes(raw, "x"), PIXELS)
    assert time.process_time() - began < 2


def test_a_png_without_its_text_is_the_same_picture():
    raw = png(packed(b"Comment", 100) + chunk(b"tEXt", b"a\0b"))
    assert without_text(raw) == saved("PNG") and read_header(raw).text and not read_header(saved("PNG")).text


@pytest.mark.parametrize(
    ("said", "turn"), [(b"6", 6), (b"06", 6), (b"0000000008", 8), (b"16", 1), (b"106", 1), (b"0", 1)]
)
def test_orientation_as_xmp_says(said, turn):
    raw = png(chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0tiff:Orientation="' + said + b'"'))
    assert read_header(raw).orientation == turn
