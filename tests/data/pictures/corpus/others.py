"""The part of the corpus that is not TIFF: every other format, kinds that are none, damage."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from .metadata import chunk, exif_block
from .pictures import SIZE, Case, at_depth, by_pillow, encode, label, rgb, smooth, turned

_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def write_png(samples, bits, colour, *, interlaced=False, before=b"", split=0):
    """A PNG of any depth and colour type, row filter Up: (H, W, C) samples."""
    height, width = samples.shape[:2]
    data = b""
    for y, x, dy, dx in _ADAM7 if interlaced else ((0, 0, 1, 1),):
        part = samples[y::dy, x::dx]
        if not part.size:
            continue
        if bits == 16:
            rows = np.frombuffer(part.astype(">u2").tobytes(), np.uint8).reshape(len(part), -1)
        else:
            rows = part.reshape(len(part), -1).astype(np.uint8)
            if bits < 8:
                loose = np.unpackbits(rows[..., None], axis=2)[..., 8 - bits :].reshape(len(part), -1)
                rows = np.packbits(loose, axis=1)
        up = np.concatenate([rows[:1], rows[1:] - rows[:-1]])
        data += b"".join(b"\2" + row.tobytes() for row in up)
    packed = zlib.compress(data)
    pieces = [packed] if not split else [packed[i : i + split] for i in range(0, len(packed), split)]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced)))
    body = b"".join(chunk(b"IDAT", piece) for piece in pieces)
    return b"\x89PNG\r\n\x1a\n" + head + before + body + chunk(b"IEND", b"")


def pngs():
    """Every legal colour type and depth; interlaced; transparency; gamma and sBIT, which change nothing."""
    legal = (
        [(0, b) for b in (1, 2, 4, 8, 16)]
        + [(3, b) for b in (1, 2, 4, 8)]
        + [(c, b) for c in (2, 4, 6) for b in (8, 16)]
    )
    for k, ((colour, bits), interlaced) in enumerate(itertools.product(legal, (False, True))):
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        samples = at_depth(smooth(500 + k, channels), bits)
        palette = np.random.default_rng(k).integers(0, 256, (2**bits if colour == 3 else 1, 3), dtype=np.uint8)
        want = (
            palette[samples[..., 0]]
            if colour == 3
            else rgb(samples[..., : 1 if channels < 3 else 3] / (2**bits - 1) * 255)
        )
        plte = chunk(b"PLTE", palette.tobytes()) if colour == 3 else b""
        key = {0: struct.pack(">H", 1), 2: struct.pack(">3H", 1, 2, 3), 3: bytes([0, 128])}.get(colour)
        extras = {"": b"", "gamma": chunk(b"gAMA", struct.pack(">I", 100_000)), "sbit": b""}
        if key:
            extras["trns"] = b""
        for extra, early in extras.items():
            before = early + plte + (chunk(b"tRNS", key) if extra == "trns" else b"")
            if extra == "sbit":
                before = (
                    chunk(b"sBIT", bytes([max(1, min(bits, 8) - 2)] * (3 if colour in (2, 3) else channels))) + plte
                )
            for turn in (1, 6) if extra == "" else (1,):
                exif = chunk(b"eXIf", exif_block(turn)) if turn != 1 else b""
                raw = write_png(samples, bits, colour, interlaced=interlaced, before=before + exif, split=97 * (k % 2))
                yield Case(
                    label("png", colour, bits, "adam7" if interlaced else "", extra, turn), raw, turned(rgb(want), turn)
                )


def jpegs():
    """Colour models, sampling, progressive, arithmetic, restart markers, trailing bytes."""
    v8 = at_depth(smooth(700), 8)
    image = Image.fromarray(v8)
    for mode, options in itertools.product(
        ("RGB", "L", "CMYK"), ({}, {"progressive": True}, {"quality": 30}, {"optimize": True, "restart_marker_rows": 1})
    ):
        raw = encode(image.convert(mode), "JPEG", **options)
        for tail in (b"", b"\0" * 9, b"tail\xff\xd9"):
            yield Case(label("jpeg", mode, *options, len(tail)), raw + tail, by_pillow(raw), True)
    for sampling in (0, 1, 2):
        raw = encode(image, "JPEG", subsampling=sampling, quality=92)
        yield Case(label("jpeg-sampling", sampling), raw, by_pillow(raw), True)
    for space in ("RGB", "YCBCR"):
        raw = imagecodecs.jpeg8_encode(v8, level=95, colorspace="RGB", outcolorspace=space)
        yield Case(label("jpeg-space", space), raw, by_pillow(raw), True)
    inks = at_depth(smooth(701, 4), 8)
    for space in ("CMYK", "YCCK"):
        raw = imagecodecs.jpeg8_encode(inks, level=95, colorspace="CMYK", outcolorspace=space)
        yield Case(label("jpeg-inks", space), raw, by_pillow(raw), True)
    for adobe in range(3):  # without, and with, Adobe's marker (which also inverts)
        raw = encode(image.convert("CMYK"), "JPEG", quality=95)
        at = raw.index(b"\xff\xee")
        raw = raw[:at] + raw[at + 16 :] if adobe == 0 else raw
        yield Case(label("jpeg-adobe", adobe), raw, by_pillow(raw), True)
    yield Case("jpeg-12", imagecodecs.jpeg_encode(at_depth(smooth(702), 12), bitspersample=12), None, says="12 bits")
    for bits, says in ((8, "lossless JPEG"), (12, "12 bits"), (16, "16 bits")):
        raw = imagecodecs.ljpeg_encode(at_depth(smooth(703, 1)[..., 0], bits), bitspersample=bits)
        yield Case(label("jpeg-lossless", bits), raw, None, says=says)
    two = encode(Image.fromarray(v8[..., 0]), "JPEG")
    at = two.index(b"\xff\xc0")
    yield Case("jpeg-2-components", two[: at + 9] + b"\2" + two[at + 10 :], None, says="2 components")


def jpeg2000s():
    for k, (channels, bits, form) in enumerate(
        itertools.product((1, 3, 4), (1, 2, 4, 7, 8, 9, 10, 12, 15, 16), ("JP2", "J2K"))
    ):
        samples = at_depth(smooth(800 + k, channels), bits)
        data = samples if channels > 1 else samples[..., 0]
        raw = imagecodecs.jpeg2k_encode(data, codecformat=form, reversible=True, bitspersample=bits)
        want = imagecodecs.jpeg2k_decode(raw).reshape(samples.shape) / (2**bits - 1) * 255
        yield Case(label("jp2", form, channels, bits), raw, rgb(want))
    for space in (14, 20, 24):  # Lab and others, of which Pillow makes RGB or an error
        raw = imagecodecs.jpeg2k_encode(at_depth(smooth(829), 8), codecformat="JP2")
        at = raw.index(b"colr") + 7
        yield Case(
            label("jp2-space", space), raw[:at] + struct.pack(">I", space) + raw[at + 4 :], None, says="colour space"
        )
    ycc = np.asarray(Image.fromarray(at_depth(smooth(828), 8)).convert("YCbCr"))
    raw = imagecodecs.jpeg2k_encode(ycc, codecformat="JP2", colorspace="SYCC", mct=False)
    yield Case("jp2-sycc", raw, np.asarray(Image.fromarray(ycc, "YCbCr").convert("RGB")), lossy=True)
    signed = (smooth(830)[..., 0] * 200 - 100).astype(np.int16)
    yield Case("jp2-signed", imagecodecs.jpeg2k_encode(signed), None, says="signed")


def pnms():
    """Every magic number, in words and in bytes, with any maxval and a comment."""
    rng = np.random.default_rng(900)
    for magic, maxval in itertools.product((2, 3, 5, 6), (1, 3, 100, 255, 256, 1000, 4095, 65535)):
        channels = 3 if magic in (3, 6) else 1
        samples = rng.integers(0, maxval + 1, (*SIZE, channels))
        samples[0, 0] = maxval
        head = f"P{magic}\n# a comment\n{SIZE[1]} {SIZE[0]}\n{maxval}\n".encode()
        if magic < 4:
            body = " ".join(map(str, samples.ravel())).encode()
        else:
            body = samples.astype(">u1" if maxval < 256 else ">u2").tobytes()
        yield Case(label("pnm", magic, maxval), head + body, rgb(samples / maxval * 255))
    bits = rng.integers(0, 2, SIZE, dtype=np.uint8)
    head = f"{SIZE[1]} {SIZE[0]}\n".encode()
    yield Case("pnm-1", b"P1\n" + head + " ".join(map(str, bits.ravel())).encode(), rgb(255.0 * (1 - bits)))
    yield Case("pnm-4", b"P4\n" + head + np.packbits(bits, axis=1).tobytes(), rgb(255.0 * (1 - bits)))
    for magic in (b"Pf", b"PF"):
        body = bytes(4 * SIZE[0] * SIZE[1] * (3 if magic == b"PF" else 1))
        yield Case(
            label("pfm", magic.decode()), magic + b"\n" + head + b"-1.0\n" + body, None, says="32 bits|not an image"
        )


def by_other_programs():
    """Formats that Pillow writes and reads; animations give their first frame."""
    v = at_depth(smooth(1000, 4), 8)
    frames = [Image.fromarray(at_depth(smooth(1001 + i, 4), 8)) for i in range(3)]
    for mode, kind in itertools.product(
        ("RGB", "L", "P", "1", "RGBA", "LA"), ("BMP", "GIF", "TGA", "PCX", "ICO", "DIB", "WEBP", "AVIF")
    ):
        image = Image.fromarray(v).convert(mode)
        options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "AVIF" else {}
        try:
            raw = encode(image, kind, **options)
        except (OSError, ValueError):
            continue  # a mode that this format does not have
        yield Case(label("other", kind, mode), raw, by_pillow(raw))
        if kind == "TGA" and mode != "1":
            raw = encode(image, kind, compression="tga_rle")
            yield Case(label("other", kind, mode, "rle"), raw, by_pillow(raw))
    for kind, mode in itertools.product(("GIF", "PNG", "WEBP", "AVIF", "TIFF"), ("RGB", "RGBA", "P")):
        first, *rest = [frame.convert(mode) for frame in frames]
        raw = encode(first, kind, save_all=True, append_images=rest)
        yield Case(label("animated", kind, mode), raw, by_pillow(raw), lossy=kind in ("WEBP", "AVIF"))
    file = io.BytesIO()
    tifffile.imwrite(file, v[..., :3], compression="webp", photometric="rgb")  # Pillow's wheels have no codec for it
    raw = file.getvalue()
    yield Case("tiff-webp", raw, tifffile.imread(io.BytesIO(raw)), lossy=True)
    small = Image.fromarray(v[:9, :11]).convert("P")
    raw = encode(small, "GIF", save_all=True, append_images=[small.rotate(90)], disposal=2, transparency=3)
    yield Case("animated-gif-transparent", raw, by_pillow(raw))
    # a GIF whose first frame covers a part of the screen
    raw = bytearray(encode(small, "GIF"))
    raw[6:10] = struct.pack("<HH", 30, 25)
    yield Case("gif-part", bytes(raw), by_pillow(bytes(raw)))


def other_kinds():
    """What is no picture, or none that is read: named for what it is."""
    for says, raw in (
        ("JPEG XL", imagecodecs.jpegxl_encode(at_depth(smooth(1100), 8))),
        ("QOI", encode(at_depth(smooth(1100), 8), "QOI")),
        ("JPEG-LS", imagecodecs.jpegls_encode(at_depth(smooth(1100), 8))),
        ("JPEG XR", imagecodecs.jpegxr_encode(at_depth(smooth(1100), 8))),
        ("PDF", encode(at_depth(smooth(1100), 8), "PDF")),
        ("PostScript", encode(at_depth(smooth(1100), 8), "EPS")),
        ("SGI", encode(at_depth(smooth(1100), 8), "SGI")),
        ("DirectDraw", encode(at_depth(smooth(1100), 8), "DDS")),
        ("X11", encode(Image.new("1", (9, 9)), "XBM")),
        ("damaged", b"\x89PNG\r\n\x1a\n" + bytes(40)),
        ("ZIP", b"PK\3\4" + bytes(40)),
        ("video", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(40)),
        ("CgBI", b"\x89PNG\r\n\x1a\n" + chunk(b"CgBI", bytes(4)) + encode(at_depth(smooth(1100), 8), "PNG")[8:]),
        ("web page", b"<!DOCTYPE html><html><body>404</body></html>"),
        ("SVG", b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>'),
        ("git lfs pull", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        ("DICOM", bytes(128) + b"DICM" + bytes(40)),
        ("Photoshop", b"8BPS\0\1" + bytes(40)),
        ("not an image", b"hello, this is text"),
        ("HEIC", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)),
        ("HEIC picture", b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" + bytes(200)),
    ):
        yield Case(label("kind", says), raw, None, says=says)


def damaged():
    """Whole files cut at several places: none may be read as if it were whole."""
    v = smooth(1200, 3, (64, 48))
    wholes = {
        kind: encode(at_depth(v, 8), kind)
        for kind in ("JPEG", "PNG", "GIF", "BMP", "WEBP", "PPM", "TGA", "JPEG2000", "AVIF")
    }
    wholes["PNG16"] = imagecodecs.png_encode(at_depth(v, 16))
    wholes["JP216"] = imagecodecs.jpeg2k_encode(at_depth(v, 16))
    wholes["progressive"] = encode(at_depth(v, 8), "JPEG", progressive=True)
    for kind, raw in wholes.items():
        for share in (0.02, 0.2, 0.5, 0.8, 0.97):
            cut = raw[: int(len(raw) * share)]
            yield Case(label("cut", kind, share), cut, None)
