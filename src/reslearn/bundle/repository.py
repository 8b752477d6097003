"""A sealed file as a repository holds it: in the tensor names of timm, which then reads it as it is.

Its header has two fields more: `layout`, whose names the tensors bear, and `beside`, the digest of the file that
recognises seen pictures, which timm could make nothing of.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise
from torch import Tensor

from ..data.parts.known import Known
from ..nets.build import create_model
from ..nets.weights import foreign_name, renamed
from ..runtime.container import FILE_NAME, FORMAT, KEY, Container, stamp
from ..runtime.files import write_atomic
from ..runtime.notes import note_once
from ..runtime.opening import DOCUMENT, read_regular
from ..runtime.replacing import SEALED, replaceable
from ..spec.architectures import to_timm
from ..spec.errors import UserError
from ..spec.seen import SeenHeader
from .header import BESIDE, LAYOUT, SEEN_FILE, Bundle, Published, header_to_json


def layout_of(bundle: Bundle) -> str:
    """Whose names the tensors get: timm's where it has that network and what it reads, else ours."""
    if len(bundle.members) > 1 or bundle.preprocess.mean_image is not None:
        return "reslearn"
    return "reslearn" if to_timm(bundle.members[0].spec) is None else "timm"


def write_published(folder: Path, tensors: Mapping[str, Tensor], bundle: Bundle, known: Known) -> Bundle:
    """Write `model.safetensors`, and beside it what recognises seen pictures, into `folder`; returns the bundle.

    `tensors` are those of a sealed file, its filters aside; a single network gets the names of timm where that has it.
    """
    layout, target = layout_of(bundle), replaceable(folder / FILE_NAME, SEALED)
    if layout != "reslearn":
        tensors = renamed(tensors, bundle.members[0].spec, layout)
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    heads, beside = {name: torch.from_numpy(part) for name, part in known.tensors().items()}, {}
    (folder / SEEN_FILE).unlink(missing_ok=True)
    if heads:
        content = serialise(heads)
        write_atomic(folder / SEEN_FILE, content)
        beside = {SEEN_FILE: hashlib.sha256(content).hexdigest()}
    bundle = replace(bundle, seen=known.header(), format=FORMAT)
    header = json.loads(header_to_json(bundle)) | {LAYOUT: layout, BESIDE: beside}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode(errors="backslashreplace").decode()
    content, digest = stamp(serialise(dict(tensors), metadata={KEY: text}))
    write_atomic(target, content)
    return replace(bundle, sha256=digest)


def check_not_published(container: Container) -> None:
    """Raise `UserError` for the file of a repository: what others have fetched is not changed under its name."""
    if LAYOUT in container.header:
        raise UserError(
            f"{container.path}: published; change the model that it was made of, and push that: reslearn push MODEL"
        )


def with_beside(bundle: Bundle, how: Published, path: Path) -> tuple[Bundle, dict[str, Tensor] | None]:
    """The bundle, and what recognises seen pictures; where the file beside is gone, the bundle knows of nothing.

    Raises `UserError` for a file beside that was altered.
    """
    if how.beside is None:
        return bundle, None
    file = path.parent / SEEN_FILE
    try:
        content = read_regular(file, DOCUMENT)
    except FileNotFoundError:
        note_once(f"{path}: {SEEN_FILE} is not beside it, so nobody knows which pictures it was trained on")
        return replace(bundle, seen=SeenHeader("nothing")), None
    if hashlib.sha256(content).hexdigest() != how.beside:
        raise UserError(f"{file}: altered, it has not the digest in {path.name}; fetch both again, or remove it")
    try:
        return bundle, parse_tensors(content)
    except SafetensorError as error:
        raise UserError(f"{file}: damaged ({error}); fetch it again") from None


def in_our_names(tensors: Mapping[str, Tensor], bundle: Bundle, how: Published) -> dict[str, Tensor]:
    """The tensors under our names and in our shapes; what the layout does not know stays as it is."""
    if how.layout == "reslearn":
        return dict(tensors)
    left = dict(tensors)
    with torch.device("meta"):
        wanted = create_model(bundle.members[0].spec).state_dict()
    ours: dict[str, Tensor] = {}
    for name, like in wanted.items():
        tensor = left.pop(foreign_name(name, bundle.members[0].spec, how.layout), None)
        if tensor is not None:
            flat = tensor.dim() == 4 and like.dim() == 2 and tensor.shape[2:] == (1, 1)
            ours[bundle.members[0].prefix + name] = tensor.flatten(1) if flat else tensor
    return ours | left
