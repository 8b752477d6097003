"""Other people's weights to a sealed file, and any weights to another package's layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..bundle.file import read_tensors, save
from ..bundle.header import Bundle, Member
from ..data.layout.charset import text_file
from ..data.parts.known import FORGOTTEN
from ..data.sources import open_data
from ..nets.build import model_from_contents
from ..nets.facts import class_names as names_for
from ..nets.layouts import LAYOUTS
from ..nets.state_files import read_contents, state_target, write_state
from ..nets.weights import export_state
from ..runtime.container import sealed_in
from ..runtime.notes import note
from ..runtime.opening import parse_json
from ..runtime.replacing import sealed_target
from ..spec.choices import Layout, Prefer
from ..spec.codec import fields_to_json
from ..spec.errors import UserError, check_choice
from ..spec.names import spelling
from ..spec.net import Spec
from ..spec.preprocess import default_preprocess
from ..train.origin import adopted
from ..train.pictures import marks_of, seen_by


@dataclass(frozen=True)
class Converted:
    """What `convert` read and wrote."""

    model: Path  # the file that was written
    name: str
    layout: str  # of the weights that were read
    to: Layout
    num_classes: int
    notes: tuple[str, ...]
    preprocess_hash: str | None = None  # of a sealed file, this and the next
    sha256: str | None = None

    def __fspath__(self) -> str:
        """The file, so that this goes wherever a model's path goes."""
        return str(self.model)

    def __repr__(self) -> str:
        return f"Converted({self.model}: {self.name}, {self.num_classes:,} classes, {self.layout} to {self.to})"

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        values = {("from" if name == "layout" else name): value for name, value in fields_to_json(self).items()}
        return {name: value for name, value in values.items() if value is not None}


def convert_weights(
    weights: str | os.PathLike[str],
    spec: Spec | None = None,
    *,
    out: str | os.PathLike[str],
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    class_names: str | Sequence[str] | None = None,
    image_size: int | None = None,
    to: Layout = "reslearn",
    prefer: Prefer | None = None,
    forget_pictures: bool = False,
) -> Converted:
    """Read `weights` of the network `spec` in any known layout and write `out`.

    `weights` may be an address; without `spec` it is what is known of them. `to="reslearn"` seals it with the
    preprocessing known of the weights, or the default of its picture size, and the given mean and std (pixels in 0..1);
    1,000 outputs without names get ImageNet's. Class count and input channels are the file's. `prefer` chooses between
    plain and averaged weights. Of a sealed file all that it says is kept: class names, marks, which pictures it has
    seen (not with `forget_pictures`), its scores and temperature where network and preprocessing stay. What is left out
    stands in `notes`. Raises `UserError` where weights and spec disagree, and where something is at `out` that is read,
    or is not of the kind which is written.
    """
    check_choice("--to", to, LAYOUTS)
    inputs = [sealed_in(weights)]
    target = sealed_target(out, inputs=inputs) if to == "reslearn" else state_target(out, inputs)
    contents = read_contents(weights)
    spec = spec or contents.facts.network
    if spec is None:
        raise UserError(f"{contents.where}: nothing there says which network it is; name it with --model")
    net, fitted = model_from_contents(spec, contents, prefer=prefer)
    found = cast(Spec, net.spec)
    read = (*contents.notes, *fitted.notes)
    done = Converted(target, found.name, fitted.layout, to, found.num_classes, read)
    before = read_tensors(weights) if contents.sealed else None  # a sealed file, and all it says
    if to != "reslearn":
        write_state(target, export_state(net, to), to)
        left_out = [f"left out, as {to}'s layout holds tensors alone: {said(before[0])}"] if before else []
        return replace(done, notes=(*done.notes, *left_out))
    base = adopted(contents, image_size, image=mean is None and std is None)
    base = base or default_preprocess(image_size or found.image_size)
    preprocess = replace(base, mean=mean or base.mean, std=std or base.std)
    classes = contents.facts.classes if class_names is None else _names(class_names)
    if classes is None and not contents.sealed:
        classes, told = names_for(None, found.num_classes)
        done = replace(done, notes=(*done.notes, *([told] if told else [])))
    image = contents.mean_image if preprocess.mean_image is not None else None
    marks, source = marks_of(weights) or None, contents.facts.to_json()
    bundle = Bundle((Member(found),), preprocess, classes=classes, data=marks, source=source)
    known = seen_by(weights)
    if before is not None:
        bundle, left_out = inherit(before[0], bundle)
        done = replace(done, notes=(*done.notes, *left_out))
    sealed = save(target, [net], bundle, mean_image=image, known=FORGOTTEN if forget_pictures else known)
    return replace(done, preprocess_hash=preprocess.hash(), sha256=sealed.sha256)


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    return read_class_names(given) if isinstance(given, str) else tuple(given)


def inherit(before: Bundle, bundle: Bundle) -> tuple[Bundle, list[str]]:
    """The header `bundle` with all that the file `before`, of the same weights, says besides; and what is left out.

    Where the network or its preprocessing is another now, what was measured or fitted no longer belongs to it.
    """
    label = bundle.members[0].spec.name
    same = replace(before.members[0].spec, name=label) == bundle.members[0].spec
    kept = replace(before, members=bundle.members, preprocess=bundle.preprocess, classes=bundle.classes, seen=None)
    moved = [name for name, old in zip(bundle.classes or (), before.classes or (), strict=False) if name != old]
    swapped = set(moved) & set(before.classes or ())  # a class that stands in another's place, not another word for it
    if same and before.preprocess == bundle.preprocess and not swapped:
        return kept, []
    fitted: dict[str, Any] = {"temperature": None, "threshold": None, "scores": {}}
    gone = [name for name, empty in fitted.items() if getattr(before, name) != empty]
    changed = (
        "network" if not same else "preprocessing" if before.preprocess != bundle.preprocess else "order of classes"
    )
    why = f"the {changed} is another now"
    return replace(kept, **fitted), [f"left out, as {why}: {', '.join(gone)}"] if gone else []


def said(bundle: Bundle) -> str:
    """For a person: what a sealed file says beside its tensors."""
    fields = ("classes", "temperature", "threshold", "recipe", "data", "scores")
    names = [name for name in fields if getattr(bundle, name)]
    return ", ".join(["preprocessing", *names, *(["seen"] if bundle.seen is not None else [])])


def read_class_names(text: str) -> tuple[str, ...]:
    """Names in label order from `a,b,c`, from a text file (one a line) or JSON list, or from a DATA's classes.

    A line on standard error says where the characters of a file were guessed. Raises `UserError` for a name twice.
    """
    path = Path(text)
    if path.is_file() and path.suffix.lower() in (".json", ".txt", ".names", ""):
        read = text_file(text)
        if read.note:
            note(read.note)
        lines = [line.strip() for line in read.text.splitlines()]
        names = _json_names(read.text, path) if path.suffix.lower() == ".json" else list(filter(None, lines))
    elif not path.exists() and "," in text:
        names = [name.strip() for name in text.split(",")]
    else:
        return tuple(open_data(text).classes)
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        if seen.setdefault(spelling(name), i) != i:
            raise UserError(f"{text}: '{name}' is name {seen[spelling(name)] + 1} and name {i + 1}; a class has one")
    return tuple(names)


def _json_names(text: str, path: Path) -> list[str]:
    names = parse_json(text, str(path))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{path}: expected a list of class names")
    return names
