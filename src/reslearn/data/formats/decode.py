"""Encoded bytes to RGB uint8. OpenCV for ordinary JPEG and PNG (1.2 to 1.7 times Pillow), Pillow for the rest; what
both read wrong or not at all is in `pictures`.

All see the same picture: grey replicated, alpha dropped as Pillow's convert("RGB") does, palette expanded, CMYK
converted, every depth scaled to 8 bits by what it declares (never wrapped), turned as EXIF or XMP say. What is damaged
is an error with its name, and so is a kind that is not read.
"""

from __future__ import annotations

import functools
import io
import re
import warnings

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageFile, UnidentifiedImageError

from ...runtime.opening import PICTURE, read_regular
from ...spec.errors import BadPicture, UserError
from ..dataset import Image
from ..pictures import jpeg2000
from ..pictures.headers import PNG, Header, read_header, without_text
from ..pictures.kinds import CONVERT, MAGIC, Unread, brand, other_kind
from ..pictures.levels import grey_to_rgb, to_8_bits
from ..pictures.orientation import of_pillow, orientation, upright
from ..pictures.tiff import is_tiff, read_tiff
from ..pictures.tiff_pixels import tiff_pixels

MAX_PIXELS = 89_478_485  # Pillow's own limit: a third of a gigabyte as RGB; more is a mistake or an attack
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "DIB", "WEBP", "TIFF", "PPM", "JPEG2000", "TGA", "ICO", "PCX", "AVIF")
_NEEDS = {
    "HEIF": ("a HEIC picture, without the package pillow-heif,", "pip install pillow-heif, or convert it to JPEG"),
    "AVIF": ("an AVIF picture, by a Pillow before 11.3,", "pip install -U pillow, or convert it to JPEG"),
}


class NotAPicture(BadPicture):
    """A file that is in no format of a picture that is read; damage and emptiness are other matters."""


def decode_bytes(raw: bytes, name: str, most: int = MAX_PIXELS) -> Image:
    """Decode one encoded picture to RGB uint8 (H, W, 3). Raises `BadPicture` naming `name` when it cannot be whole.

    One whose header declares more than `most` pixels is refused before any of them is decoded.
    """
    header = read_header(raw)
    if header is not None and header.excess:
        raise BadPicture(f"{name}: a {header.format} with {header.excess} (a decompression bomb?); save it anew")
    if header is not None and _simple(header):
        _check_size(header.width, header.height, name, most)
        try:
            image = _by_opencv(raw, header, _FLAGS)
        except cv2.error:
            image = None
        if image is not None:
            if header.orientation != 1:
                image = upright(image, header.orientation)
            return np.asarray(image if _HAS_RGB else np.ascontiguousarray(image[..., ::-1]), dtype=np.uint8)
    return _decode_carefully(raw, name, header, most)


def decode_file(path: str) -> Image:
    """`decode_bytes` of a file; one that cannot be read is a `UserError` too."""
    return decode_bytes(read_bytes(path), path)


def read_bytes(path: str) -> bytes:
    """The bytes of a file, or a `BadPicture` with its name."""
    try:
        return read_regular(path, PICTURE)
    except OSError as error:
        raise BadPicture(f"{path}: cannot be read ({error.strerror or error})") from None


_HAS_RGB = hasattr(cv2, "IMREAD_COLOR_RGB")
_FLAGS = (cv2.IMREAD_COLOR_RGB if _HAS_RGB else cv2.IMREAD_COLOR) | cv2.IMREAD_IGNORE_ORIENTATION


def _simple(header: Header) -> bool:
    """Whether OpenCV and Pillow are known to agree on this kind, and the file ends as a whole one ends."""
    if header.bits != 8 or not header.whole or not (header.width and header.height):
        return False
    if header.format == "PNG":
        return not (header.palette or header.animated)
    return header.channels in (1, 3) and header.coding == "JPEG"


def _check_size(width: int, height: int, name: str, most: int) -> None:
    if width * height > most:
        raise BadPicture(f"{name}: {width}x{height} is over {most:,} pixels (a decompression bomb?); resize it")


def _decode_carefully(raw: bytes, name: str, header: Header | None, most: int) -> Image:
    if not raw:
        raise BadPicture(f"{name}: the file is empty (0 bytes); remove it or replace it")
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # somebody's global switch would hand us half pictures
        raise UserError("PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set; unset it, truncated files must be an error")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters raises; `data check` reports the rest
        try:
            if is_tiff(raw):
                tiff = read_tiff(raw)
                _check_size(tiff.width, tiff.height, name, most)
                return upright(tiff_pixels(raw, tiff), tiff.orientation or orientation(b"", tiff.xmp))
            return _decode_with_pillow(raw, name, header, most)
        except UserError:
            raise
        except Unread as error:
            raise BadPicture(f"{name}: {error}") from None
        except UnidentifiedImageError:
            raise _unidentified(raw, name) from None
        except Pillow.DecompressionBombError:
            raise BadPicture(f"{name}: over {MAX_PIXELS:,} pixels (a decompression bomb?); resize it") from None
        except MemoryError:
            raise
        except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError, ... on damage
            reason = str(error) or type(error).__name__
            if _OTHER_KIND.search(reason):
                raise BadPicture(f"{name}: an image of a kind that is not read ({reason}); {CONVERT}") from None
            raise BadPicture(f"{name}: damaged or truncated image ({reason}); replace it") from None


