"""Preprocessing as one value with one hash, shared by training-time evaluation, evaluate, predict, export, serving."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, Literal

from .errors import UserError
from .rule import Rule, check_fields, plain

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LARGEST = 4096  # pixels of a side; beyond it a header alone could ask for all the memory there is
Side = Annotated[int, Rule(lambda v: 1 <= v <= LARGEST, f"at least 1 and at most {LARGEST} pixels")]
Resize = Annotated[int, Rule(lambda v: 1 <= v <= 2 * LARGEST, f"at least 1 and at most {2 * LARGEST}")]
VERSION = 1  # raised whenever the same value would give other pixels


def check_image_size(size: int | None) -> None:
    """Raise `UserError` for a side of `--image-size` that no input has; None is none that was named."""
    if size is not None and not 1 <= size <= LARGEST:
        raise UserError(f"--image-size is {size}; it must be at least 1 and at most {LARGEST} pixels")


@dataclass(frozen=True)
class Preprocess:
    """From an RGB uint8 picture of any shape to the float tensor a network reads.

    `crop` resizes the shorter side to `resize` and cuts the centre `size` x `size`; `squash` resizes both sides to
    `size`; `pad` resizes the longer side to `size` and pads with the mean. `mean` and `std` are per channel, pixels
    in 0..1; a std of 1 divides by nothing. `mean_image` is the sha256 of a per-pixel mean (a tensor of the sealed file)
    that replaces `mean`. `interpolation` is the antialiased filter of the resize, as Pillow has it.
    """

    size: Side
    resize: Resize
    mode: Literal["crop", "squash", "pad"] = "squash"
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    mean_image: str | None = None
    version: int = VERSION
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"

    def __post_init__(self) -> None:
        check_fields(self)
        if not 1 <= self.version <= VERSION:
            raise UserError(
                f"version is {self.version}; this reslearn prepares pictures up to version {VERSION}: upgrade"
            )
        if self.mode == "crop" and self.resize < self.size:
            raise UserError(f"resize is {self.resize}; a centre crop of {self.size} needs at least {self.size}")
        if len(self.mean) != len(self.std) or not self.mean:
            raise UserError("mean and std need one number per channel each")
        _check_pixels("mean", self.mean, all(0 <= value <= 1 for value in self.mean), "a mean lies there, too")
        if not all(value > 0 for value in self.std):
            raise UserError(f"std is {plain(self.std)}; every std must be positive")
        possible = all(0 < value <= 0.5 or value == 1 for value in self.std)
        _check_pixels("std", self.std, possible, "a std is at most 0.5 (or 1: no division)")

    def hash(self) -> str:
        """Twelve hexadecimal digits that change when any pixel would."""
        text = json.dumps(said(asdict(self)), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def at_size(self, size: int) -> Preprocess:
        """The same for another input size, `resize` in proportion; a mean image is of one size and stays behind."""
        if size == self.size:
            return self
        resize = max(size, round(self.resize * size / self.size)) if self.mode == "crop" else size
        return replace(self, size=size, resize=resize, mean_image=None)

    def differences(self, other: Preprocess) -> list[str]:
        """Field by field what is here and what is in `other`, e.g. `mode crop (squash)`; `resize` as a ratio."""
        mine, theirs = asdict(self), asdict(other)
        for values in (mine, theirs):
            values["resize"] = round(values["resize"] / values["size"], 3)
            image = values.pop("mean_image")
            values["mean"] = values["mean"] if image is None else f"image {image[:12]}"
        return [f"{name} {plain(mine[name])} ({plain(theirs[name])})" for name in mine if mine[name] != theirs[name]]


def said(values: dict[str, Any]) -> dict[str, Any]:
    """A preprocessing's fields as digests have them: bilinear goes without saying, as before there was a choice."""
    return {name: value for name, value in values.items() if (name, value) != ("interpolation", "bilinear")}


def _check_pixels(name: str, values: tuple[float, ...], possible: bool, words: str) -> None:
    """Raise `UserError` for what pixels in 0..1 cannot have, with what was meant where the numbers are in 0..255."""
    if possible:
        return
    in_bytes = all(0 <= value <= 255 for value in values) and max(values) > 1
    meant = f"; divided by 255: {plain(tuple(round(value / 255, 4) for value in values))}" if in_bytes else ""
    raise UserError(f"{name} is {plain(values)}; pixels are in 0..1, so {words}{meant}")


def default_preprocess(
    size: int, mean: tuple[float, ...] = IMAGENET_MEAN, std: tuple[float, ...] = IMAGENET_STD
) -> Preprocess:
    """The evaluation default: small pictures are resized whole; from 96 on, 256/224 of the size and a centre crop."""
    if size < 96:
        return Preprocess(size=size, resize=size, mode="squash", mean=mean, std=std)
    return Preprocess(size=size, resize=round(size * 256 / 224), mode="crop", mean=mean, std=std)
