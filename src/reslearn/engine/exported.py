"""An exported file as a value: its graph's bytes, and all that the sealed file it was made of says of itself.

The header (`runtime.envelope` says where it lies) holds the whole bundle, what recognises seen pictures, the mean image
and `Graph`. What recognises pictures of large data lies beside the file, in NAME.seen, whose digest the header holds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load as parse_tensors
from safetensors.numpy import save as serialise
from torch import Tensor

from ..bundle.header import Bundle, header_from_json, header_to_json
from ..data.parts.known import NOTHING, SELECTED, TRAINED, Heads, Known
from ..data.preprocess import Normalise
from ..runtime.envelope import FORMAT, Envelope, ExportKind, digest_in, envelope_of, header_text, read_envelope, stamp
from ..runtime.notes import note
from ..runtime.opening import read_regular
from ..spec.choices import Engine, GraphInput, Width
from ..spec.codec import from_json, to_json
from ..spec.errors import UserError

INSIDE = 1 << 20  # bytes of what recognises pictures, above which it lies beside the file
SEEN_KEY = "reslearn.seen"
IMAGES, LOGITS, CAM = "images", "logits", "cam"  # names of a graph's input and outputs


@dataclass(frozen=True)
class Calibration:
    """The pictures that int8's ranges were measured on, and what the score on validation pictures came to."""

    data: str
    fingerprint: str | None
    split: str
    pictures: tuple[str, ...]  # their names in the data
    keys: str  # sha256 of their pixel keys
    validation: int = 0  # pictures that the drop was measured on; 0: none were there
    drop: float | None = None  # points of top-1 lost on these
    drop_interval: tuple[float, float] | None = None  # 95 %
    controlled: bool = False  # some layers were given back their width, chosen on these pictures


@dataclass(frozen=True)
class Graph:
    """What an exported graph takes and gives. `float`: (batch, 3, size, size) float32, normalised; `uint8`: (batch,
    height, width, 3) RGB bytes of any size."""

    to: ExportKind
    input: GraphInput
    precision: Width
    size: int
    outputs: tuple[str, ...]
    engines: tuple[Engine, ...]  # that it is right on, its own first
    made_of: str  # the sealed file, as it was named
    made_of_sha256: str
    versions: Mapping[str, str]  # of the packages that made it
    opset: int | None = None
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        if not self.engines and self.to != "torch":
            raise UserError("engines: a graph is right on one at least")
        if not 1 <= self.size <= 4096:
            raise UserError(f"size is {self.size}; it must be 1 to 4096 pixels")


@dataclass(frozen=True, eq=False)
class Exported:
    """An opened exported file: a model that one engine scores. Its weights cannot be changed, so they are as sealed."""

    graph: Graph
    bundle: Bundle
    path: Path
    known: Known
    content: bytes
    weights: bytes
    sha256: str
    mean_image: Tensor | None = None

    @property
    def as_sealed(self) -> bool:
        """Whether its weights are those that were sealed: nothing can change them."""
        return True

    @property
    def normalise(self) -> Normalise:
        """What makes prepared pictures the input of a `float` graph."""
        return Normalise(self.bundle.preprocess, self.mean_image)

    def identity(self) -> str:
        """A digest of all that the answers depend on."""
        return self.sha256


@dataclass(frozen=True)
class Draft:
    """What is written into an exported file beside its graph."""

    graph: Graph
    bundle: Bundle
    known: Known = NOTHING
    mean_image: Tensor | None = None

    def beside(self) -> bytes:
        """The bytes of NAME.seen; none where all fits into the file."""
        tensors = self.known.tensors()
        if sum(heads.nbytes for heads in tensors.values()) <= INSIDE:
            return b""
        return serialise(tensors, metadata={SEEN_KEY: str(FORMAT)})

    def text(self, weights: int) -> str:
        """The text that goes into the file; `weights` is the length of OpenVINO's `.bin`."""
        beside = self.beside()
        bundle = json.loads(header_to_json(replace(self.bundle, seen=self.known.header())))
        fields = {
            "format": FORMAT,
            "bundle": bundle | {"sha256": self.bundle.sha256},
            "graph": to_json(self.graph),
            "seen_sha256": hashlib.sha256(beside).hexdigest() if beside else None,
            "filters": {} if beside else {name: _packed(heads) for name, heads in self.known.tensors().items()},
            "mean_image": None if self.mean_image is None else _packed(self.mean_image.float().numpy()),
            "weights": weights,
        }
        return header_text(fields)

    def sealed(self, content: bytes, weights: bytes, where: Path) -> Exported:
        """The value of a graph's bytes that hold `text`: its digest filled in, and checked as when it is opened."""
        if self.graph.to == "torch":  # stamped by its writer, and never opened
            header = json.loads(self.text(0))
            return _exported(Envelope(where, "torch", content, b"", header, digest_in(content)), self.beside())
        stamped = stamp(self.graph.to, content, weights)
        return _exported(envelope_of(self.graph.to, stamped, weights, where), self.beside())


