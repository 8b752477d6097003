"""`pictures.safetensors` of a run folder: the keys of what it trains on and validates on, picture by picture.

Rows stand as the names in `run.json`'s split. They are filled as pictures are read (all at once where they are kept in
memory, over the first epoch where not), kept with every checkpoint, and are whole before the run is sealed: from them
comes what the sealed file recognises.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..bundle.file import known_of, read_bundle, read_tensors
from ..data.dataset import Dataset, Indices
from ..data.parts.keyed import Keyed
from ..data.parts.keys import FILE, PIXELS, ROW, Keys, known
from ..data.parts.known import NOTHING, Known
from ..data.pictures.kinds import DECODER
from ..data.sameness import plain
from ..runtime.addresses import local
from ..runtime.container import locate, read_safetensors
from ..runtime.files import write_atomic
from ..runtime.process_group import World
from ..spec.choices import OnBadFile
from ..spec.errors import UserError
from ..spec.seen import weakest
from .checkpoint import run_of
from .records.belonging import belongs_to, run_id
from .records.run import RunRecord, read_record, whole_of
from .together import together

FILE_NAME, KEY, FORMAT = "pictures.safetensors", "reslearn.pictures", 1
_NONE: Keys = np.empty((0, ROW), np.uint8)


@dataclass(frozen=True, eq=False)
class Kept:
    """The file's contents. A row holds a picture's file key, pixel key and original's pixel key; zeros: not known."""

    train: Keys = field(default_factory=lambda: _NONE)  # (N, 48)
    val: Keys = field(default_factory=lambda: _NONE)
    sizes: tuple[Indices | None, Indices | None] = (None, None)  # (N,) bytes of the files of train and val
    plain: bool = True  # the file keys are those of the bytes that were decoded
    decoder: int = DECODER  # what made the pixel keys
    start: Known = field(default_factory=Known)  # what the weights that the run began with have seen


