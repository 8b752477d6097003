"""What is known of a file of weights beside its tensors: by its address, or from the files that lie beside it.

timm's repositories say it in `config.json`, transformers' in `config.json` and `preprocessor_config.json`; a licence
stands at the head of `README.md`. What torchvision publishes is a table here (`spec.published`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..runtime.addresses import is_address
from ..runtime.files import read_json
from ..runtime.opening import DOCUMENT, read_regular
from ..spec.architectures import check_config
from ..spec.errors import UserError
from ..spec.facts import Facts
from ..spec.preprocess import Preprocess
from ..spec.published import imagenet_classes, published_at

Notes = tuple[str, ...]
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers, which transformers writes
_TIMM_MODE = {"center": "crop", "squash": "squash", "border": "pad"}


def find_facts(where: str, folder: Path, config: Mapping[str, Any]) -> tuple[Facts, Notes]:
    """The facts of the weights that were named as `where` and lie in `folder` beside `config`; and what to say of them.

    Raises `UserError` where they tell of a network that is not of the family.
    """
    address = _pinned(where, folder.name) if is_address(where) else None
    known = published_at(address) if address else None
    if known is not None and known.file is not None:
        return known.facts, ()
    spec = check_config(config, where)
    if spec is None:
        return Facts(source=address), ()
    timm = "architecture" in config
    told = config.get("pretrained_cfg", config) if timm else config
    notes: list[str] = []
    try:
        preprocess = timm_preprocess(told) if timm else _preprocess_beside(folder)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        notes.append(f"its configuration does not say how to prepare pictures ({error}); say it yourself")
        preprocess = None
    names = _timm_names(config, told) if timm else _transformers_names(config)
    classes, note = class_names(names, spec.num_classes)
    notes += [note] if note and names is not None else []
    licence = told.get("license") if timm and isinstance(told.get("license"), str) else _licence_beside(folder)
    return Facts(address, spec, preprocess, classes if names is not None else None, licence), tuple(notes)


def _pinned(address: str, commit: str) -> str:
    """A repository's address with the commit that was fetched, so that it means the same for ever."""
    if address.startswith("hf://") and re.fullmatch(r"[0-9a-f]{40}", commit):
        return f"{address.rstrip('/').partition('@')[0]}@{commit}"
    return address


def class_names(names: tuple[str, ...] | None, outputs: int) -> tuple[tuple[str, ...] | None, str | None]:
    """Names for so many outputs, and what to say of them: of 1,000 without names of their own, ImageNet's."""
    if names is None or len(names) != outputs:
        if outputs != 1000:
            return None, None
        return imagenet_classes(), "its 1,000 outputs have no names of their own: taken for ImageNet's classes"
    counts = Counter(names)
    if max(counts.values()) == 1:
        return names, None
    twice = [name for name, count in counts.items() if count > 1]
    apart = tuple(f"{name} ({i})" if counts[name] > 1 else name for i, name in enumerate(names))
    return apart, f"classes of one name are told apart by their number: {', '.join(twice[:3])}"


def timm_preprocess(told: Mapping[str, Any]) -> Preprocess:
    """Preprocessing from timm's `pretrained_cfg`: crop_pct c of size s resizes the shorter side to round(s / c)."""
    size = int(told["input_size"][-1])
    mode = _TIMM_MODE[told.get("crop_mode") or "center"]
    resize = round(size / float(told.get("crop_pct") or 0.875)) if mode == "crop" else size
    return Preprocess(
        size,
        max(resize, size),
        mode,  # type: ignore[arg-type]  # Preprocess says what it may be
        _three(told["mean"]),
        _three(told["std"]),
        interpolation=told.get("interpolation") or "bilinear",
    )


def _preprocess_beside(folder: Path) -> Preprocess:
    """From transformers' `preprocessor_config.json`."""
    told = read_json(folder / "preprocessor_config.json")
    if told.get("do_rescale", True) is False or told.get("do_resize", True) is False:
        raise ValueError("pictures are not resized, or not scaled to 0..1")
    mean, std = (told["image_mean"], told["image_std"]) if told.get("do_normalize", True) else ([0.0] * 3, [1.0] * 3)
    given = told.get("size", 224)
    edge = int(given if isinstance(given, int) else given.get("shortest_edge") or given["height"])
    cut = told.get("crop_size", edge)
    cut = int(cut if isinstance(cut, int) else cut["height"])
    kind = str(told.get("image_processor_type") or told.get("feature_extractor_type") or "")
    mode, size, resize = "squash", edge, edge
    if "crop_pct" in told or kind.startswith("ConvNext"):
        if edge < 384:  # as its image processor has it
            mode, resize = "crop", int(edge / float(told.get("crop_pct") or 224 / 256))
    elif told.get("do_center_crop", False):
        mode, size = "crop", cut
    return Preprocess(
        size,
        resize,
        mode,  # type: ignore[arg-type]
        _three(mean),
        _three(std),
        interpolation=_RESAMPLE[told.get("resample", 2)],  # type: ignore[arg-type]
    )


def _three(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _timm_names(config: Mapping[str, Any], told: Mapping[str, Any]) -> tuple[str, ...] | None:
    names = config.get("label_names") or told.get("label_names") or told.get("labels")
    return tuple(map(str, names)) if isinstance(names, list) and all(map(_is_name, names)) else None


def _is_name(value: Any) -> bool:
    return isinstance(value, (str, int))


def _transformers_names(config: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Of `id2label`; `LABEL_7` is no name."""
    names = config.get("id2label")
    if not isinstance(names, dict) or not all(str(key).isdecimal() and len(str(key)) < 10 for key in names):
        return None
    if not all(map(_is_name, names.values())):
        return None
    found = tuple(str(names[key]) for key in sorted(names, key=int))
    return None if all(re.fullmatch(r"LABEL_\d+", name) for name in found) else found


def _licence_beside(folder: Path) -> str | None:
    """What the head of a model card, between two lines of dashes, says under `license`."""
    try:
        text = read_regular(folder / "README.md", DOCUMENT).decode(errors="replace")
    except (OSError, UserError):
        return None
    head = re.match(r"---\n(.*?)\n---", text, re.DOTALL)
    line = re.search(r"^license:\s*['\"]?([\w.-]+)", head.group(1), re.MULTILINE) if head else None
    return line.group(1) if line else None
