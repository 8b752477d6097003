"""`draw` as one call: names to a drawing, a drawing to a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...report.diagram import Box, Scene, to_svg
from ...report.raster import to_png
from ...runtime.files import write_atomic
from ...spec.catalogue import get_spec
from ...spec.codec import parse_assignments, set_fields
from ...spec.errors import UserError, check_choice
from ...spec.net import Spec
from .block import blocks
from .network import networks
from .pen import Head
from .words import WORDS, Language

KINDS = (".svg", ".png")
MOST = 8  # networks in one drawing


def named_spec(text: str) -> Spec:
    """The spec of NAME, or of NAME+field=value+field=value, e.g. `resnet20_cifar+shortcut=C`."""
    name, *changes = text.split("+")
    spec = get_spec(name)
    if not changes:
        return spec
    empty = next((change for change in changes if not change.partition("=")[0] or "=" not in change), None)
    if empty is not None:
        raise UserError(f"'{text}': after its name stands field=value, e.g. {name}+shortcut=B; '{empty}' is none")
    changed = set_fields(spec, parse_assignments(changes, "shortcut=B"), where=text)
    return replace(changed, name=text) if len(text) < 40 else changed


def draw(names: str | Sequence[str], *, block: bool = False, language: Language = "en") -> Scene:
    """Networks side by side, layer by layer; with `block` one block of each. In a notebook the drawing shows itself.

    `names` is a name of `list_models()` or several; `NAME+field=value` changes a field. `language` is that of the
    words, "en" or "ko". Raises `UserError` for unknown names, for more than eight, for a block of a net that has none,
    and for another language.
    """
    check_choice("language", language, tuple(WORDS))
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise UserError(f"draw: give a name of list_models() or a list of such names; found {names!r}")
    if not isinstance(block, bool):
        raise UserError(f"draw: block is {block!r}; it must be True or False")
    if not 1 <= len(names) <= MOST:
        raise UserError(f"{len(names)} networks in one drawing; it takes 1 to {MOST}")
    specs = [named_spec(name) for name in names]
    heads = [Head(name, tuple(changes)) for name, *changes in (name.split("+") for name in names)]
    return (blocks if block else networks)(specs, heads, WORDS[language])


def write_drawing(scene: Scene, path: Path) -> dict[str, object]:
    """Write the drawing as what the file's name ends with; what is told of it."""
    write_atomic(path, to_png(scene) if path.suffix == ".png" else to_svg(scene))
    boxes = [{"layer": item.key, "text": ", ".join(item.lines)} for item in scene.items if isinstance(item, Box)]
    return {"path": str(path), "width": scene.width, "height": scene.height, "boxes": boxes}


def check_kind(path: Path) -> None:
    """Raise `UserError` for a file that is neither SVG nor PNG."""
    if path.suffix not in KINDS:
        raise UserError(f"-o {path}: a drawing is written as .svg or .png; name a file that ends so")
