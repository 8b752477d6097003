"""Encoded bytes to RGB uint8. OpenCV for ordinary JPEG and PNG (1.2 to 1.7 times Pillow), Pillow for the rest.

Both see the same picture: grey replicated, alpha dropped as Pillow's convert("RGB") does, palette expanded, CMYK
converted, 16 bits scaled by 1/257 (never wrapped), EXIF orientation applied. What is damaged is an error with its name.
"""

from __future__ import annotations

import functools
import io
import struct
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageFile, ImageOps, UnidentifiedImageError

from ..spec.errors import UserError
from .dataset import Image

DECODER = 1  # one more whenever any file comes to be read as other pixels: pixel keys depend on it
MAX_PIXELS = 89_478_485  # Pillow's own limit: a third of a gigabyte as RGB; more is a mistake or an attack
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "JPEG2000", "TGA", "ICO", "PCX", "AVIF")
EXTENSIONS = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".apng",
        ".gif",
        ".bmp",
        ".dib",
        ".webp",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".jp2",
        ".j2k",
        ".tga",
        ".ico",
        ".pcx",
        ".mpo",
        ".avif",
    ]
)
_PNG = b"\x89PNG\r\n\x1a\n"


class NotAPicture(UserError):
    """A file that is in no format of a picture that is read; damage and emptiness are other matters."""


@dataclass(frozen=True)
class Header:
    """What the first bytes say, before any pixel is decoded."""

    format: str  # "JPEG" or "PNG"
    width: int
    height: int
    channels: int
    bits: int
    palette: bool = False
    animated: bool = False


def decode_bytes(raw: bytes, name: str) -> Image:
    """Decode one encoded picture to RGB uint8 (H, W, 3). Raises `UserError` naming `name` when it cannot be whole."""
    header = read_header(raw)
    if header is not None and _simple(raw, header):
        _check_size(header.width, header.height, name)
        flags = cv2.IMREAD_COLOR_RGB if _HAS_RGB else cv2.IMREAD_COLOR
        try:
            image = cv2.imdecode(np.frombuffer(raw, np.uint8), flags)
        except cv2.error:
            image = None
        if image is not None:
            return np.asarray(image if _HAS_RGB else np.ascontiguousarray(image[..., ::-1]), dtype=np.uint8)
    return _decode_with_pillow(raw, name)


def decode_file(path: str) -> Image:
    """`decode_bytes` of a file; one that cannot be read is a `UserError` too."""
    return decode_bytes(read_bytes(path), path)


def read_bytes(path: str) -> bytes:
    """The bytes of a file, or a `UserError` with its name."""
    try:
        with open(path, "rb", buffering=0) as file:  # unbuffered: one read, a third less time on small files
            return file.read()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_header(raw: bytes) -> Header | None:
    """The header of a JPEG or PNG; None for any other format or a damaged header."""
    if raw[:2] == b"\xff\xd8":
        return _jpeg_header(raw)
    if raw[:8] == _PNG and raw[12:16] == b"IHDR" and len(raw) >= 33:
        width, height, bits, colour = struct.unpack(">IIBB", raw[16:26])
        channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour, 0)
        animated = b"acTL" in raw[33:2048]  # before the first IDAT by the standard
        return Header("PNG", width, height, channels, bits, palette=colour == 3, animated=animated)
    return None


