"""Weights that other people trained, in and out: recognise a state dict's layout and fit it to a network."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import cast

from torch import Tensor, nn

from ..spec.errors import UserError, check_choice
from ..spec.net import Spec
from .layouts import LAYOUTS, is_1x1_conv, layer_name, why_not
from .state_files import State, read_state

HEAD = "head.fc"
# The first convolution of a deep stem, of the other stems, and of a VGG.
FIRST = ("stem.lead.conv1.weight", "stem.conv.weight", "stages.0.0.conv.weight")


@dataclass(frozen=True)
class Fitted:
    """A state dict in our names, and what was done to it."""

    state: State
    layout: str
    notes: tuple[str, ...] = ()


def load_weights(net: nn.Module, path: str | os.PathLike[str]) -> Fitted:
    """Read `path` into `net`: ours or any layout that holds its spec.

    The head keeps its initial values where the class count differs, and the first convolution is adapted where the
    input channels do. Raises `UserError` naming a tensor that is missing, left over or mis-shaped.
    """
    fitted = fit_state(read_state(path), net, where=str(path))
    net.load_state_dict({**net.state_dict(), **fitted.state})
    return fitted


def fit_state(state: State, net: nn.Module, *, where: str) -> Fitted:
    """Translate `state` into the names and shapes of `net`; errors as `load_weights`."""
    spec, expected = cast(Spec, net.spec), cast(State, net.state_dict())
    layout = _recognise(state, spec, expected, where)
    theirs = {foreign_name(name, spec, layout): name for name in expected}
    _check_names(state, set(theirs), where, layout)
    fitted, notes = {}, []
    for foreign, ours in theirs.items():
        if foreign not in state:
            continue  # num_batches_tracked, which old files lack
        tensor, want = state[foreign], expected[ours].shape
        if tensor.dim() == 4 and len(want) == 2 and tensor.shape[2:] == (1, 1):
            tensor = tensor.flatten(1)
        if tensor.shape != want and ours.startswith(HEAD + ".") and tensor.shape[1:] == want[1:]:
            notes.append(f"{foreign}: {tensor.shape[0]} classes in the file, {want[0]} wanted: starts afresh")
            continue
        if tensor.shape != want and ours in FIRST and tensor.shape[0] == want[0] and tensor.shape[2:] == want[2:]:
            notes.append(f"{foreign}: adapted from {tensor.shape[1]} to {want[1]} input channels")
            tensor = adapt_input(tensor, want[1])
        if tensor.shape != want:
            raise UserError(f"{where}: {foreign} has shape {tuple(tensor.shape)}, {spec.name} needs {tuple(want)}")
        fitted[ours] = tensor
    return Fitted(fitted, layout, tuple(notes))


def adapt_input(weight: Tensor, channels: int) -> Tensor:
    """(out, in, k, k) -> (out, channels, k, k): summed for one channel, else repeated and scaled to the same total."""
    if channels == 1:
        return weight.sum(1, keepdim=True)
    had = weight.shape[1]
    return weight.repeat(1, -(-channels // had), 1, 1)[:, :channels] * (had / channels)


def foreign_name(name: str, spec: Spec, layout: str) -> str:
    """The name that `layout` gives to the tensor `name` of our state dict."""
    layer, leaf = name.rsplit(".", 1)
    return f"{layer_name(layer, spec, layout)}.{leaf}"


def _recognise(state: State, spec: Spec, expected: State, where: str) -> str:
    """The layout whose names fit best; `UserError` when it is one that cannot hold the network, or none fits."""
    found = {layout: sum(foreign_name(n, spec, layout) in state for n in expected) for layout in LAYOUTS}
    able = [layout for layout in LAYOUTS if why_not(spec, layout) is None]
    best = max(able, key=lambda layout: found[layout])
    better = max(LAYOUTS, key=lambda layout: found[layout])
    if found[better] > found[best]:
        raise UserError(
            f"{where}: looks like {better}'s layout, which cannot hold {spec.name}: {why_not(spec, better)}"
        )
    if found[best] * 2 < len(expected):
        raise UserError(f"{where}: {next(iter(state))} and the other names fit no known layout of {spec.name}")
    return best


def _check_names(state: State, wanted: set[str], where: str, layout: str) -> None:
    missing = [name for name in sorted(wanted - state.keys()) if not name.endswith("num_batches_tracked")]
    extra = sorted(state.keys() - wanted)
    said = [f"{what} {_some(names)}" for what, names in (("lacks", missing), ("has besides", extra)) if names]
    if said:
        raise UserError(f"{where} ({layout} layout): {' and '.join(said)}; is it another network's?")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def adapted_spec(state: State, net: nn.Module, *, where: str) -> Spec:
    """The spec of `net` with the class count and input channels of the file: what converting it whole needs."""
    spec, expected = cast(Spec, net.spec), cast(State, net.state_dict())
    layout = _recognise(state, spec, expected, where)
    first = next(name for name in FIRST if name in expected)
    head = state.get(foreign_name(f"{HEAD}.weight", spec, layout))
    stem = state.get(foreign_name(first, spec, layout))
    classes = spec.num_classes if head is None else head.shape[0]
    channels = spec.in_channels if stem is None or stem.dim() != 4 else stem.shape[1]
    return replace(spec, num_classes=classes, in_channels=channels)


def export_state(net: nn.Module, layout: str) -> State:
    """The state dict of `net` in the names and shapes of `layout`. Raises `UserError` where it cannot hold the net."""
    check_choice("layout", layout, LAYOUTS)
    spec = cast(Spec, net.spec)
    if reason := why_not(spec, layout):
        raise UserError(f"{layout}'s layout cannot hold {spec.name}: {reason}")
    out = {}
    for name, tensor in cast(State, net.state_dict()).items():
        as_conv = name.endswith(".weight") and is_1x1_conv(name.removesuffix(".weight"), spec, layout)
        out[foreign_name(name, spec, layout)] = tensor[:, :, None, None] if as_conv else tensor
    return out
