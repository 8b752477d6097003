"""A network as a graph that is ready to leave: what it puts out, its batch normalisations folded away, as a program of
`torch.export`, which the writers of the other formats start from."""

from __future__ import annotations

from typing import Any, cast, get_args

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..bundle.combine import CombinedNet
from ..nets.net import Net, as_net
from ..spec.choices import Outputs
from ..spec.errors import UserError, check_choice
from .exported import CAM, LOGITS

TRACED = 2  # pictures in the batch that is traced: 0 and 1 would be taken for constants
aten = torch.ops.aten


class Outlet(nn.Module):
    """(batch, 3, S, S) -> the outputs that were asked for, in the order of `names`."""

    def __init__(self, net: nn.Module, outputs: Outputs = "logits", *, cam: bool = False) -> None:
        """Raises `UserError` for stage maps of a network that has none, and class maps that are no single product."""
        super().__init__()
        check_choice("--outputs", outputs, get_args(Outputs))
        self.net, self.outputs, self.cam = net, outputs, cam
        self.fc = class_layer(net) if cam else None
        self.dtype = next(net.parameters()).dtype
        maps = stage_names(net) if outputs != "logits" else []
        self.names = [*([LOGITS] if outputs != "features" else []), *maps, *([CAM] if cam else [])]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        images = images.to(self.dtype)
        if self.outputs == "logits" and not self.cam:
            return (self.net(images).float(),)
        if isinstance(self.net, CombinedNet):
            maps = [as_net(member, "stage maps").stage_maps(images) for member in self.net.members]
            logits = self.net.combined(
                [_head(member)(own[-1]) for member, own in zip(self.net.members, maps, strict=True)]
            )
        else:
            maps = [cast(Net, self.net).stage_maps(images)]
            logits = _head(self.net)(maps[0][-1])
        found = [logits.float()] if self.outputs != "features" else []
        found += [one.float() for own in maps for one in own] if self.outputs != "logits" else []
        if self.fc is not None:
            found.append(nn.functional.conv2d(maps[0][-1], self.fc.weight[:, :, None, None]).float())
        return tuple(found)


def _head(net: nn.Module) -> nn.Module:
    return cast(Net, net).head


def stage_names(net: nn.Module) -> list[str]:
    """`stages.S` of each stage, shallow to deep; those of an ensemble's members as `0.stages.S`, `1.stages.S`, ..."""
    if isinstance(net, CombinedNet):
        return [f"{i}.{name}" for i, member in enumerate(net.members) for name in stage_names(member)]
    stages = cast(nn.Module, as_net(net, "stage maps").stages)
    return [f"stages.{s}" for s in range(len(list(stages.children())))]


def class_layer(net: nn.Module) -> nn.Linear:
    """The linear layer behind a mean over positions: its weights times the last map are the class map."""
    if isinstance(net, CombinedNet):
        raise UserError("an ensemble has no one class map; export its members, each with --cam")
    head = as_net(net, "a class map").head
    layer = getattr(head, "fc", None)
    if not isinstance(layer, nn.Linear) or getattr(head, "hidden", False):
        raise UserError(
            "a class map needs a mean and one linear layer behind the last map; this network's head has more"
        )
    return layer


def traced(outlet: Outlet, size: int) -> ExportedProgram:
    """The program of a network in evaluation mode, its first dimension dynamic, batch normalisation folded."""
    channels = first_channels(outlet.net)
    images = torch.zeros(TRACED, channels, size, size)
    with torch.no_grad():
        program = torch.export.export(outlet.eval(), (images,), dynamic_shapes=({0: Dim("batch")},), strict=False)
    fold_norms(program)
    return program


def first_channels(net: nn.Module) -> int:
    """Input channels of a network, or of an ensemble's first member."""
    member = net.members[0] if isinstance(net, CombinedNet) else net
    return int(cast(Any, member).spec.in_channels)


def fold_norms(program: ExportedProgram) -> int:
    """Work every batch normalisation that follows a convolution directly into its weights; returns how many.

    W' = W gamma / sqrt(var + eps),  b' = beta + (b - mean) gamma / sqrt(var + eps),  computed in float64. The
    convolution takes over the normalisation's bias as its own. One that follows an addition stays.
    """
    graph, state, names = program.graph, program.state_dict, _state_names(program)
    count = 0
    for node in list(graph.nodes):
        if node.target is not aten.batch_norm.default:
            continue
        conv = node.args[0]
        if conv.target is not aten.conv2d.default or len(conv.users) != 1:
            continue
        weight, bias = conv.args[1], conv.args[2] if len(conv.args) > 2 else None
        gamma, beta, mean, var = (state[names[one.name]].double() for one in node.args[1:5])
        scale = gamma / torch.sqrt(var + float(node.args[7]))
        old = state[names[weight.name]]
        before = 0.0 if bias is None else state[names[bias.name]].double()
        new_weight = (old.double() * scale.view(-1, 1, 1, 1)).to(old.dtype)
        new_bias = (beta + (before - mean) * scale).to(old.dtype)
        _put(program, names[weight.name], new_weight)
        _put(program, names[node.args[2].name], new_bias)
        rest = conv.args[3:] if len(conv.args) > 3 else ()
        conv.args = (conv.args[0], weight, node.args[2], *rest)
        node.replace_all_uses_with(conv)
        graph.erase_node(node)
        count += 1
    program.graph_module.recompile()
    return count


def _state_names(program: ExportedProgram) -> dict[str, str]:
    """Placeholder -> the name of its tensor in the state dict."""
    signature = program.graph_signature
    return {**signature.inputs_to_parameters, **signature.inputs_to_buffers}


def _put(program: ExportedProgram, name: str, value: Tensor) -> None:
    old = program.state_dict[name]
    program.state_dict[name] = nn.Parameter(value, requires_grad=False) if isinstance(old, nn.Parameter) else value
