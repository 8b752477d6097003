"""Weights that other people trained, in and out: fit what a file holds to a network, whole or with a fresh head."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn

from ..spec.choices import Prefer
from ..spec.errors import UserError, check_choice
from ..spec.net import NetSpec, Spec
from ..spec.rule import plain
from .finding import COUNTER, FIRST, HEAD, Found, find
from .layouts import LAYOUTS, is_1x1_conv, layer_name, why_not
from .state_files import Contents, State, read_contents
from .values import FLOATS, check_values

# The fields of a spec that change what the same tensors compute.
SAME_TENSORS = (
    "stem",
    "activation",
    "first_norm",
    "shortcut",
    "pad_channels",
    "stride_on",
    "first_stride",
    "downsample",
)
# And those that change the tensors of the body.
BODY = ("block", "activation", "stage_blocks", "stage_channels", "groups", "group_width", "se_reduction")


@dataclass(frozen=True)
class Fitted:
    """A state dict in our names, and what was done to it.

    `place` says where in the file it stands, `fresh` is the layer that keeps its initial values ("" where none does),
    `notes` are sentences about everything that was chosen, changed or left.
    """

    state: State
    layout: str
    notes: tuple[str, ...] = ()
    place: str = ""
    fresh: str = ""


def load_weights(net: nn.Module, path: str | os.PathLike[str], *, prefer: Prefer | None = None) -> Fitted:
    """Read `path` into `net`: ours or any layout that holds its spec.

    The head keeps its initial values where the class count differs or the file has none, and the first convolution is
    adapted where the input channels do. `prefer` chooses between plain and averaged weights (`finding.find`). Raises
    `UserError` naming a tensor that is missing, left over or mis-shaped.
    """
    fitted = fit_contents(read_contents(path), net, prefer=prefer)
    net.load_state_dict({**net.state_dict(), **fitted.state})
    return fitted


def fit_contents(contents: Contents, net: nn.Module, *, prefer: Prefer | None = None) -> Fitted:
    """Translate what a file holds into the names and shapes of `net`; errors as `load_weights`."""
    spec, expected = cast(Spec, net.spec), cast(State, net.state_dict())
    check_same_function(contents, spec)
    found = find(contents, spec, expected, prefer)
    check_config(contents, found, spec)
    fitted: State = {}
    notes = list(found.notes)
    for ours, tensor in found.tensors.items():
        if ours.startswith(HEAD + "."):
            continue
        tensor, want = _like(tensor, expected[ours]), expected[ours].shape
        if tensor.shape != want and ours in FIRST and tensor.shape[0] == want[0] and tensor.shape[2:] == want[2:]:
            notes.append(f"{found.names[ours]}: adapted from {tensor.shape[1]} to {want[1]} input channels")
            tensor = adapt_input(tensor, want[1])
        fitted[ours] = _checked(tensor, ours, found, expected, contents.where)
    head, words = _fit_head(found, expected, contents.where)
    fresh = HEAD if f"{HEAD}.weight" not in head else ""
    place = str(found.place) if found.place.group or found.place.prefix else ""
    return Fitted(fitted | head, found.place.layout, (*notes, *words), place, fresh)


def _fit_head(found: Found, expected: State, where: str) -> tuple[State, list[str]]:
    """The head's tensors where the file's can be used, and what to say."""
    weight, bias = f"{HEAD}.weight", f"{HEAD}.bias"
    hidden = [name for name in expected if name.startswith("head.") and name not in found.tensors]
    if weight not in found.tensors:
        return {}, [f"the head starts afresh: {found.head.why}"]
    if other := [name for name in hidden if name != bias]:
        raise UserError(f"{where}: has the last layer of a head and lacks {other[0]}; is it another network's?")
    had, want = _like(found.tensors[weight], expected[weight]), expected[weight].shape
    if had.dim() == 2 and had.shape[1] == want[1] and had.shape[0] != want[0]:
        layer = found.names[weight].removesuffix(".weight")
        return {}, [f"the head starts afresh: {had.shape[0]} -> {want[0]} classes ({layer})"]
    state = {weight: _checked(had, weight, found, expected, where)}
    if bias not in found.tensors:
        return state | {bias: torch.zeros(expected[bias].shape)}, [f"{found.names[weight]} has no bias: zeros"]
    return state | {bias: _checked(found.tensors[bias], bias, found, expected, where)}, []


def _like(tensor: Tensor, want: Tensor) -> Tensor:
    """A 1x1 convolution as the FC layer that it is, where one is wanted."""
    return tensor.flatten(1) if tensor.dim() == 4 and want.dim() == 2 and tensor.shape[2:] == (1, 1) else tensor


def _checked(tensor: Tensor, ours: str, found: Found, expected: State, where: str) -> Tensor:
    theirs, want = found.names[ours], expected[ours].shape
    if tensor.shape != want:
        raise UserError(f"{where}: {theirs} has shape {tuple(tensor.shape)}, the network needs {tuple(want)}")
    if tensor.dtype not in FLOATS and not ours.endswith(COUNTER):
        kind = str(tensor.dtype).removeprefix("torch.")
        raise UserError(f"{where}: {theirs} holds {kind}, not floats: quantised weights; give those before quantising")
    check_values(theirs, tensor, where, variance=ours.endswith("running_var"))
    return tensor


def check_same_function(contents: Contents, spec: Spec) -> None:
    """Raise `UserError` where it is known that the file's network computes something else with the same tensors."""
    theirs = contents.facts.network
    how = "sealed as" if contents.sealed else "by its configuration it is"
    if contents.sealed and theirs is not None and type(theirs) is not type(spec):
        raise UserError(f"{contents.where}: {how} {theirs.name}, not {spec.name}: take that")
    if not isinstance(theirs, NetSpec) or not isinstance(spec, NetSpec):
        return
    if other := [field for field in BODY if getattr(theirs, field) != getattr(spec, field)]:
        named = f"{spec.name} ({other[0]}={plain(getattr(spec, other[0]))})" if theirs.name == spec.name else spec.name
        raise UserError(f"{contents.where}: {how} {theirs.name}, not {named}: take that")
    unused = {"stride_on": "bottleneck" not in (theirs.block, spec.block)}
    unused |= {"pad_channels": "A" not in (theirs.shortcut, spec.shortcut)}
    unused |= {"first_norm": "pre" not in (theirs.activation, spec.activation)}
    for field in SAME_TENSORS:
        was, wanted = getattr(theirs, field), getattr(spec, field)
        if was != wanted and not unused.get(field, False):
            raise UserError(
                f"{contents.where}: {how} {theirs.name} with {field}={was}; {spec.name} has {field}={wanted}, "
                f"which computes something else with the same tensors: take {field}={was}"
            )