def _jpeg_header(raw: bytes) -> Header | None:
    """Walk the marker segments to the frame header (SOF), which holds precision, size and component count."""
    at, end = 2, len(raw) - 9
    while at < end:
        if raw[at] != 0xFF:
            return None
        marker = raw[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, channels = struct.unpack(">BHHB", raw[at + 4 : at + 10])
            return Header("JPEG", width, height, channels, bits)
        elif marker in (0xD9, 0xDA):
            return None
        else:
            at += 2 + (raw[at + 2] << 8 | raw[at + 3])
    return None


_HAS_RGB = hasattr(cv2, "IMREAD_COLOR_RGB")


def _simple(raw: bytes, header: Header) -> bool:
    """Whether OpenCV and Pillow are known to agree on this kind, and the file ends as a whole one ends."""
    if header.bits != 8 or header.palette or header.animated or not (header.width and header.height):
        return False
    if header.format == "PNG":
        return _png_chunks_whole(raw)
    return header.channels in (1, 3) and raw.endswith(b"\xff\xd9")


def _png_chunks_whole(raw: bytes) -> bool:
    """Whether the chunks fill the file exactly, to IEND. OpenCV spends ten seconds on a length that points outside."""
    at = len(_PNG)
    while at + 12 <= len(raw):
        length, kind = struct.unpack(">I4s", raw[at : at + 8])
        at += 12 + length
        if kind == b"IEND":
            return bool(at == len(raw))
    return False


def _check_size(width: int, height: int, name: str) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(f"{name}: {width}x{height} is over {MAX_PIXELS:,} pixels (a decompression bomb?); resize it")


def _decode_with_pillow(raw: bytes, name: str) -> Image:
    if not raw:
        raise UserError(f"{name}: the file is empty (0 bytes); remove it or replace it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters raises; `data check` reports the rest
        try:
            with Pillow.open(io.BytesIO(raw), formats=formats()) as image:
                _check_size(*image.size, name)
                return _to_rgb(image, raw, name)
        except UserError:
            raise
        except UnidentifiedImageError:
            raise NotAPicture(f"{name}: not an image in a format we read; remove it or replace it") from None
        except Pillow.DecompressionBombError:
            raise UserError(f"{name}: over {MAX_PIXELS:,} pixels (a decompression bomb?); resize it") from None
        except MemoryError:
            raise
        except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError, ... on damage
            reason = str(error) or type(error).__name__
            raise UserError(f"{name}: damaged or truncated image ({reason}); replace it") from None


@functools.cache
def formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow has; naming one that it lacks would be a KeyError."""
    Pillow.init()
    return tuple(name for name in FORMATS if name in Pillow.OPEN)


def _to_rgb(image: Pillow.Image, raw: bytes, name: str) -> Image:
    """RGB uint8 of an opened picture: its first frame, whole, upright."""
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # somebody's global switch would hand us half pictures
        raise UserError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set; unset it, truncated files must be an error")
    image.load()
    # Of PGM and, before Pillow 11, of PNG with 16 bits the mode is I; a maxval below 65535 is scaled up to it already.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in {"PPM", "PNG"}):
        return _sixteen_bit_grey(image)
    if image.mode in {"I", "F"}:
        raise UserError(f"{name}: pixels of 32 bits (mode {image.mode}); convert it to 8 or 16 bits")
    if image.format in {"PNG", "TIFF"} and image.mode in {"RGB", "RGBA", "LA"}:
        deep = _sixteen_bit_colour(raw)
        if deep is not None:
            return deep
    upright = ImageOps.exif_transpose(image)
    return np.asarray(upright.convert("RGB"), dtype=np.uint8)


def _sixteen_bit_grey(image: Pillow.Image) -> Image:
    upright = ImageOps.exif_transpose(image)
    grey = _scale_16(np.asarray(upright).astype(np.uint16))
    return np.repeat(grey[..., None], 3, axis=2)


def _sixteen_bit_colour(raw: bytes) -> Image | None:
    """A 16-bit colour file read in full depth (Pillow keeps the high byte only); None if it has 8 bits."""
    header = read_header(raw)
    if header is not None and (header.bits != 16 or not _png_chunks_whole(raw)):
        return None
    deep = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)
    if deep is None or deep.dtype != np.uint16:
        return None
    return np.ascontiguousarray(_scale_16(deep.astype(np.uint16))[..., ::-1])


def _scale_16(values: np.ndarray[tuple[int, ...], np.dtype[np.uint16]]) -> Image:
    """round(v / 257): 0 stays 0 and 65535 becomes 255."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
