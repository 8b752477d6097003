"""Other people's weights to a sealed file, and any weights to another package's layout."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, cast

from ..bundle.file import save
from ..bundle.header import Bundle, Member
from ..data.charset import text_file
from ..data.sources import open_data
from ..nets.build import model_from_weights
from ..nets.layouts import LAYOUTS
from ..nets.state_files import state_target, write_state
from ..nets.weights import export_state
from ..runtime.container import sealed_in
from ..runtime.replacing import SEALED, replaceable
from ..spec.errors import UserError, check_choice
from ..spec.names import spelling
from ..spec.net import Spec
from ..spec.preprocess import IMAGENET_MEAN, IMAGENET_STD, default_preprocess


def convert_weights(
    weights: str | os.PathLike[str],
    spec: Spec,
    *,
    out: str | os.PathLike[str],
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    class_names: str | None = None,
    image_size: int | None = None,
    to: str = "reslearn",
) -> dict[str, Any]:
    """Read `weights` of the network `spec` in any known layout and write `out`; returns what `convert --json` prints.

    `to="reslearn"` seals it with the default preprocessing of its picture size and the given mean and std (pixels in
    0..1). Class count and input channels are the file's. Raises `UserError` where weights and spec disagree.
    """
    check_choice("--to", to, LAYOUTS)
    inputs = [sealed_in(weights)]
    target = replaceable(out, SEALED, inputs=inputs) if to == "reslearn" else state_target(out, inputs)
    net, fitted = model_from_weights(spec, weights)
    found = cast(Spec, net.spec)
    value: dict[str, Any] = {"model": str(target), "name": found.name, "from": fitted.layout, "to": to}
    value["num_classes"] = found.num_classes
    if to != "reslearn":
        write_state(target, export_state(net, to), to)
        return value
    preprocess = default_preprocess(image_size or found.image_size, mean or IMAGENET_MEAN, std or IMAGENET_STD)
    classes = read_class_names(class_names) if class_names is not None else None
    bundle = save(target, [net], Bundle((Member(found),), preprocess, classes=classes))
    return value | {"preprocess_hash": preprocess.hash(), "sha256": bundle.sha256}


def read_class_names(text: str) -> tuple[str, ...]:
    """Names in label order from `a,b,c`, from a text file (one a line) or JSON list, or from a DATA's classes.

    A line on standard error says where the characters of a file were guessed. Raises `UserError` for a name twice.
    """
    path = Path(text)
    if path.is_file() and path.suffix.lower() in (".json", ".txt", ".names", ""):
        read = text_file(text)
        if read.note:
            print(f"note: {read.note}", file=sys.stderr)
        names = _json_names(read.text, path) if path.suffix.lower() == ".json" else _lines(read.text)
    elif not path.exists() and "," in text:
        names = [name.strip() for name in text.split(",")]
    else:
        return tuple(open_data(text).classes)
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        if seen.setdefault(spelling(name), i) != i:
            raise UserError(f"{text}: '{name}' is name {seen[spelling(name)] + 1} and name {i + 1}; a class has one")
    return tuple(names)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _json_names(text: str, path: Path) -> list[str]:
    try:
        names = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: expected a list of class names")
    return names