def check_config(contents: Contents, found: Found, spec: Spec) -> None:
    """Raise `UserError` where the `config.json` of transformers says that its network is another than `spec`."""
    config = contents.config if found.place.layout == "transformers" else {}
    if not isinstance(spec, NetSpec) or not config:
        return
    in_bottleneck = bool(config.get("downsample_in_bottleneck", False))
    if spec.block == "bottleneck" and in_bottleneck != (spec.stride_on == "1x1"):
        right = "1x1" if in_bottleneck else "3x3"
        raise UserError(
            f"{contents.where}: its config.json strides the {right} of a bottleneck; take stride_on={right}"
        )
    if config.get("downsample_in_first_stage", False) or config.get("hidden_act", "relu") != "relu":
        raise UserError(
            f"{contents.where}: its config.json tells of a first stage that strides, or of no ReLU: another net"
        )


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


def adapted_spec(contents: Contents, net: nn.Module, prefer: Prefer | None = None) -> Spec:
    """The spec of `net` with the class count and input channels of the file: what converting it whole needs.

    Raises `UserError` where the file has no head that `net` can have.
    """
    spec, expected = cast(Spec, net.spec), cast(State, net.state_dict())
    check_same_function(contents, spec)
    found = find(contents, spec, expected, prefer)
    head = found.tensors.get(f"{HEAD}.weight")
    if head is None:
        raise UserError(
            f"{contents.where}: no head to convert: {found.head.why}; train one: reslearn train DATA --weights FILE ..."
        )
    stem = found.tensors.get(next(name for name in FIRST if name in expected))
    channels = spec.in_channels if stem is None or stem.dim() != 4 else stem.shape[1]
    return replace(spec, num_classes=head.shape[0], in_channels=channels)


def export_state(net: nn.Module, layout: str) -> State:
    """The state dict of `net` in the names and shapes of `layout`. Raises `UserError` where it cannot hold the net."""
    return renamed(cast(State, net.state_dict()), cast(Spec, net.spec), layout)


def renamed(state: Mapping[str, Tensor], spec: Spec, layout: str) -> State:
    """`export_state` of the tensors of a network `spec`."""
    check_choice("layout", layout, LAYOUTS)
    if reason := why_not(spec, layout):
        raise UserError(f"{layout}'s layout cannot hold {spec.name}: {reason}")
    out = {}
    for name, tensor in state.items():
        as_conv = name.endswith(".weight") and is_1x1_conv(name.removesuffix(".weight"), spec, layout)
        out[foreign_name(name, spec, layout)] = tensor[:, :, None, None] if as_conv else tensor
    return out
