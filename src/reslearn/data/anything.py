"""What people hold pictures in, from Python: one picture of any kind, and data sets that this package did not make.

A picture is a path, a `PIL.Image`, uint8 pixels, or floats whose range is said. A data set is whatever `open_data`
opens, one of this package, arrays with labels, or anything with a length whose items are (picture, label).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageOps
from torch import Tensor

from ..spec.errors import UserError
from .dataset import Dataset, Image
from .formats.decode import NotAPicture, decode_bytes, formats, read_bytes
from .sources import open_data
from .table import Pictures, Reader, Table, as_pictures

Range = tuple[float, float]
PICTURE = (
    "a path, a PIL image, an RGB uint8 array (height, width, 3), a uint8 tensor (3, height, width), "
    "or floats of these shapes with value_range=(least, most)"
)
DATA = (
    "a path (what `reslearn train` takes), a data set of reslearn.open_data, (pictures, labels) as arrays, "
    "or a map-style data set of (picture, label)"
)
MOST_CLASSES = 1_000_000  # that labels alone can mean; more are some other number of a picture
_DEEP = ("I", "F")  # Pillow's modes of more than 8 bits, which convert("RGB") would cut off


def as_image(picture: Any, value_range: Range | None = None) -> Image:
    """RGB uint8 (H, W, 3) of one picture. Floats run over `value_range`, such as (0, 1); else they are refused.

    Raises `UserError` naming a file that cannot be read whole, and for what is no picture, saying what is.
    """
    if isinstance(picture, (str, os.PathLike)):
        return read_file(os.fspath(picture))
    if isinstance(picture, Pillow.Image):
        return _from_pillow(picture)
    if isinstance(picture, Tensor):
        return _from_tensor(picture, value_range)
    if isinstance(picture, np.ndarray):
        return _from_array(picture, value_range)
    raise UserError(f"a picture is {PICTURE}; found {_kind(picture)}")


def as_images(pictures: Any) -> list[Any]:
    """One picture or many, as a list: a tensor or an array of four dimensions is many."""
    if isinstance(pictures, (str, os.PathLike, Pillow.Image)):
        return [pictures]
    if isinstance(pictures, (Tensor, np.ndarray)):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    if isinstance(pictures, Iterable) and not isinstance(pictures, (bytes, dict)):
        return list(pictures)
    raise UserError(f"pictures are one or more of: {PICTURE}; or a map-style data set of them; found {_kind(pictures)}")


def is_mapped(data: Any) -> bool:
    """Whether somebody's own class gives items by their number, as torch's map-style data sets do."""
    held = (str, bytes, bytearray, memoryview, os.PathLike, Mapping, list, tuple, np.ndarray, Tensor, Pillow.Image)
    return hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, (*held, type))


def read_file(path: str) -> Image:
    """The pixels of a file. Raises `UserError` naming it where it cannot be read whole."""
    raw = read_bytes(path)
    if not raw:
        raise UserError(f"{path}: the file is empty (0 bytes), no picture")
    try:
        return decode_bytes(raw, path)
    except NotAPicture as error:  # its owner may well want to keep it
        raise UserError(f"{str(error).rpartition('; ')[0]}: {', '.join(formats())}") from None


def as_dataset(data: Any, value_range: Range | None = None, *, classes: Sequence[str] | None = None) -> Pictures:
    """Whatever holds labelled pictures, as a data set of this package.

    Names of classes are the set's own `classes` where it has them, else `classes`, else the labels. Items are read
    once for their labels where no `targets` tell them, and once for the fingerprint. Raises `UserError` for what is no
    data set, saying what is.
    """
    if isinstance(data, (str, os.PathLike)):
        return open_data(data)
    if all(hasattr(data, name) for name in ("ids", "labels", "classes", "splits", "read", "fingerprint")):
        found: Dataset = data
        return as_pictures(found)
    if isinstance(data, tuple) and len(data) == 2 and getattr(data[0], "ndim", 0) >= 3:
        images, labels = data
        if len(images) != len(labels):
            raise UserError(f"{len(images)} pictures and {len(labels)} labels; give one label each")
        data = list(zip(images, labels, strict=True))
    if not hasattr(data, "__getitem__") or not hasattr(data, "__len__") or isinstance(data, (bytes, dict)):
        hint = ": it gives items in a row and has no length" if hasattr(data, "__iter__") else ""
        raise UserError(f"data is {DATA}; found {_kind(data)}{hint}")
    if not len(data):
        raise UserError(f"data is {DATA}; found an empty {type(data).__name__}")
    return _items(data, value_range, classes)


def _items(data: Any, value_range: Range | None, classes: Sequence[str] | None) -> Pictures:
    """A map-style data set of (picture, label)."""
    told = getattr(data, "targets", None)
    if told is None or len(told) != len(data):
        told = [_pair(data, i)[1] for i in range(len(data))]
    else:
        _pair(data, 0)
    labels = [label.item() if hasattr(label, "item") else label for label in told]
    names = getattr(data, "classes", None) or classes
    if all(isinstance(label, (int, np.integer)) and not isinstance(label, bool) for label in labels):
        most = max(labels)
        if names is None and most >= MOST_CLASSES:
            raise UserError(
                f"a label is {most:,}; labels are numbers from 0, one for each class: give them so, or names"
            )
        if min(labels) < 0:
            raise UserError(f"a label is {min(labels)}; labels are numbers from 0, or names")
        names = tuple(map(str, names if names is not None else range(most + 1)))
        if most >= len(names):
            raise UserError(f"a label is {most}, but there are names of {len(names)} classes; labels go from 0")
        numbers = np.array(labels, dtype=np.int64)
    elif all(isinstance(label, str) for label in labels):
        names = tuple(map(str, names)) if names is not None else tuple(sorted(set(labels)))
        place = {name: i for i, name in enumerate(names)}
        strangers = [label for label in labels if label not in place]
        if strangers:
            raise UserError(f"a label is {strangers[0]!r}, which is none of the {len(names)} classes")
        numbers = np.array([place[label] for label in labels], dtype=np.int64)
    else:
        odd = next(label for label in labels if isinstance(label, bool) or not isinstance(label, (int, str)))
        raise UserError(f"a label is {odd!r}; labels are whole numbers from 0, or names")
    ids = tuple(f"{i:07d}" for i in range(len(data)))
    return Pictures(Table(ids, numbers, names), _Items(data, value_range))


def _pair(data: Any, i: int) -> tuple[Any, Any]:
    item = data[i]
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise UserError(f"item {i} of the data set is {_kind(item)}; an item is (picture, label)")
    return item[0], item[1]


class _Items(Reader):
    """Pictures that somebody else's object gives by their number."""

    ours = False

    def __init__(self, data: Any, value_range: Range | None) -> None:
        self._data, self._value_range = data, value_range

    def decode(self, row: int, raw: bytes | None) -> Image:
        try:
            return as_image(_pair(self._data, row)[0], self._value_range)
        except UserError as error:
            raise UserError(f"item {row} of the data set: {error}") from None

    def seal(self) -> bytes:
        digest = hashlib.blake2b()
        for row in range(len(self._data)):
            image = self.decode(row, None)
            digest.update(str(image.shape).encode() + np.ascontiguousarray(image).tobytes())
        return digest.digest()


