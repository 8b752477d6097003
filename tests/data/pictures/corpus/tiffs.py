"""The TIFF part of the corpus: written by tifffile, by Pillow, and by hand where neither can."""

from __future__ import annotations

import io
import itertools
import struct

import imagecodecs
import numpy as np
import tifffile

from .pictures import Case, at_depth, by_tifffile, label, smooth, turned


def tiff(samples, **options):
    """Bytes of a TIFF that tifffile wrote."""
    out = io.BytesIO()
    tifffile.imwrite(out, samples, metadata=None, software=False, **options)
    return out.getvalue()


def tiffs():
    """Depth x photometric x alpha x planes x byte order x layout x compression x predictor."""
    kinds = [
        (photometric, bits, extra)
        for photometric, depths in (
            ("minisblack", (1, 2, 4, 6, 8, 10, 12, 14, 16)),
            ("miniswhite", (1, 4, 8, 12, 16)),
            ("rgb", (2, 4, 8, 10, 12, 16)),
            ("separated", (8, 16)),
        )
        for bits in depths
        for extra in ((), ("unassalpha",), ("assocalpha",), ("unspecified",))
        if not extra or (bits in (8, 16) and photometric != "separated")
    ]
    layouts = ({}, {"tile": (16, 16)}, {"rowsperstrip": 7})
    packings = (
        {},
        {"compression": "zlib"},
        {"compression": "zlib", "predictor": True},
        {"compression": "lzw"},
        {"compression": "lzw", "predictor": True},
        {"compression": "packbits"},
    )
    variants = list(itertools.product(("<", ">"), ("contig", "separate"), layouts, packings))
    for k, (photometric, bits, extra) in enumerate(kinds):
        colours = {"rgb": 3, "separated": 4}.get(photometric, 1)
        values = smooth(k, colours + len(extra))
        if extra == ("assocalpha",):
            values[..., :colours] *= values[..., colours:]
        samples = at_depth(values, bits)
        for j, (order, planar, layout, packing) in enumerate(variants):
            if (j * 7 + k) % 9 >= 2 and bits not in (12, 16):
                continue
            if (j * 5 + k) % 9 >= 4:
                continue
            if packing and bits not in (8, 16):  # those are `packed_tiffs`
                continue
            data = samples if samples.shape[2] > 1 else samples[..., 0]
            options = {"photometric": photometric, "byteorder": order, **layout, **packing}
            if extra:
                options["extrasamples"] = extra
            if data.ndim == 3:
                options["planarconfig"] = planar
                data = np.moveaxis(data, -1, 0) if planar == "separate" else data
            elif planar == "separate":
                continue
            if bits not in (8, 16):
                options["bitspersample"] = bits
            name = label(
                "tiff", photometric, bits, *extra, "II" if order == "<" else "MM", planar, *layout, *packing.values()
            )
            raw = tiff(data, **options)
            certain = photometric != "miniswhite" or extra != ("assocalpha",)
            yield Case(name, raw, by_tifffile(raw) if certain else None, says="multiplied")


_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B", 16: "Q"}
PACK = {
    1: lambda b: b,
    5: imagecodecs.lzw_encode,
    8: imagecodecs.zlib_encode,
    32773: imagecodecs.packbits_encode,
    34925: lambda b: imagecodecs.lzma_encode(b),
    50000: imagecodecs.zstd_encode,
}


def write_tiff(
    samples, bits, photometric, *, order="<", planar=1, tile=None, rows=None, compression=1, big=False, **tags
):
    """A TIFF of any depth and layout, of (H, W, S) unsigned samples; `tags` like t274=(3, [6])."""
    height, width, channels = samples.shape
    h, w = tile or (rows or height, width)
    down, across = -(-height // h), -(-width // w)
    padded = np.zeros((down * h, across * w, channels), samples.dtype)
    padded[:height, :width] = samples
    parts = []
    for plane in range(channels) if planar == 2 else [slice(None)]:
        for y, x in itertools.product(range(down), range(across)):
            part = padded[y * h : (y + 1) * h if tile else min((y + 1) * h, height), x * w : (x + 1) * w, plane]
            part = part.reshape(len(part), -1)
            if bits in (8, 16, 32):
                packed = part.astype(f"{order}u{bits // 8}").tobytes()
            else:
                packed = b"".join(imagecodecs.packints_encode(np.ascontiguousarray(row), bits) for row in part)
            packed = PACK[compression](packed)
            if tags.get("t266", (3, [1]))[1] == [2]:
                packed = packed.translate(bytes(int(f"{i:08b}"[::-1], 2) for i in range(256)))
            parts.append(packed)
    kind, places = (16 if big else 4), []
    at = 16 if big else 8
    for part in parts:
        places.append(at)
        at += len(part)
    entries = {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [compression])}
    entries |= {262: (3, [photometric]), 277: (3, [channels]), 284: (3, [planar])}
    entries |= {322: (4, [w]), 323: (4, [h])} if tile else {278: (4, [h])}
    entries |= {324 if tile else 273: (kind, places), 325 if tile else 279: (kind, [len(p) for p in parts])}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    return directory(entries, parts, at, order, big)