def open_exported(path: str | os.PathLike[str]) -> Exported:
    """Open a file that `export` made. Raises `UserError` for any other, and for one that was altered."""
    envelope = read_envelope(path)
    digest, beside = envelope.header.get("seen_sha256"), seen_beside(envelope.path)
    if digest is None:
        return _exported(envelope, b"")
    try:
        content = read_regular(beside, 1 << 32)
    except FileNotFoundError:
        note(f"{beside}: not there, so nothing recognises the pictures that {envelope.path.name} was trained on")
        return replace(_exported(envelope, None), known=NOTHING)
    return _exported(envelope, content)


def seen_beside(path: Path) -> Path:
    """Where what recognises seen pictures lies, if not in the file."""
    return path.with_name(path.name + ".seen")


def _exported(envelope: Envelope, beside: bytes | None) -> Exported:
    """`beside` are the bytes of NAME.seen; None where they are missing."""
    header, where = envelope.header, str(envelope.path)
    graph = from_json(Graph, header.get("graph"), f"{where}: graph")
    if not isinstance(header.get("bundle"), dict):
        raise UserError(f"{where}: bundle: expected an object; export it again")
    bundle = header_from_json(header["bundle"], where)
    size = graph.size, bundle.preprocess.size
    if graph.to != envelope.kind or size[0] != size[1]:
        raise UserError(f"{where}: its metadata are of another graph; export it again")
    filters = {} if beside is None else _filters(header, beside, envelope.path)
    seen = bundle.seen
    promised = {} if seen is None else {TRAINED: seen.trained, SELECTED: seen.selected}
    if beside is not None and {name: len(heads) for name, heads in filters.items()} != {
        k: n for k, n in promised.items() if n
    }:
        raise UserError(f"{where}: its metadata promise other marks of seen pictures; export it again")
    empty = np.empty(0, np.int64)
    known = NOTHING if seen is None or beside is None else Known(
        filters.get(TRAINED, empty), filters.get(SELECTED, empty), seen.known_by, seen.forgotten
    )  # fmt: skip
    return Exported(
        graph, bundle, envelope.path, known, envelope.content, envelope.weights, envelope.sha256,
        _mean_image(header, bundle, where),
    )  # fmt: skip


def _filters(header: Mapping[str, Any], beside: bytes, path: Path) -> dict[str, Heads]:
    if not beside:
        packed = header.get("filters")
        if not isinstance(packed, dict):
            raise UserError(f"{path}: filters: expected an object; export it again")
        found = {name: _unpacked(text, np.dtype("<i8"), str(path)) for name, text in packed.items()}
    else:
        name = seen_beside(path)
        if hashlib.sha256(beside).hexdigest() != header.get("seen_sha256"):
            raise UserError(f"{name}: it is not the one that {path.name} was exported with; copy both files again")
        try:
            found = parse_tensors(beside)
        except (SafetensorError, ValueError, KeyError):
            raise UserError(f"{name}: damaged; export the model again") from None
    if not all(
        heads.ndim == 1 and heads.dtype == np.int64 and (heads[1:] > heads[:-1]).all() for heads in found.values()
    ):
        raise UserError(f"{path}: what recognises seen pictures is no sorted filter; export it again")
    return found


def _mean_image(header: Mapping[str, Any], bundle: Bundle, where: str) -> Tensor | None:
    wanted, text = bundle.preprocess.mean_image, header.get("mean_image")
    if wanted is None:
        return None
    values = _unpacked(text, np.dtype("<f4"), where)
    shape = (len(bundle.preprocess.mean), bundle.preprocess.size, bundle.preprocess.size)
    if hashlib.sha256(values.tobytes()).hexdigest() != wanted or values.size != np.prod(shape):
        raise UserError(f"{where}: its mean image is not the one that its preprocessing names; export it again")
    return torch.from_numpy(values.reshape(shape).copy())


def _packed(values: np.ndarray[Any, Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def _unpacked(text: Any, dtype: np.dtype[Any], where: str) -> np.ndarray[Any, Any]:
    try:
        return np.frombuffer(base64.b64decode(text, validate=True), dtype)
    except (TypeError, ValueError, binascii.Error):
        raise UserError(f"{where}: its metadata are damaged; export it again") from None