def _from_pillow(picture: Pillow.Image) -> Image:
    if picture.mode.startswith(_DEEP):
        raise UserError(
            f"a PIL image of mode {picture.mode} has more than 8 bits a sample, whose range nobody says; "
            "give the file's path, or an array of floats with value_range="
        )
    return np.array(ImageOps.exif_transpose(picture).convert("RGB"), dtype=np.uint8)


def _from_tensor(picture: Tensor, value_range: Range | None) -> Image:
    values = picture.detach().cpu()
    if values.ndim == 3 and values.shape[0] in (1, 3):
        values = values.permute(1, 2, 0)
    return _from_array(values.float().numpy() if values.is_floating_point() else values.numpy(), value_range)


def _from_array(picture: NDArray[Any], value_range: Range | None) -> Image:
    shape = f"{picture.dtype} {picture.shape}"
    if picture.ndim != 3 or picture.shape[2] not in (1, 3) or not picture.size:
        raise UserError(f"a picture is {PICTURE}; found {shape}")
    if picture.dtype == np.uint8:
        values = picture
    elif value_range is None:
        raise UserError(
            f"a picture of {shape}: nobody says what its least and its most are; add value_range=(0, 1), or whatever "
            "range it has, or give an RGB uint8 array"
        )
    else:
        values = _scaled(picture, value_range)
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3)) if values.shape[2] == 1 else values)


def _scaled(picture: NDArray[Any], value_range: Range) -> NDArray[np.uint8]:
    try:
        least, most = map(float, value_range)
    except (TypeError, ValueError):
        least = most = np.nan
    if not least < most:
        raise UserError(f"value_range is {value_range!r}; it must be (least, most), such as (0, 1)")
    low, high = float(picture.min()), float(picture.max())
    slack = 1e-3 * (most - least)
    if not (least - slack <= low and high <= most + slack):  # NaN is nowhere
        raise UserError(
            f"a picture runs from {low:.4g} to {high:.4g}, outside value_range=({least:g}, {most:g}); give its own "
            "range, before any mean and deviation are taken out"
        )
    scaled = (picture.astype(np.float64) - least) * (255 / (most - least))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def _kind(value: Any) -> str:
    if isinstance(value, (np.ndarray, Tensor)):
        return f"{value.dtype} {tuple(value.shape)}"
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