def directory(entries, parts, at, order, big):
    entries = {tag: value for tag, value in entries.items() if value is not None}
    far = at + (8 if big else 2) + (20 if big else 12) * len(entries) + (8 if big else 4)
    room, wide = (8, "Q") if big else (4, "I")
    table, behind = struct.pack(order + ("Q" if big else "H"), len(entries)), b""
    for tag, (kind, values) in sorted(entries.items()):
        body = bytes(values) if kind in (1, 2, 7) else struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
        count = len(values) // 2 if kind == 5 else len(values)
        value = body.ljust(room, b"\0") if len(body) <= room else struct.pack(order + wide, far + len(behind))
        behind += body if len(body) > room else b""
        table += struct.pack(order + "HH" + wide, tag, kind, count) + value
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    start = struct.pack(order + "HHQ", 8, 0, at) if big else struct.pack(order + "I", at)
    return magic + start + b"".join(parts) + table + bytes(room) + behind


def packed_tiffs():
    """What tifffile does not write: odd depths compressed, reversed bits, palettes, BigTIFF, any tag."""
    layouts = ({}, {"tile": (16, 16)}, {"rows": 5})
    variants = list(itertools.product("<>", (1, 2), layouts, PACK, (False, True), (1, 2)))
    kinds = [(0, b, 1, ()) for b in (1, 2, 4, 8, 12, 16)] + [(1, b, 1, ()) for b in (1, 3, 5, 8, 11, 12, 16)]
    kinds += [(2, b, 3, ()) for b in (1, 4, 5, 8, 12, 14, 16)] + [(5, b, 4, ()) for b in (4, 8, 12, 16)]
    kinds += [(3, b, 1, ()) for b in (1, 2, 4, 8)] + [
        (2, 12, 4, (2,)),
        (2, 16, 5, (2, 0)),
        (1, 12, 2, (1,)),
        (3, 8, 2, (2,)),
    ]
    for k, (photometric, bits, channels, extra) in enumerate(kinds):
        samples = at_depth(smooth(100 + k, channels), bits)
        for j, (order, planar, layout, compression, big, fill) in enumerate(variants):
            if (j * 11 + k * 5) % 47 >= 2:
                continue
            tags = {"t338": (3, list(extra))} if extra else {}
            tags |= {"t266": (3, [2])} if fill == 2 else {}
            if photometric == 3:
                table = np.random.default_rng(k).integers(0, 65536, 3 * 2**bits)
                tags["t320"] = (3, table.tolist())
            turn = 1 + j % 8
            tags["t274"] = (3, [turn])
            options = {"order": order, "planar": planar, "compression": compression, "big": big, **layout}
            raw = write_tiff(samples, bits, photometric, **options, **tags)
            name = label(
                "tiff2", photometric, bits, *extra, order, planar, *layout, compression, big, f"fill{fill}", turn
            )
            yield Case(name, raw, by_tifffile(raw))


