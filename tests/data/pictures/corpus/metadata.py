"""Orientation in every place where programs put it, and rubbish in those places."""

from __future__ import annotations

import itertools
import struct
import zlib

import imagecodecs
from PIL import Image

from .pictures import Case, at_depth, by_pillow, encode, label, smooth, turned


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def with_chunk(png, kind, data, before=b"IDAT"):
    at = png.index(before) - 4
    return png[:at] + chunk(kind, data) + png[at:]


def exif_block(value, *, order="<", kind=3, prefix=b"", before=()):
    """An EXIF block with the orientation tag in any type and byte order."""
    code = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}[kind]
    entries = b"".join(struct.pack(order + "HHII", tag, 4, 1, 7) for tag in before)
    entries += struct.pack(order + "HHI", 0x112, kind, 1) + struct.pack(order + code, value).ljust(4, b"\0")
    head = b"II*\0" if order == "<" else b"MM\0*"
    return prefix + head + struct.pack(order + "IH", 8, len(before) + 1) + entries + bytes(4)


def xmp_packet(value, form):
    body = {
        "attribute": f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{value}"/>',
        "single": f"<rdf:Description xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='{value}'/>",
        "element": f"<rdf:Description><tiff:Orientation>{value}</tiff:Orientation></rdf:Description>",
    }[form]
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF>{body}</rdf:RDF></x:xmpmeta>'.encode()


def app1(jpeg, payload):
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def raw_profile(block):
    return (
        b"\nexif\n%8d\n" % len(block)
        + b"\n".join(block.hex().encode()[i : i + 72] for i in range(0, 2 * len(block), 72))
        + b"\n"
    )


def with_metadata(values, kind, exif=b"", xmp=b""):
    image = Image.fromarray(values)
    if kind == "JPEG":
        raw = encode(image, "JPEG", quality=95, subsampling=0)
        raw = app1(raw, b"http://ns.adobe.com/xap/1.0/\0" + xmp) if xmp else raw
        return app1(raw, b"Exif\0\0" + exif) if exif else raw
    if kind in ("PNG", "palette"):
        raw = encode(image.quantize(64) if kind == "palette" else image, "PNG")
        raw = with_chunk(raw, b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp) if xmp else raw
        return with_chunk(raw, b"eXIf", exif) if exif else raw
    options = {key: value for key, value in (("exif", exif and b"Exif\0\0" + exif), ("xmp", xmp)) if value}
    return encode(image, "WEBP", lossless=True, **options)


def orientations():
    """In EXIF of every integer type and byte order, in XMP, in PNG text; and rubbish, which says nothing."""
    values = at_depth(smooth(600), 8)
    for kind in ("JPEG", "PNG", "palette", "WEBP"):
        lossy = kind in ("JPEG", "palette")
        upright = by_pillow(with_metadata(values, kind)) if kind == "palette" else values.astype(float)
        for turn in range(1, 9):
            for order, typ in itertools.product("<>", (1, 3, 4, 8, 9) if turn in (3, 6) else (3,)):
                raw = with_metadata(values, kind, exif_block(turn, order=order, kind=typ, before=(0x100,)))
                yield Case(label(kind, "exif", order, typ, turn), raw, turned(upright, turn), lossy)
            for form in ("attribute", "element", "single"):
                raw = with_metadata(values, kind, xmp=xmp_packet(turn, form))
                yield Case(label(kind, "xmp", form, turn), raw, turned(upright, turn), lossy)
        raw = with_metadata(values, kind, exif_block(8), xmp_packet(3, "attribute"))
        yield Case(label(kind, "exif-over-xmp"), raw, turned(upright, 8), lossy)
        raw = with_metadata(values, kind, exif_block(1), xmp_packet(3, "attribute"))
        yield Case(label(kind, "exif-upright-over-xmp"), raw, upright, lossy)
        for k, bad in enumerate(rubbish()):
            yield Case(label(kind, "rubbish", k), with_metadata(values, kind, bad), upright, lossy)
            raw = with_metadata(values, kind, bad, xmp_packet(6, "element"))
            yield Case(label(kind, "rubbish-and-xmp", k), raw, turned(upright, 6) if k != 1 else upright, lossy)
        for turn in (0, 9, 255):
            yield Case(label(kind, "outside", turn), with_metadata(values, kind, exif_block(turn)), upright, lossy)
    jpeg = with_metadata(values, "JPEG")
    for name, block in odd_blocks().items():
        raw = app1(jpeg, b"Exif\0\0" + block)
        yield Case(label("JPEG", "odd", name), raw, by_pillow(raw), True)
    png = encode(values, "PNG")
    deep = imagecodecs.png_encode(at_depth(smooth(601), 16))
    for turn, prefix in itertools.product((2, 5, 6, 8), (b"", b"Exif\0\0")):
        text = raw_profile(exif_block(turn, prefix=prefix))
        for base, want in ((png, values), (deep, smooth(601) * 255)):
            for kind, body in ((b"tEXt", text), (b"zTXt", b"\0" + zlib.compress(text))):
                raw = with_chunk(base, kind, b"Raw profile type exif\0" + body)
                yield Case(
                    label("png", "profile", kind.decode(), len(prefix), turn, len(base)), raw, turned(want, turn)
                )
            raw = with_chunk(
                base, b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp_packet(turn, "attribute"))
            )
            yield Case(label("png", "xmp-packed", len(prefix), turn, len(base)), raw, turned(want, turn))
            raw = with_chunk(base, b"eXIf", exif_block(turn), before=b"IEND")
            yield Case(label("png", "exif-late", turn, len(base), len(prefix)), raw, turned(want, turn))
    for bad in (b"", b"\nexif\n", b"\nexif\n 4\nzzzz\n", b"\nexif\n 4\nabc\n"):
        yield Case(
            label("png", "profile-rubbish", len(bad)),
            with_chunk(png, b"tEXt", b"Raw profile type exif\0" + bad),
            values,
        )


def odd_blocks():
    """EXIF that Pillow understands all the same, or rightly does not."""
    head = b"II*\0" + struct.pack("<IH", 8, 1)
    entry = struct.pack("<HHIHH", 0x112, 3, 1, 6, 0)
    return {
        "two-values": head + struct.pack("<HHIHH", 0x112, 3, 2, 6, 6) + bytes(4),
        "no-values": head + struct.pack("<HHIHH", 0x112, 3, 0, 6, 0) + bytes(4),
        "rational": head + struct.pack("<HHII", 0x112, 5, 1, 26) + bytes(4) + struct.pack("<II", 6, 1),
        "float": head + struct.pack("<HHIf", 0x112, 11, 1, 6.0) + bytes(4),
        "text": head + struct.pack("<HHI4s", 0x112, 2, 2, b"6") + bytes(4),
        "marked-twice": b"Exif\0\0" + head + entry + bytes(4),
        "thumbnail-only": head + struct.pack("<HHIII", 0x100, 4, 1, 5, 26) + struct.pack("<H", 1) + entry + bytes(4),
    }


def rubbish():
    """EXIF blocks that no reader understands."""
    whole = exif_block(6)
    return (
        b"\xff" * 40,
        exif_block(0),
        whole[:14],
        whole[:4] + b"\xff\xff\xff\x7f" + whole[8:],
        whole[:8] + b"\xff\xff" + b"\0" * 6,
        b"MM" + whole[2:],
        b"II*\0",
        b"\0",
    )
