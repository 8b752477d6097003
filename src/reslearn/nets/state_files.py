"""Files of named tensors: safetensors, and PyTorch's pickles through its restricted loader, which runs no code."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from ..runtime.files import atomic_path
from ..spec.errors import UserError

State = dict[str, Tensor]
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "state")  # keys under which training scripts put it


def read_state(path: str | os.PathLike[str]) -> State:
    """The state dict in a .safetensors file or a PyTorch file, out of wrappers and without wrapper prefixes."""
    file = Path(path)
    if file.is_dir() and (file / "model.safetensors").exists():
        file = file / "model.safetensors"
    if not file.is_file():
        raise UserError(f"{path}: no such file")
    with open(file, "rb") as opened:
        start = opened.read(9)
    data = _read_safetensors(file) if start[8:9] == b"{" else _read_pickle(file)
    state = {_bare(name): tensor for name, tensor in _unwrap(data, str(path)).items()}
    if not state:
        raise UserError(f"{path}: holds no tensors")
    return state


def _read_safetensors(file: Path) -> State:
    try:
        with safe_open(file, framework="pt") as opened:
            header = (opened.metadata() or {}).get("reslearn.bundle")
            if header and len(json.loads(header).get("members", [])) > 1:
                raise UserError(f"{file}: an ensemble of several networks; give the file of one")
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise UserError(f"{file}: not a whole safetensors file ({error}); copy it again") from None


def _read_pickle(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        needs = re.search(r"(?:GLOBAL|class|function) '?([\w.]+)'?", str(error))
        if needs:
            raise UserError(
                f"{file}: refused, because reading it would run code ({needs.group(1)}); "
                "ask its author for a plain state dict or a safetensors file"
            ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, OSError):
        pass
    raise UserError(f"{file}: not a PyTorch or safetensors file, or a damaged one")


def _unwrap(data: Any, where: str) -> State:
    """The innermost mapping of names to tensors."""
    while isinstance(data, Mapping):
        inner = next((data[key] for key in WRAPPERS if isinstance(data.get(key), Mapping)), None)
        if inner is None:
            return {str(name): value for name, value in data.items() if isinstance(value, Tensor)}
        data = inner
    raise UserError(f"{where}: holds a {type(data).__name__}, not a state dict")


def _bare(name: str) -> str:
    """Without the prefixes of DataParallel and torch.compile."""
    return re.sub(r"^(module\.)+", "", name.replace("_orig_mod.", ""))


def write_state(path: str | os.PathLike[str], state: State) -> None:
    """Write a state dict atomically: safetensors, or a PyTorch file where the name ends in .pth, .pt, .th or .bin."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_path(path) as temporary:
        if Path(path).suffix in (".pth", ".pt", ".th", ".bin"):
            torch.save(tensors, temporary)
        else:
            save_file(tensors, temporary)
