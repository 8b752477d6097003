"""Files of named tensors: safetensors, and PyTorch's pickles through its restricted loader, which runs no code."""

from __future__ import annotations

import argparse
import io
import os
import pathlib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise
from torch import Tensor

from ..runtime.addresses import local, spelled
from ..runtime.container import MEAN_IMAGE, SEEN, check_safetensors, is_sealed, read_container
from ..runtime.envelope import refuse_exported
from ..runtime.files import read_json, write_atomic
from ..runtime.opening import descriptor_path, open_regular
from ..runtime.replacing import PICKLE, WEIGHTS, replaceable
from ..spec.codec import from_json
from ..spec.errors import UserError
from ..spec.facts import NOTHING, Facts
from ..spec.net import spec_from_json
from ..spec.preprocess import Preprocess
from .facts import find_facts
from .file_kinds import kind_of

State = dict[str, Tensor]
PICKLES = (".pth", ".pt", ".th", ".bin")
FOLDER_FILES = ("model.safetensors", "pytorch_model.bin")  # what a run folder and a cloned hub repository hold
_PART = re.compile(r"-\d+-of-0*(?!1\.)[1-9]\d*\.\w+$")  # model-00001-of-00002.safetensors
_IN_PARTS = "weights in several files; save them as one (in transformers: save_pretrained(..., max_shard_size='9GB'))"
DEPTH = 6  # mappings inside mappings, beyond which no trainer puts weights

_NUMPY = {"scalar": np.float64(0).__reduce__()[0], "_reconstruct": np.zeros(1).__reduce__()[0]}
_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
HARMLESS: list[Any] = [  # plain data that training scripts keep beside the weights; making it runs no code
    argparse.Namespace,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in "?bhilqBHILQefdSUO"},
    *((made, f"numpy.{core}.multiarray.{name}") for name, made in _NUMPY.items() for core in ("core", "_core")),
    *((pathlib.PurePosixPath, f"pathlib{part}.{name}") for name in _PATHS for part in ("", "._local")),
]


@dataclass(frozen=True)
class Contents:
    """What a file of weights holds, as it stands there."""

    where: str  # the file, for messages
    groups: dict[str, State]  # the tensors of each mapping in it, by its dotted keys; "" is the outermost
    keys: frozenset[str] = frozenset()  # the dotted keys of everything in the two outermost mappings
    facts: Facts = NOTHING  # network, preprocessing and class names, as far as who made the file says
    sealed: bool = False  # it is a file of ours, which says all of them
    config: Mapping[str, Any] = field(default_factory=dict)  # of a `config.json` beside it
    notes: tuple[str, ...] = ()  # what is to be said of the facts

    @property
    def mean_image(self) -> Tensor | None:
        """The mean image in a sealed file, float32 (3, S, S); None where it has none."""
        return self.groups[""].get(MEAN_IMAGE) if self.sealed else None


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """The tensors of a .safetensors or PyTorch file, of a run folder or cloned hub repository, or of an address.

    Names come without the marks of DataParallel, FSDP and torch.compile. Raises `UserError` that says what the file is
    where it is no such file, and for one that would run code when read.
    """
    where = spelled(path)
    file = file_of(path)
    refuse_exported(file)
    config = _config_beside(file)
    with open_regular(file) as opened:
        start = opened.read(9)
    if start[8:9] == b"{" and is_sealed(file):
        return _read_sealed(file, where)
    facts, notes = find_facts(where, file.parent, config)
    data: Any = _read_safetensors(file) if start[8:9] == b"{" else _read_pickle(file)
    if not isinstance(data, (Mapping, list, tuple)):
        raise UserError(f"{where}: holds a {type(data).__name__}, not a state dict")
    groups = dict(_groups(data))
    if not groups:
        raise UserError(f"{where}: holds no tensors")
    return Contents(where, groups, frozenset(_keys(data)), facts, config=config, notes=notes)


def file_of(given: str | os.PathLike[str]) -> Path:
    """The file of weights that a path or address means: itself, or that in a run folder or cloned hub repository."""
    path = local(given)
    if path.is_dir():
        inside = next((path / name for name in FOLDER_FILES if (path / name).is_file()), None)
        if inside is not None:
            return inside
        if any((path / f"{name}.index.json").is_file() for name in FOLDER_FILES):
            raise UserError(f"{path}: {_IN_PARTS}")
        if (path / "run.json").exists():
            raise UserError(f"{path}: this run is not finished; finish it: reslearn resume {path}")
        raise UserError(f"{path}: a folder without {' or '.join(FOLDER_FILES)}; give the file of weights")
    if re.match(r"\w+:/", str(path)):
        raise UserError(f"{os.fspath(given)}: an address, not a file; download it and give the file")
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if path.name.endswith(".index.json") or _PART.search(path.name):
        raise UserError(f"{path}: {_IN_PARTS}")
    return path


