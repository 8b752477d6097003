"""The sealed file: one `model.safetensors` that says what its networks are. Nothing is built before all is verified."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise
from torch import Tensor, nn

from ..nets.build import create_model
from ..runtime.files import write_atomic
from ..spec.errors import UserError
from ..spec.net import NetSpec, Spec
from .combine import CombinedNet
from .container import digest_tensors, locate, read_container
from .header import KEY, MEAN_IMAGE, Bundle, header_from_json, header_to_json

Build = Callable[..., nn.Module]  # makes the blocks of a spec with a `variant`


@dataclass(frozen=True)
class Loaded:
    """An opened sealed file. `net` is in evaluation mode and maps (B, 3, S, S) float32 to (B, classes) logits."""

    net: nn.Module
    bundle: Bundle
    path: Path  # of the sealed file itself
    mean_image: Tensor | None = None  # (3, S, S) float32 where `preprocess.mean_image` is set


def save(
    path: str | os.PathLike[str], nets: Sequence[nn.Module], bundle: Bundle, *, mean_image: Tensor | None = None
) -> Bundle:
    """Seal `nets`, one per member of `bundle`, atomically; returns the bundle with `sha256` filled in.

    Wrappers of `torch.compile` and DDP are taken off. Raises `OSError` naming `path` when the disk is full or not
    writable; then no sealed file is left behind.
    """
    if len(nets) != len(bundle.members):
        raise UserError(f"{len(nets)} networks for a bundle of {len(bundle.members)} members")
    tensors = {} if mean_image is None else {MEAN_IMAGE: mean_image.detach().cpu().contiguous()}
    for net, member in zip(nets, bundle.members, strict=True):
        for name, tensor in unwrapped(net).state_dict().items():
            tensors[member.prefix + name] = tensor.detach().cpu().contiguous().clone()
    return write_sealed(path, tensors, bundle)


def write_sealed(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], bundle: Bundle) -> Bundle:
    """Write tensors that already carry their members' prefixes under `bundle`'s header, atomically."""
    if not any(_variant(member.spec) for member in bundle.members):  # a variant needs `build`; fit built it already
        _check_tensors(tensors, _skeletons(bundle, None), bundle, str(path))
    sealed = replace(bundle, sha256=digest_tensors(serialise(dict(tensors))))
    content = serialise(dict(tensors), metadata={KEY: header_to_json(sealed)})  # one key: their order is random
    try:
        write_atomic(path, content)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    return sealed


def load(path: str | os.PathLike[str], *, build: Build | None = None, device: str | torch.device = "cpu") -> Loaded:
    """Open a sealed file or the run folder that holds one.

    Raises `UserError` in one line when the path holds no sealed file of ours, or one that is truncated, altered, of a
    newer format, or whose tensors are not those of its specs. `build` is `paper`'s, for specs with a `variant`.
    """
    where = locate(path)
    bundle, tensors, skeletons = _open(where, build)
    nets = []
    for member, net in zip(bundle.members, skeletons, strict=True):
        names = net.state_dict()
        net.load_state_dict({name: tensors[member.prefix + name].to(names[name].dtype) for name in names}, assign=True)
        nets.append(net)
    combined = nets[0] if len(nets) == 1 else CombinedNet(
        nets, weights=[member.weight for member in bundle.members], combine=bundle.combine
    )  # fmt: skip
    return Loaded(combined.to(device).eval(), bundle, where, tensors.get(MEAN_IMAGE))


def verify(path: str | os.PathLike[str], *, build: Build | None = None) -> Bundle:
    """Check format, names, shapes and hash of a sealed file without building a network; the errors of `load`."""
    return _open(locate(path), build)[0]


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The header alone, of a file that is whole; its tensors are not hashed."""
    where = locate(path)
    return header_from_json(read_container(where)[1][KEY], str(where))


def read_tensors(path: str | os.PathLike[str]) -> tuple[Bundle, dict[str, Tensor]]:
    """The verified header and all tensors of a sealed file, prefixes included: what resealing starts from."""
    where = locate(path)
    content, metadata = read_container(where)
    bundle = header_from_json(metadata[KEY], str(where))
    return bundle, _verified_tensors(content, bundle, where)


def reseal(path: str | os.PathLike[str], **changes: Any) -> Bundle:
    """Replace header fields (temperature, threshold, scores) of a sealed file, atomically; tensors stay as they are."""
    where = locate(path)
    bundle, tensors = read_tensors(where)
    return write_sealed(where, tensors, replace(bundle, **changes))


def unwrapped(net: nn.Module) -> nn.Module:
    """The network inside `torch.compile`'s and DDP's wrappers."""
    while True:
        inner = getattr(net, "_orig_mod", None) or (net.module if hasattr(net, "device_ids") else None)
        if not isinstance(inner, nn.Module):
            return net
        net = inner


def _open(where: Path, build: Build | None) -> tuple[Bundle, dict[str, Tensor], list[nn.Module]]:
    content, metadata = read_container(where)
    bundle = header_from_json(metadata[KEY], str(where))
    tensors = _verified_tensors(content, bundle, where)
    for member in bundle.members:  # a spec cannot ask for more blocks than there are tensors to fill them
        if isinstance(member.spec, NetSpec) and sum(member.spec.stage_blocks) > len(tensors):
            raise UserError(f"{where}: its spec has more blocks than the file has tensors; the file is not ours")
    try:
        skeletons = _skeletons(bundle, build)
    except (UserError, RuntimeError, TypeError, OverflowError) as error:
        raise UserError(f"{where}: its spec cannot be built: {error}".splitlines()[0]) from None
    _check_tensors(tensors, skeletons, bundle, str(where))
    return bundle, tensors, skeletons


def _verified_tensors(content: bytes, bundle: Bundle, where: Path) -> dict[str, Tensor]:
    if digest_tensors(content) != bundle.sha256:
        raise UserError(f"{where}: its tensors do not have the sealed sha256; the file was altered, copy it again")
    try:
        return parse_tensors(content)
    except SafetensorError as error:
        raise UserError(f"{where}: damaged ({error}); copy it again") from None


def _skeletons(bundle: Bundle, build: Build | None) -> list[nn.Module]:
    """The members on the meta device: names and shapes, no memory."""
    with torch.device("meta"):
        return [create_model(member.spec, build=build) for member in bundle.members]


def _variant(spec: Spec) -> str | None:
    return getattr(spec, "variant", None)


def _check_tensors(tensors: Mapping[str, Tensor], skeletons: Sequence[nn.Module], bundle: Bundle, where: str) -> None:
    """Every tensor that the specs need, in its shape, and no other."""
    expected = {
        member.prefix + name: tuple(tensor.shape)
        for member, net in zip(bundle.members, skeletons, strict=True)
        for name, tensor in net.state_dict().items()
    }
    if bundle.preprocess.mean_image is not None:
        expected[MEAN_IMAGE] = (len(bundle.preprocess.mean), bundle.preprocess.size, bundle.preprocess.size)
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise UserError(f"{where}: tensor {name} is missing; the tensors are not those of its spec")
        if name not in expected:
            raise UserError(f"{where}: tensor {name} belongs to no network of its spec")
        if tuple(tensors[name].shape) != expected[name]:
            raise UserError(
                f"{where}: tensor {name} has shape {tuple(tensors[name].shape)}, its spec needs {expected[name]}"
            )
