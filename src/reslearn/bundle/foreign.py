"""Weights of other packages that say themselves what they are: opened as they are, as if they had been sealed here."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from ..nets.build import model_from_contents
from ..nets.facts import class_names
from ..nets.state_files import file_of, read_contents
from ..runtime.addresses import is_address, local, spelled
from ..runtime.container import is_sealed
from ..runtime.notes import note_once
from ..spec.errors import UserError
from .header import Bundle, Member


def is_foreign(path: str | os.PathLike[str]) -> bool:
    """Whether a model is an address, or a folder with a `config.json`, that holds no sealed file of ours."""
    folder = local(path)
    named = is_address(path) or (folder.is_dir() and (folder / "config.json").is_file())
    return named and not is_sealed(file_of(path))


def open_foreign(path: str | os.PathLike[str]) -> tuple[nn.Module, Bundle, Path]:
    """The network, what a sealed file would say of it, and where its weights lie.

    Raises `UserError` where it is not known which network it is, or how it reads pictures.
    """
    where, contents = spelled(path), read_contents(path)
    facts, convert = contents.facts, f"reslearn convert {spelled(path)} --model M -o FILE"
    if facts.network is None or facts.preprocess is None:
        what = "which network it is" if facts.network is None else "how pictures are prepared for it"
        raise UserError(f"{where}: nothing there says {what}; turn it into a sealed file: {convert}")
    net, fitted = model_from_contents(facts.network, contents)
    outputs = net.spec.num_classes  # type: ignore[union-attr]
    classes, note = class_names(facts.classes, outputs)  # type: ignore[arg-type]
    for line in (*contents.notes, *fitted.notes, *([note] if note else [])):
        note_once(f"{where}: {line}")
    bundle = Bundle((Member(net.spec),), facts.preprocess, classes=classes, source=facts.to_json())  # type: ignore[arg-type]
    return net, bundle, file_of(path)