def tiff_refusals():
    """Kinds whose grey levels, colours or compression are not certain, or not read."""
    v = smooth(300)
    grey16, colour8 = at_depth(v[..., 0], 16), at_depth(v, 8)
    for order in "<>":
        for kind, says in (
            ("i1", "signed"),
            ("i2", "signed"),
            ("i4", "signed"),
            ("f2", "float"),
            ("f4", "float"),
            ("f8", "float"),
        ):
            data = (v * 100 - 50).astype(kind)
            for planar in ("contig", "separate"):
                shaped = np.moveaxis(data, -1, 0) if planar == "separate" else data
                raw = tiff(np.ascontiguousarray(shaped), photometric="rgb", byteorder=order, planarconfig=planar)
                yield Case(label("refused", "rgb", kind, order, planar), raw, None, says=says)
            raw = tiff(np.ascontiguousarray(data[..., 0]), photometric="minisblack", byteorder=order)
            yield Case(label("refused", "grey", kind, order), raw, None, says=says)
        raw = tiff(grey16.astype(np.uint32) << 16, photometric="minisblack", byteorder=order)
        yield Case(label("refused-32", order), raw, None, says="32 bits")
        for bands in (2, 3, 4, 5, 7):
            many = np.moveaxis(np.repeat(colour8[..., :1], bands, 2), -1, 0)
            for planar in ("contig", "separate"):
                data = many if planar == "separate" else np.ascontiguousarray(np.moveaxis(many, 0, -1))
                raw = tiff(data, photometric="minisblack", planarconfig=planar, byteorder=order)
                name = label("bands", bands, order, planar)
                yield Case(name, raw, None if bands > 2 else by_tifffile(raw), says=f"{bands} bands")
        for photometric in (4, 8, 9, 10, 32803, 34892, 32844, 32845, 7):
            channels = 1 if photometric in (4, 32803, 32844) else 3
            raw = write_tiff(colour8[..., :channels], 8, photometric, order=order)
            yield Case(label("refused-photometric", photometric, order), raw, None, says="is not read")
        yield Case(
            f"no-photometric-{order}", write_tiff(colour8, 8, 2, order=order, t262=None), None, says="photometric"
        )
        raw = write_tiff(at_depth(smooth(301, 4), 8), 8, 5, order=order, t332=(3, [2]))
        yield Case(f"other-inks-{order}", raw, None, says="inks")
        raw = write_tiff(colour8, 8, 2, order=order, t258=(3, [8, 8, 4]))
        yield Case(f"depths-differ-{order}", raw, None, says="8, 8, 4 bits")
        raw = write_tiff(colour8, 8, 2, order=order, t339=(3, [1, 1, 2]))
        yield Case(f"formats-differ-{order}", raw, None, says="signed")
    for compression, says in (("jpeg2000", "JPEG 2000"), ("jpegxl", "JPEG XL"), ("png", "PNG"), ("lerc", "LERC")):
        yield Case(f"refused-{compression}", tiff(colour8, photometric="rgb", compression=compression), None, says=says)
    yield Case(
        "refused-jpeg12",
        tiff(at_depth(v[..., 0], 12), photometric="minisblack", compression="jpeg", bitspersample=12),
        None,
        says="12 bits",
    )


def odd_tags():
    """Tags missing, of another type or contradicting: read where readers agree, refused where they do not."""
    v = at_depth(smooth(350, 3), 8)
    upright, lying = v.astype(float), turned(v.astype(float), 6)
    xmp = b'<rdf:Description tiff:Orientation="6"/>'
    for order, planar in itertools.product("<>", (1, 2)):

        def case(name, want, packed=1, says="", order=order, planar=planar, **tags):
            raw = write_tiff(v, 8, 2, order=order, planar=planar, compression=packed, **tags)
            return Case(label("tags", name, order, planar), raw, want, says=says)

        yield case("rows-huge", upright, t278=(4, [2**32 - 1]))
        yield case("rows-missing", upright, t278=None)
        yield case("counts-missing", upright, t279=None)
        yield case("counts-zero", upright, t279=(4, [0] * (1 if planar == 1 else 3)))
        yield case("counts-short", None, t279=(4, [10] * (1 if planar == 1 else 3)), says="damaged")
        yield case("one-depth", upright, t258=(3, [8]))
        yield case("one-format", upright, t339=(3, [1]))
        yield case("orientation-byte", lying, t274=(1, [6]))
        yield case("orientation-long", lying, t274=(4, [6]))
        yield case("orientation-outside", upright, t274=(3, [9]))
        yield case("xmp", lying, t700=(1, xmp))
        yield case("xmp-under-tag", upright, t700=(7, xmp), t274=(3, [1]))
        yield case("dng", None, t50706=(1, [1, 4, 0, 0]), says="DNG")
        yield case("small-copy", None, t254=(4, [1]), t330=(4, [8]), says="smaller copy")
        yield case("flag-alone", upright, t254=(4, [1]))
        yield case("predictor-stored", None, t317=(3, [2]), says="predictor")
        yield case("predictor-packbits", None, packed=32773, t317=(3, [2]), says="predictor")
        yield case("predictor-float", None, packed=8, t317=(3, [3]), says="predictor")
        yield case("no-samples", None, t277=None, says="damaged")
        yield case("compression-unknown", None, t259=(3, [999]), says="method 999")
    for count in (24, 0):
        raw = write_tiff(v[..., :1] >> 4, 4, 3, t320=(3, [7] * count) if count else None)
        yield Case(label("palette-short", count), raw, None, says="palette")
    four = write_tiff(at_depth(smooth(351, 4), 8), 8, 2)
    yield Case("rgba-undeclared", four, at_depth(smooth(351, 4), 8)[..., :3].astype(float))
    five = write_tiff(at_depth(smooth(352, 5), 8), 8, 2)
    yield Case("rgb-and-two-undeclared", five, None, says="5 bands")