def read_pictures(folder: Path) -> Kept | None:
    """What the run in `folder` has noted so far; None for a run of before, a forgetful one, and a damaged file."""
    try:
        content, metadata = read_safetensors(folder / FILE_NAME)
        about, tensors = json.loads(metadata[KEY]), load(content)
        if about["sha256"] != _digest(tensors):
            return None
        start = Known(tensors["start.trained"], tensors["start.selected"], about["start"])
        if len(tensors.get("also", ())):  # pictures that were replaced between a stop and a resume, which was possible
            start = start.with_pictures(tensors["also"])
        sizes = tensors.get("sizes.train"), tensors.get("sizes.val")
        plain, decoder = bool(about.get("plain", True)), int(about["decoder"])
        return Kept(tensors["train"], tensors["val"], sizes, plain, decoder, start)
    except (UserError, OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None


class RunPictures:
    """The pictures of a run, noted while they are read."""

    def __init__(self, train: Dataset, val: Dataset | None, start: Known) -> None:
        self.train = Keyed(train, fixed=True)
        self.val = Keyed(val, fixed=True) if val is not None and len(val) else None  # None where nothing is validated
        self.start = start
        self._plain = plain(train)
        self._written = self._shared = -1

    def recall(self, folder: Path, fingerprint: str) -> None:
        """Go on from what the run, begun on data with this fingerprint, has noted before it was stopped."""
        kept = read_pictures(folder)
        if kept is None:
            if whole_of(self.train.source).fingerprint() != fingerprint:  # of what it was trained on, the names tell
                self.start = replace(self.start, known_by=weakest([self.start.known_by, "names"]))
            return
        same_decoder = kept.decoder == DECODER
        self.start = kept.start if same_decoder else kept.start.with_pictures(kept.train)
        self._plain = self._plain and kept.plain
        for part, rows in ((self.train, kept.train), (self.val, kept.val)):
            if part is not None and len(rows) == len(part):
                adopted = np.array(rows)
                if not same_decoder:
                    adopted[:, FILE.stop :] = 0
                part.adopt(adopted)

    @property
    def _parts(self) -> list[Keyed]:
        return [part for part in (self.train, self.val) if part is not None]

    def _filled(self) -> int:
        return sum(int(known(part.rows[:, column]).sum()) for part in self._parts for column in (FILE, PIXELS))

    def exchange(self, world: World) -> None:
        """Tell all processes what each has read: each reads a part of the pictures."""
        filled = self._filled()
        if not world.sum(float(filled != self._shared))[0]:
            return
        for part in self._parts:
            largest = world.largest(part.rows)
            other = np.flatnonzero(known(part.rows[:, PIXELS]) & (part.rows != largest).any(axis=1))
            part.rows[:] = largest
            name = part.ids[int(other[0])] if len(other) else None
            together(world, functools.partial(_still_one, part.path, name))
        self._shared = self._filled()

    def keep(self, folder: Path) -> None:
        """Write what is known now, unless that is written."""
        for part in self._parts:
            part.ask_memory()
        filled = self._filled()
        if filled == self._written:
            return
        for part in self._parts:
            part.remember()
        tensors: dict[str, Any] = {
            "train": np.array(self.train.rows),
            "val": np.array(self.val.rows if self.val is not None else _NONE),
            "sizes.train": self.train.sizes,
            "sizes.val": self.val.sizes if self.val is not None else np.empty(0, np.int64),
            "start.trained": self.start.trained,
            "start.selected": self.start.selected,
        }
        about = {
            "format": FORMAT,
            "decoder": DECODER,
            "plain": self._plain,
            "start": self.start.known_by,
            "sha256": _digest(tensors),
        }
        write_atomic(folder / FILE_NAME, save(tensors, metadata={KEY: json.dumps(about)}))
        self._written = filled

    def settle(self, world: World, on_bad_file: OnBadFile, *, selects: bool) -> Known:
        """What recognises the pictures of the run; whole in the first process, which reads what none has read.

        With `selects`, something was chosen on the validation pictures.
        """
        self.exchange(world)
        if world.first:
            for part in self._parts:
                part.complete(on_bad_file=on_bad_file)
        if any(part.drawn for part in self._parts):
            self.start = replace(self.start, known_by="nothing")
        return self.start.with_pictures(self.train.rows, self.val.rows if self.val is not None and selects else None)


def _still_one(path: str | None, other: str | None) -> None:
    if other is not None:  # two processes have read two pictures under one name
        raise UserError(f"{path}: {other} became another picture while the run was trained; put it back and resume")


def seen_by(weights: str | os.PathLike[str]) -> Known:
    """What a file of weights has seen: as a sealed file says, or the run whose checkpoint it is; of others, nothing."""
    try:
        return known_of(*read_tensors(weights))
    except UserError:  # no sealed file of ours; whoever loads it says what is wrong
        run = _run_of(weights)
    kept = None if run is None else read_pictures(run[0])
    if run is None or kept is None:
        return NOTHING
    record = run[1]
    selects = bool(record.recipe.decides_on_validation)
    seen = kept.start.with_pictures(kept.train, kept.val if selects else None)
    return seen if known(kept.train).all() else replace(seen, known_by="nothing")


def seen_before(weights: str | os.PathLike[str] | None, data: Dataset) -> Known:
    """What the weights that a training on `data` starts from have seen.

    Where their file does not say, a run is known by the names of its pictures, if it was trained on the same data.
    """
    if weights is None:
        return Known()
    seen, run = seen_by(weights), _run_of(weights)
    if len(seen.trained) or run is None or run[1].data["fingerprint"] != data.fingerprint():
        return seen
    record = run[1]
    keyed, names = Keyed(data), np.array(list(data.ids), dtype=object)
    trained, selected = (np.flatnonzero(np.isin(names, list(ids))) for ids in record.seen_names)
    keyed.complete(np.concatenate([trained, selected]), on_bad_file=record.on_bad_file)
    by_names = seen.with_pictures(keyed.rows[trained], keyed.rows[selected])
    return replace(by_names, known_by="names" if record.weights is None else "nothing", forgotten=False)


def marks_of(weights: str | os.PathLike[str] | None) -> dict[str, Any]:
    """What must be said of every model that is made from these weights: that they were chosen by looking at test."""
    if weights is None:
        return {}
    try:
        data = read_bundle(weights).data or {}
    except UserError:  # no sealed file, but maybe a checkpoint of a run that began from such weights
        run = _run_of(weights)
        data = {} if run is None else run[1].data
    return {"selected_on": "test"} if data.get("selected_on") == "test" else {}


def _run_of(weights: str | os.PathLike[str]) -> tuple[Path, RunRecord] | None:
    """The run, folder and record, whose model or checkpoint a file is; None for any other file that lies there."""
    path = local(weights).resolve()
    told = run_of(path) if path.parent.name == "checkpoints" else None
    folder = path if path.is_dir() else path.parent if told is None else path.parent.parent
    try:
        record = read_record(folder)
        if told is not None:
            own = told in ("", run_id(record))
        else:
            own = belongs_to(locate(path), read_bundle(path).data, record)
    except UserError:  # a damaged record, or another program's: nothing is known
        return None
    return (folder, record) if own else None


def _digest(tensors: dict[str, Any]) -> str:
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(f"{name} {tensors[name].shape}\n".encode() + np.ascontiguousarray(tensors[name]).tobytes())
    return sha.hexdigest()
