"""A network as an ONNX graph, whole in one file; with `uint8` input, its preprocessing in front of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..runtime.envelope import KEY, LARGEST
from ..spec.errors import UserError
from .exported import IMAGES, Draft
from .needs import need, quiet
from .program import Outlet, traced

PRODUCER = "reslearn"  # second in the file, which is how it is known by its first bytes


def onnx_graph(outlet: Outlet, size: int) -> Any:
    """An `onnx.ModelProto` of the network: `images` (batch, channels, size, size) float32 -> the outlet's names.

    Raises `UserError` where onnx and onnxscript are not installed.
    """
    need("onnx", "onnxscript")
    with quiet():
        made = torch.onnx.export(
            traced(outlet, size),
            dynamo=True,
            input_names=[IMAGES],
            output_names=outlet.names,
            external_data=False,
            optimize=False,  # its rewrites have got biases wrong; engines fuse by themselves
            verbose=False,
        )
    if made is None:
        raise RuntimeError("torch.onnx.export returned nothing")
    model = made.model_proto
    named_batch(model)
    without_made_biases(model)
    without_unused(model)
    return model


def onnx_bytes(model: Any, draft: Draft) -> bytes:
    """The file: `model` with the draft's text as its metadata. Raises `UserError` for what ONNX cannot hold in one."""
    import onnx

    model.producer_name, model.producer_version = PRODUCER, draft.graph.versions.get("reslearn", "")
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, draft.text(0) + "\n"
    if model.ByteSize() > LARGEST["onnx"]:
        raise UserError(f"{model.ByteSize():,} bytes as ONNX, which holds up to 2 GB in one file; export --to openvino")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def named_batch(model: Any) -> None:
    """Call the first dimension of all inputs and outputs `batch`; whatever the tracer called it is forgotten."""
    old = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param == old:
                dim.dim_param = "batch"
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"


def without_made_biases(model: Any) -> None:
    """Take away the zeros that the exporter computes as the bias of a convolution which has none. NNCF knows no type
    for them and makes no int8 of such a graph, and engines would add them to every picture."""
    graph = model.graph
    maker = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        bias = maker.get(node.input[2]) if node.op_type == "Conv" and len(node.input) > 2 else None
        if bias is not None and bias.op_type == "Expand":  # of one number, 0; a bias that there is is a tensor
            del node.input[2]
    _without_dead(graph)


def with_whole_weights(model: Any) -> None:
    """Write the weights of the class map, which a float graph shares with the last layer in another shape, as tensors
    of their own: NNCF makes int8 of nothing else."""
    import onnx

    graph = model.graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    tensors |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    left = []
    for node in graph.node:
        given = [tensors.get(name) for name in node.input]
        if node.op_type != "Unsqueeze" or None in given:
            left.append(node)
            continue
        values, axes = map(onnx.numpy_helper.to_array, given)
        made = onnx.numpy_helper.from_array(np.expand_dims(values, tuple(axes.tolist())), node.output[0])
        graph.initializer.append(made)
        tensors[made.name] = made
    del graph.node[:]
    graph.node.extend(left)
    _without_dead(graph)
    without_unused(model)


def _without_dead(graph: Any) -> None:
    """Leave out the nodes that no output follows from."""
    wanted, kept = {value.name for value in graph.output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    del graph.node[:]
    graph.node.extend(reversed(kept))


def without_unused(model: Any) -> None:
    """Leave out the tensors that folding made superfluous, and what the exporter notes of Python's stack."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    for place in (graph, *graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output):
        del place.metadata_props[:]
    names = used | {name for node in graph.node for name in node.output}
    infos = [value for value in graph.value_info if value.name in names]
    del graph.value_info[:]
    graph.value_info.extend(infos)
