"""The sealed file: one `model.safetensors` that says what its networks are. Nothing is built before all is verified."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as serialise
from torch import Tensor, nn

from ..data.parts.known import NOTHING, SELECTED, TRAINED, Known
from ..data.preprocess import Normalise
from ..nets.build import create_model
from ..runtime.container import FORMAT, KEY, MEAN_IMAGE, SEEN, Container, locate, read_container, stamp
from ..runtime.envelope import refuse_exported
from ..runtime.files import write_atomic
from ..runtime.replacing import SEALED, replaceable
from ..spec.errors import UserError, path_text
from .combine import CombinedNet
from .foreign import is_foreign, open_foreign
from .header import Bundle, for_repositories, header_from_json, header_text, header_to_json
from .repository import check_not_published, in_our_names, with_beside
from .tensors import check_tensors


@dataclass(frozen=True)
class Loaded:
    """An opened sealed file. `net` is in evaluation mode and maps (B, 3, S, S) float32 to (B, classes) logits."""

    net: nn.Module
    bundle: Bundle
    path: Path  # of the sealed file itself
    mean_image: Tensor | None = None  # (3, S, S) float32 where `preprocess.mean_image` is set
    known: Known = NOTHING  # what recognises the pictures that it has seen
    sums: tuple[int, ...] = ()  # of its weights as they were sealed

    def __repr__(self) -> str:
        names = " + ".join(dict.fromkeys(member.spec.name for member in self.bundle.members))
        of = self.bundle.num_classes
        return f"Loaded({names} of {self.path}: {of} classes, input {self.bundle.preprocess.size} pixels)"

    @property
    def normalise(self) -> Normalise:
        """What makes prepared pictures the network's input, in the type of its weights."""
        dtype = next((parameter.dtype for parameter in self.net.parameters()), torch.float32)
        return Normalise(self.bundle.preprocess, self.mean_image, dtype=dtype)

    @property
    def as_sealed(self) -> bool:
        """Whether its layers hold the weights that were in the file, as far as sums tell: training changes them."""
        return not self.sums or self.sums == bit_sums(self.net)

    def identity(self) -> str:
        """A digest of the header, and of layers and weights as they are now, whatever file or format they came from.

        Two models of one digest are the same; what is kept of one is not taken for another.
        """
        header = header_text(replace(self.bundle, format=FORMAT, sealed_whole_since=None, source=None), digest=True)
        digest = hashlib.sha256(f"{len(header)} {header}\n{self.net!r}\n".encode(errors="surrogateescape"))
        beside = {} if self.mean_image is None else {MEAN_IMAGE: self.mean_image}
        for name, tensor in sorted((self.net.state_dict() | beside).items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            plain = tensor.detach().cpu().contiguous().flatten()
            digest.update(plain.view(torch.uint8).numpy().data)
        return digest.hexdigest()


def save(
    path: str | os.PathLike[str],
    nets: Sequence[nn.Module],
    bundle: Bundle,
    *,
    mean_image: Tensor | None = None,
    known: Known = NOTHING,
) -> Bundle:
    """Seal `nets`, one per member of `bundle`, atomically; returns the bundle with `sha256` filled in.

    `known` recognises the pictures that they have seen. Wrappers of `torch.compile` and DDP are taken
    off. Raises `UserError` for what `load` would refuse, and `OSError` naming `path` when the disk is full or not
    writable; then no sealed file is left behind.
    """
    if len(nets) != len(bundle.members):
        raise UserError(f"{len(nets)} networks for a bundle of {len(bundle.members)} members")
    tensors = {}
    if mean_image is not None:
        tensors[MEAN_IMAGE] = mean_image.detach().cpu().contiguous()
    for net, member in zip(nets, bundle.members, strict=True):
        for name, tensor in unwrapped(net).state_dict().items():
            tensors[member.prefix + name] = tensor.detach().cpu().contiguous().clone()
    return write_sealed(path, tensors, bundle, known)


def write_sealed(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], bundle: Bundle, known: Known | None = None
) -> Bundle:
    """Write tensors that already carry their members' prefixes under `bundle`'s header, atomically.

    Raises `UserError` for what `load` would refuse, and where something is there that is no sealed file. What was read
    from a file of format 1 becomes one of today's format, and says since when it is sealed whole.
    `known` takes the place of what the tensors and the header say of the pictures that were seen.
    """
    if known is not None:
        tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(SEEN)}
        tensors |= {name: torch.from_numpy(heads) for name, heads in known.tensors().items()}
        bundle = replace(bundle, seen=known.header())
    check_tensors(tensors, bundle, str(path))
    bundle = replace(bundle, format=FORMAT, sealed_whole_since=whole_since(bundle))
    header = header_to_json(bundle)  # under the only key: the order of several is random
    content, digest = stamp(serialise(dict(tensors), metadata={KEY: header}))
    write_atomic(replaceable(path, SEALED), content)
    return replace(bundle, sha256=digest)