def _read_sealed(file: Path, where: str) -> Contents:
    """A file of ours, its checksum checked."""
    sealed = read_container(file)
    members, classes = sealed.header.get("members"), sealed.header.get("classes")
    if not isinstance(members, list) or len(members) != 1 or not isinstance(members[0], dict):
        raise UserError(f"{where}: an ensemble of several networks; give the file of one")
    prefix = str(members[0].get("prefix", ""))
    tensors = {
        name if name == MEAN_IMAGE else name.removeprefix(prefix): tensor
        for name, tensor in parse_tensors(sealed.content).items()
        if name == MEAN_IMAGE or (name.startswith(prefix) and not name.startswith(SEEN))
    }
    source = sealed.header.get("source")
    told = source if isinstance(source, dict) else {}
    facts = Facts(
        source=str(told["weights"]) if "weights" in told else None,
        network=spec_from_json(members[0].get("spec"), where),
        preprocess=from_json(Preprocess, sealed.header.get("preprocess"), where),
        classes=tuple(map(str, classes)) if isinstance(classes, list) else None,
        licence=str(told["licence"]) if "licence" in told else None,
        recipe=str(told["recipe"]) if "recipe" in told else None,
    )
    return Contents(where, {"": tensors}, facts=facts, sealed=True)


def _read_safetensors(file: Path) -> State:
    try:
        check_safetensors(file)  # before the library maps a file that may be of any length
        with open_regular(file) as held, safe_open(descriptor_path(held, file), framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, UserError) as error:
        reason = str(error).removeprefix(f"{file}: ").partition(";")[0]
        raise UserError(f"{file}: not a whole safetensors file ({reason}); copy it again") from None


def _read_pickle(file: Path) -> Any:
    if kind := kind_of(file):
        raise UserError(f"{file}: {kind}; expected a PyTorch or safetensors file of tensors")
    try:
        with open_regular(file) as opened, torch.serialization.safe_globals(HARMLESS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(opened, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        needs = re.search(r"(?:GLOBAL|class|function) '?([\w.]+)'?", str(error))
        if needs:
            raise UserError(
                f"{file}: refused, because reading it would run code ({needs.group(1)}); "
                "ask its author for a plain state dict or a safetensors file"
            ) from None
    except Exception:  # whatever torch meets in damaged bytes: assertions and struct's errors are among it
        pass
    raise UserError(f"{file}: not a PyTorch or safetensors file, or a damaged one")


def _items(data: Any) -> Iterator[tuple[str, Any]]:
    """The entries of a mapping or sequence; none of anything else."""
    if isinstance(data, Mapping):
        yield from ((str(key), value) for key, value in data.items())
    elif isinstance(data, (list, tuple)):
        yield from ((str(index), value) for index, value in enumerate(data))


def _groups(data: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """(dotted keys, tensors) of every mapping that holds tensors, outermost first."""
    tensors = _unmarked({name: value for name, value in _items(data) if isinstance(value, Tensor)})
    if tensors:
        yield path, tensors
    for name, value in _items(data) if depth < DEPTH else ():
        if not isinstance(value, Tensor):
            yield from _groups(value, f"{path}.{name}" if path else name, depth + 1)


def _keys(data: Any) -> Iterator[str]:
    for name, value in _items(data):
        yield name
        yield from (f"{name}.{inner}" for inner, _ in _items(value))


def _unmarked(marked: State) -> State:
    """Under bare names, unless two tensors differ that differ in their marks alone: they are of two networks."""
    tensors: State = {}
    for name, value in marked.items():
        there = tensors.setdefault(_bare(name), value)
        if there is not value and not equal(there, value):
            return marked
    return tensors


def equal(one: Tensor, other: Tensor) -> bool:
    """Whether all values are equal; those of sparse tensors, and of ones without values, never are."""
    able = all(not tensor.is_meta and tensor.layout == torch.strided for tensor in (one, other))
    return able and one.dtype == other.dtype and torch.equal(one, other)


def _bare(name: str) -> str:
    """Without the marks of torch.compile, FSDP, activation checkpointing, DeepSpeed and DataParallel."""
    name = re.sub(r"(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\.", "", name)
    return re.sub(r"^(module\.)+", "", name)


def _config_beside(file: Path) -> Mapping[str, Any]:
    """The `config.json` of a hub repository beside its weights; empty where there is none that can be read."""
    try:
        value = read_json(file.parent / "config.json")
    except (OSError, UserError):
        return {}
    return value if file.name in FOLDER_FILES and isinstance(value, dict) else {}


def state_target(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """`path`, if `write_state` may write there: where nothing is, or safetensors of its own; a pickle is anybody's."""
    kind = PICKLE if Path(path).suffix in PICKLES else WEIGHTS
    return replaceable(path, kind, inputs=inputs)


def write_state(path: str | os.PathLike[str], state: State, layout: str = "reslearn") -> None:
    """Write a state dict atomically: safetensors, or a PyTorch file where the name ends in .pth, .pt, .th or .bin.

    Raises `UserError` where something is there that is no safetensors file which this wrote.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    if Path(path).suffix in PICKLES:
        memory = io.BytesIO()  # of a full disk these libraries' own writers do not say the name
        torch.save(tensors, memory)
        content = memory.getvalue()
    else:
        content = serialise(tensors, metadata={"reslearn.layout": layout})
    write_atomic(state_target(path), content)
