"""A network as an ONNX graph, whole in one file; with `uint8` input, its preprocessing in front of it."""

from __future__ import annotations

from typing import Any

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
