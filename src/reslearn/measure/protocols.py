"""Test protocols as values: which views of a picture are scored, and how their answers are averaged.

1-crop                       the preprocessing as it is
10-crop                      four corners, centre, and their mirror images (AlexNet; 1512.03385 tables 2 and 3)
multi-scale                  the whole picture at five scales, the head applied at every position (1512.03385 3.4)
1-crop@320/320               another size, from another shorter side (1603.05027 table 5); 1-crop@288:0.95 gives the
                             crop's share of the shorter side instead; multi-scale@224,288 gives the scales
1-crop+flip, +shift, +logits also the mirrored views; also views moved by one pixel; averaged logits, not softmax
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Literal

from ..spec.choices import Combine
from ..spec.errors import UserError, unknown
from ..spec.preprocess import Preprocess

BASES = ("1-crop", "10-crop", "multi-scale")
SCALES = (224, 256, 384, 480, 640)  # shorter sides for a network trained at 224 (1512.03385 3.4)
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
SMALLEST_SHARE = 0.01  # of the shorter side; less would blow pictures up a hundredfold and exhaust memory
SHIFTS = ((0, 0), (-1, -1), (1, 1))

Place = Literal["centre", "top-left", "top-right", "bottom-left", "bottom-right", "whole"]


@dataclass(frozen=True)
class View:
    """One look at a picture. `whole` is the uncropped picture, scored densely and averaged over positions."""

    place: Place
    preprocess: Preprocess  # the resizing that the view is cut from; for `whole`, its size is the scale
    flip: bool = False
    shift: tuple[int, int] = (0, 0)  # pixels down and right, borders reflected
    average: Combine = "softmax"  # over the positions of a whole view

    @property
    def name(self) -> str:
        """Which piece of the picture it is; with the hash of its preprocessing, what its scores are stored under."""
        parts = [self.place if self.place != "whole" else f"whole-{self.preprocess.size}-{self.average}"]
        parts += ["flip"] if self.flip else []
        parts += ["shift{:+d}{:+d}".format(*self.shift)] if self.shift != (0, 0) else []
        return ".".join(parts)


@dataclass(frozen=True)
class Protocol:
    """Views, and how their scores become one. `preprocess` is what the crops are cut from, and is hashed."""

    name: str
    preprocess: Preprocess
    views: tuple[View, ...]
    average: Combine

    def cost(self, size: int) -> float:
        """Forward multiply-adds, in crops of `size` x `size`; a whole picture counts as a square one."""
        return sum(view.preprocess.size**2 for view in self.views) / size**2


def parse_protocol(text: str, preprocess: Preprocess) -> Protocol:
    """The protocol that `text` names for a network with this preprocessing. Raises `UserError` for any other text."""
    head, *modifiers = text.replace(" ", "").split("+")
    base, _, argument = head.partition("@")
    if base not in BASES:
        raise unknown("protocol", base, BASES)
    for modifier in modifiers:
        if modifier not in ("flip", "shift", "logits"):
            raise unknown("protocol modifier", modifier, ("flip", "shift", "logits"))
    average: Combine = "logits" if "logits" in modifiers else "softmax"
    if base == "multi-scale":
        views = [View("whole", p, average=average) for p in _scales(argument, preprocess)]
    else:
        preprocess = _resized(argument, preprocess) if argument else preprocess
        if base == "10-crop":
            preprocess = _with_margin(preprocess)
        views = [View("centre", preprocess)]
        views += [View(place, preprocess) for place in CORNERS] if base == "10-crop" else []  # type: ignore[arg-type]
    if "shift" in modifiers:
        views = [replace(view, shift=shift) for view in views for shift in SHIFTS]
    if "flip" in modifiers or base == "10-crop":
        views += [replace(view, flip=True) for view in views]
    ordered = [m for m in ("flip", "shift", "logits") if m in modifiers and (m, base) != ("flip", "10-crop")]
    return Protocol("+".join([head, *ordered]), preprocess, tuple(views), average)


def _resized(argument: str, preprocess: Preprocess) -> Preprocess:
    match = re.fullmatch(r"(\d+)(?:/(\d+)|:(0?\.\d+|1(?:\.0*)?))?", argument)
    if not match or int(match[1]) == 0:
        raise UserError(f"protocol size '{argument}': write SIZE, SIZE/SHORTER-SIDE or SIZE:FRACTION, as in 320/320")
    if match[3] and float(match[3]) < SMALLEST_SHARE:
        raise UserError(f"protocol size '{argument}': the crop's share must lie in {SMALLEST_SHARE}..1, as in 288:0.95")
    size = int(match[1])
    if match[2]:
        return replace(preprocess, size=size, resize=int(match[2]), mode="crop")
    if match[3]:
        return replace(preprocess, size=size, resize=max(round(size / float(match[3])), size), mode="crop")
    return replace(preprocess, size=size, resize=round(size * preprocess.resize / preprocess.size))


def _with_margin(preprocess: Preprocess) -> Preprocess:
    """Corners need a picture larger than the crop: 256/224 of the size where the preprocessing leaves no margin."""
    if preprocess.mode == "crop" and preprocess.resize > preprocess.size:
        return preprocess
    return replace(preprocess, mode="crop", resize=math.ceil(preprocess.size * 256 / 224))


def _scales(argument: str, preprocess: Preprocess) -> list[Preprocess]:
    if argument and not re.fullmatch(r"\d+(,\d+)*", argument):
        raise UserError(f"scales '{argument}': write shorter sides in pixels, as in multi-scale@224,256,384")
    sides = map(int, argument.split(",")) if argument else (round(s * preprocess.size / SCALES[0]) for s in SCALES)
    chosen = list(dict.fromkeys(sides))
    if min(chosen) < preprocess.size:
        raise UserError(f"scale {min(chosen)} is smaller than the network's own size {preprocess.size}; leave it out")
    return [replace(preprocess, size=side, resize=side) for side in chosen]
