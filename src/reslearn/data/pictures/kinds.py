"""What a file is, by its first bytes: which pictures are read, which are pictures but not read, which are none.

`EXTENSIONS` lists the names under which pictures go, those that are not read among them: they must not vanish.
"""

from __future__ import annotations

DECODER = 1  # one more whenever any file comes to be read as other pixels: pixel keys depend on it
NAMED = {  # Pillow's name of a format -> the extensions under which it goes
    "JPEG": "jpg jpeg jpe jfif mpo",
    "PNG": "png apng",
    "GIF": "gif",
    "BMP": "bmp dib",
    "WEBP": "webp",
    "TIFF": "tif tiff",
    "PPM": "ppm pgm pbm pnm pam pfm",
    "JPEG2000": "jp2 j2k j2c jpc jpf jpx",
    "TGA": "tga",
    "ICO": "ico",
    "PCX": "pcx",
    "AVIF": "avif avifs",
    "HEIF": "heic heics heif heifs hif",  # read with pillow-heif
    "": "jxl psd svg exr hdr dcm dng cr2 cr3 nef arw orf rw2 raf jxr jls qoi",  # not read
}
NAMED |= {"MPO": NAMED["JPEG"], "DIB": NAMED["BMP"]}
EXTENSIONS = frozenset(f".{extension}" for names in NAMED.values() for extension in names.split())

AVIF_BRANDS = (b"avif", b"avis")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")

MAGIC = (  # of formats that are read
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF8",
    b"II*\0",
    b"MM\0*",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
)
CONVERT = "convert it to PNG or JPEG"
_AGAIN = "a download that failed? download it again"
_OTHERS = (  # at the start of the file -> what it is, and what would be right
    (b"\xff\x0a", "a JPEG XL picture", CONVERT),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", CONVERT),
    (b"8BPS", "a Photoshop document", CONVERT),
    (b"\x76\x2f\x31\x01", "an OpenEXR picture", CONVERT),
    (b"#?RADIANCE", "a Radiance HDR picture", CONVERT),
    (b"qoif", "a QOI picture", CONVERT),
    (b"PF\n", "a colour PFM picture", CONVERT),
    (b"P7\n", "a PAM picture", CONVERT),
    (b"II\xbc", "a JPEG XR picture", CONVERT),
    (b"FUJIFILMCCD-RAW", "a camera's raw file", CONVERT),
    (b"IIU\0", "a camera's raw file", CONVERT),
    (b"IIRO", "a camera's raw file", CONVERT),
    (b"%PDF", "a PDF document", "extract its pictures"),
    (b"%!PS", "a PostScript document", CONVERT),
    (b"\x93NUMPY", "a NumPy array", "write it as PNG"),
    (b"version https://git-lfs", "a Git LFS pointer", "run `git lfs pull`"),
    (b"PK\3\4", "a ZIP archive", "unpack it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"\x1a\x45\xdf\xa3", "a video", "extract its pictures"),
    (b"<?xml", "an XML document", _AGAIN),
)


class Unread(Exception):
    """A whole picture of a kind that is not read: neither damaged nor no picture.

    `what` it is and what would be right; the door adds the file's name.
    """

    def __init__(self, what: str, remedy: str = "convert it to 8 or 16 bits grey or RGB") -> None:
        super().__init__(f"{what} is not read; {remedy}")


def other_kind(raw: bytes) -> tuple[str, str] | None:
    """("a JPEG XL picture", remedy) for a file whose kind is known and not read; None for any other."""
    head = raw[:512]
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    found = next(((what, remedy) for magic, what, remedy in _OTHERS if head.startswith(magic)), None)
    if text.startswith((b"<!doctype html", b"<html")):
        found = "a web page", _AGAIN
    elif text.startswith(b"<") and b"<svg" in text:
        found = "an SVG drawing", CONVERT
    elif raw[128:132] == b"DICM":
        found = "a DICOM file", CONVERT
    elif raw[4:8] == b"ftyp":
        found = ("a camera's raw file", CONVERT) if raw[8:12] == b"crx " else ("a video", "extract its pictures")
    return found


def brand(raw: bytes) -> str | None:
    """ "AVIF" or "HEIF" for a file of the ISO family that holds a still picture or a sequence of them."""
    if raw[4:8] != b"ftyp":
        return None
    size = int.from_bytes(raw[:4], "big")
    brands = [raw[8:12], *(raw[i : i + 4] for i in range(16, min(size, 256, len(raw)), 4))]
    if any(b in AVIF_BRANDS for b in brands):
        return "AVIF"
    if any(b in HEIF_BRANDS or b in (b"mif1", b"msf1", b"mif2") for b in brands):
        return "HEIF"
    return None