_OTHER_KIND = re.compile(r"unsupported|not (yet )?supported|not implemented", re.IGNORECASE)


def _by_opencv(raw: bytes, header: Header, flags: int) -> NDArray[np.generic] | None:
    """(H, W, 3) in BGR; None where it cannot be read. Of text, which no pixel needs, nothing is decoded."""
    return cv2.imdecode(np.frombuffer(without_text(raw) if header.text else raw, np.uint8), flags)


def _unidentified(raw: bytes, name: str) -> BadPicture:
    """What to say of a file that no plugin of Pillow opens."""
    if raw.startswith(MAGIC):
        return BadPicture(f"{name}: damaged or truncated image (its header); replace it")
    kind = other_kind(raw) or _known_to_pillow(raw)
    if kind is not None:
        return BadPicture(f"{name}: {kind[0]}, not an image in a format that is read; {kind[1]}")
    return NotAPicture(f"{name}: not an image in a format that is read; remove it or replace it")


def _known_to_pillow(raw: bytes) -> tuple[str, str] | None:
    """A format of those that are not tried whose first bytes Pillow knows; for some it would start programs."""
    for name, (factory, accepts) in Pillow.OPEN.items():
        if name not in FORMATS and accepts is not None and accepts(raw[:16]) is True:
            return str(getattr(factory, "format_description", name)), CONVERT
    return None


@functools.cache
def formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this build of Pillow has; naming one that it lacks would be a KeyError."""
    Pillow.init()
    return tuple(name for name in FORMATS if name in Pillow.OPEN)


def _decode_with_pillow(raw: bytes, name: str, header: Header | None, most: int) -> Image:
    _refuse_by_header(raw, header)
    components = jpeg2000.read_components(raw)
    if components is not None:
        _check_size(components.width, components.height, name, most)
        deep = jpeg2000.odd_depth(raw, components)
        if deep is not None:
            return deep
    with Pillow.open(io.BytesIO(raw), formats=formats_for(raw)) as image:
        _check_size(*image.size, name, most)
        image.load()
        rgb = _to_rgb(image, raw, header)
        if components is not None:
            rgb = jpeg2000.stretched(rgb, components)
        return upright(rgb, header.orientation if header is not None else of_pillow(image))


def _refuse_by_header(raw: bytes, header: Header | None) -> None:
    if raw.startswith(PNG) and raw[12:16] == b"CgBI":
        raise Unread(
            "a PNG that Apple's tools rewrote (CgBI)", "convert it back with `pngcrush -revert-iphone-optimizations`"
        )
    if header is None or header.format != "JPEG":
        return
    if header.coding != "JPEG":
        raise Unread(f"{header.coding} of {header.bits} bits a sample", "convert it to PNG")
    if header.bits != 8:
        raise Unread(f"a JPEG of {header.bits} bits a sample")
    if header.channels not in (1, 3, 4):
        raise Unread(f"a JPEG of {header.channels} components")


def formats_for(raw: bytes) -> tuple[str, ...]:
    """Pillow's plugins to try on a file. HEIC needs pillow-heif, which is loaded when the first such file comes.

    Raises `Unread` for a kind whose package is not there.
    """
    family = brand(raw)
    if family is None or family in formats():
        return formats()
    if family == "HEIF" and _with_heif():
        return ("HEIF",)
    raise Unread(*_NEEDS[family])


@functools.cache
def _with_heif() -> bool:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return "HEIF" in Pillow.OPEN


def _to_rgb(image: Pillow.Image, raw: bytes, header: Header | None) -> Image:
    """RGB uint8 of a loaded picture, not turned."""
    # Of PGM and, before Pillow 11, of PNG with 16 bits the mode is I; a maxval below 65535 is scaled up to it already.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in {"PPM", "PNG"}):
        return grey_to_rgb(to_8_bits(np.asarray(image).astype(np.uint16), 16))
    if image.mode in {"I", "F"}:
        raise Unread(f"a picture of 32 bits a sample (mode {image.mode})")
    if header is not None and header.format == "PNG" and header.bits == 16 and header.whole:
        deep = _by_opencv(raw, header, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION)
        if deep is not None and deep.dtype == np.uint16:
            return to_8_bits(np.ascontiguousarray(deep[..., ::-1]), 16)
    return np.asarray(image.convert("RGB"), dtype=np.uint8)