def whole_since(bundle: Bundle) -> str | None:
    """What a file made from this one says: since which day its header is under a checksum; None for ever since."""
    return bundle.sealed_whole_since if bundle.format == FORMAT else time.strftime("%Y-%m-%d")


def load(path: str | os.PathLike[str], *, device: str | torch.device = "cpu") -> Loaded:
    """Open a sealed file, the run folder or repository that holds one, or an address of weights that are known.

    Raises `UserError` in one line when there is no sealed file of ours and nothing that says what else it is, or one
    that is truncated, altered, of a newer format, or whose tensors are not those of its specs.
    """
    path = path_text(path, "load takes a run folder, a sealed file, or an address of weights")
    if is_foreign(path):
        net, bundle, where = open_foreign(path)
        return Loaded(net.to(device).eval(), bundle, where, sums=bit_sums(net))
    where = _located(path)
    bundle, tensors = _open(where)
    nets = []
    for member in bundle.members:
        with torch.device("meta"):
            net = create_model(member.spec)
        names = net.state_dict()
        net.load_state_dict({name: tensors[member.prefix + name].to(names[name].dtype) for name in names}, assign=True)
        nets.append(net)
    combined = nets[0] if len(nets) == 1 else CombinedNet(
        nets, weights=[member.weight for member in bundle.members], combine=bundle.combine
    )  # fmt: skip
    net = combined.to(device).eval()
    return Loaded(net, bundle, where, tensors.get(MEAN_IMAGE), known_of(bundle, tensors), bit_sums(net))


def verify(path: str | os.PathLike[str]) -> Bundle:
    """Check format, checksum, names and shapes of a sealed file without building a network; the errors of `load`."""
    return _open(_located(path))[0]


def read_bundle(path: str | os.PathLike[str]) -> Bundle:
    """The header alone, of a file that has its checksum; its tensors are not compared with its specs."""
    return _parts(read_container(_located(path)), alone=True)[0]


def read_tensors(path: str | os.PathLike[str]) -> tuple[Bundle, dict[str, Tensor]]:
    """The verified header and all tensors of a sealed file, prefixes included: what resealing starts from."""
    return _parts(read_container(_located(path)))


def known_of(bundle: Bundle, tensors: Mapping[str, Tensor]) -> Known:
    """What recognises the pictures that the networks of a file have seen, given its header and all its tensors."""
    if bundle.seen is None:
        return NOTHING
    trained, selected = (tensors[name].numpy() if name in tensors else NOTHING.trained for name in (TRAINED, SELECTED))
    return Known(trained, selected, bundle.seen.known_by, bundle.seen.forgotten)


def reseal(path: str | os.PathLike[str], *, known: Known | None = None, **changes: Any) -> Bundle:
    """Replace header fields (temperature, threshold, scores) of a sealed file, atomically; its networks stay.

    `known`, if given, takes the place of what the file says of the pictures that were seen.
    """
    where = locate(path)
    check_not_published(read_container(where))
    bundle, tensors = read_tensors(where)
    return write_sealed(where, tensors, replace(bundle, **changes), known)


def bit_sums(net: nn.Module) -> tuple[int, ...]:
    """For each tensor of a network the sum of its numbers' bits: the same on any device and in any layout."""
    kinds = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    tensors = (tensor.detach() for tensor in net.state_dict().values())
    return tuple(int(x.view(kinds[x.element_size()]).sum(dtype=torch.int64)) for x in tensors)


def unwrapped(net: nn.Module) -> nn.Module:
    """The network inside `torch.compile`'s and DDP's wrappers."""
    while True:
        inner = getattr(net, "_orig_mod", None) or (net.module if hasattr(net, "device_ids") else None)
        if not isinstance(inner, nn.Module):
            return net
        net = inner


def _located(path: str | os.PathLike[str]) -> Path:
    where = locate(path)
    refuse_exported(where)
    return where


def _open(where: Path) -> tuple[Bundle, dict[str, Tensor]]:
    bundle, tensors = _parts(read_container(where))
    check_tensors(tensors, bundle, str(where))
    return bundle, tensors


def _parts(container: Container, *, alone: bool = False) -> tuple[Bundle, dict[str, Tensor]]:
    """The header and, unless it is to be read `alone`, all tensors: in our names, whatever names they bear there."""
    header, how = for_repositories(container.header, str(container.path))
    bundle, beside = header_from_json(header, str(container.path)), None
    if how is not None:
        bundle, beside = with_beside(bundle, how, container.path)
    if alone:
        return bundle, {}
    try:
        tensors = parse_tensors(container.content)
        return bundle, tensors if how is None else in_our_names(tensors, bundle, how) | (beside or {})
    except (SafetensorError, KeyError) as error:  # KeyError: a kind of number that torch has not
        raise UserError(f"{container.path}: damaged ({error}); copy it again") from None
