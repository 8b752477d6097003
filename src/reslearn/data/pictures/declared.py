"""What a file declares of its picture, for the remarks of `data check`: nothing is decoded, nothing raises."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from dataclasses import dataclass

from PIL import Image as Pillow

from .headers import read_header
from .jpeg2000 import read_components
from .orientation import of_pillow, orientation
from .tiff import CMYK, count_pages, is_tiff, read_tiff


@dataclass(frozen=True)
class Declared:
    """`format` is Pillow's name of it. Width and height as stored, before the picture is turned; 0 where unknown."""

    format: str
    width: int
    height: int
    bits: int = 8  # of a sample
    alpha: bool = False  # a channel, or a transparent colour
    cmyk: bool = False
    frames: int = 1
    orientation: int = 1


def declared(raw: bytes, formats: tuple[str, ...]) -> Declared | None:
    """By our own headers where there are some, else by Pillow's; None where neither understands the file.

    Raises Pillow's DecompressionBombError alone.
    """
    if is_tiff(raw):
        with contextlib.suppress(Exception):  # damaged, or of a kind that decoding names
            tiff = read_tiff(raw)
            alpha, inks = 1 in tiff.extra or 2 in tiff.extra, tiff.photometric == CMYK
            turn = tiff.orientation or orientation(b"", tiff.xmp)
            return Declared("TIFF", tiff.width, tiff.height, tiff.bits, alpha, inks, count_pages(raw), turn)
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Pillow.open(io.BytesIO(raw), formats=formats)
    except Pillow.DecompressionBombError:
        raise
    except Exception:  # damaged headers raise anything; decoding will name what is wrong
        return None
    with image:
        frames = 1
        with contextlib.suppress(Exception):
            if getattr(image, "is_animated", False) and image.format != "MPO":
                frames = int(getattr(image, "n_frames", 1))
        alpha = image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info
        turn, header = of_pillow(image), read_header(raw)
        if header is not None:
            turn, alpha = header.orientation, header.alpha
        size = (image.size[0], image.size[1])
        return Declared(image.format or "", *size, _bits(raw, image), alpha, image.mode == "CMYK", frames, turn)


def _bits(raw: bytes, image: Pillow.Image) -> int:
    """Bits of a sample, by what each format says of it."""
    header, components = read_header(raw), read_components(raw)
    if header is not None:
        return header.bits
    if components is not None:
        return max(components.bits, default=8)
    if image.format == "PPM":
        numbers = re.sub(rb"#[^\n]*", b" ", raw[:4096]).split()
        named = raw[1:2] in b"2356" and len(numbers) > 3 and numbers[3].isdigit()
        return int(numbers[3]).bit_length() if named else 32 if image.mode == "F" else 8
    if image.format in {"AVIF", "HEIF"}:
        at = raw.find(b"pixi", 0, 1 << 14)  # version and flags, number of channels, bits of each
        return raw[at + 9] if 0 <= at < len(raw) - 9 else 8
    return 16 if image.mode.startswith("I;16") else 8
