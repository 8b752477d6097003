"""A network as OpenVINO's graph, an `.xml` with its `.bin`; with `uint8` input, its preprocessing in front of it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..data.preprocess import Normalise
from ..runtime.envelope import KEY, weights_beside
from .exported import IMAGES, Draft
from .needs import need, quiet
from .program import Outlet, first_channels, traced


def openvino_graph(outlet: Outlet, size: int) -> Any:
    """An `openvino.Model` of the network: `images` (batch, channels, size, size) float32 -> the outlet's names.

    Raises `UserError` where openvino is not installed.
    """
    need("openvino")
    import openvino as ov

    shape = ov.PartialShape([-1, first_channels(outlet.net), size, size])
    with quiet():
        model = ov.convert_model(traced(outlet, size), input=[(shape, ov.Type.f32)])
    parameter = model.inputs[0]
    parameter.get_tensor().set_names({IMAGES})
    parameter.get_node().set_friendly_name(IMAGES)
    for output, name in zip(model.outputs, outlet.names, strict=True):
        output.get_tensor().set_names({name})
    return model


def openvino_files(model: Any, draft: Draft) -> tuple[bytes, bytes]:
    """The `.xml`, with the draft's text as its metadata, and the `.bin`."""
    import openvino as ov

    model.set_friendly_name("reslearn")
    with tempfile.TemporaryDirectory() as folder:  # openvino writes files, and nothing else
        xml = Path(folder) / "model.xml"
        model.set_rt_info("", KEY)
        ov.serialize(model, str(xml))
        weights = weights_beside(xml).read_bytes()
        model.set_rt_info(draft.text(len(weights)), KEY)
        ov.serialize(model, str(xml))
        if weights_beside(xml).read_bytes() != weights:
            raise RuntimeError("OpenVINO wrote other weights the second time")
        return xml.read_bytes(), weights


def with_pixels(model: Any, normalise: Normalise) -> Any:
    """The model with our preprocessing in front: its input becomes `images` (batch, height, width, 3) uint8.

    OpenVINO's own resizing with antialiasing is Pillow's, which rounds bytes after the rows and after the columns.
    """
    import openvino as ov
    from openvino import opset15 as ops

    preprocess = normalise.preprocess
    size = preprocess.size
    images = ops.parameter([-1, -1, -1, 3], ov.Type.u8, name=IMAGES)
    images.get_output_tensor(0).set_names({IMAGES})
    planes = ops.transpose(images, np.array([0, 3, 1, 2], np.int64))
    to = np.array([size, size], np.int64)
    if preprocess.mode != "squash":
        sides = ops.gather(ops.shape_of(images), np.array([1, 2], np.int64), np.int64(0))
        side = (ops.reduce_min if preprocess.mode == "crop" else ops.reduce_max)(sides, np.array([0], np.int64), True)
        wanted = np.int64(preprocess.resize if preprocess.mode == "crop" else size)
        to = ops.maximum(ops.divide(ops.multiply(sides, wanted), side), np.int64(1))
    resized = ops.interpolate(
        planes,
        to,
        f"{preprocess.interpolation}_pillow",
        "sizes",
        antialias=True,
        cube_coeff=-0.5,  # Pillow's; its own is -0.75
        axes=np.array([2, 3], np.int64),
    )
    x = ops.convert(resized, "f32")
    if preprocess.mode == "crop":
        spare = ops.convert(ops.subtract(to, np.array([size, size], np.int64)), "f32")
        start = ops.convert(ops.round(ops.multiply(spare, np.float32(0.5)), "half_to_even"), "i64")
        stop = ops.add(start, np.array([size, size], np.int64))
        x = ops.slice(x, start, stop, np.array([1, 1], np.int64), np.array([2, 3], np.int64))
    elif preprocess.mode == "pad":
        spare = ops.subtract(np.array([size, size], np.int64), to)
        before = ops.divide(spare, np.int64(2))
        none = np.zeros(2, np.int64)
        grey = np.round(np.asarray(preprocess.mean) * 255).astype(np.float32).reshape(1, -1, 1, 1)
        begin, end = (ops.concat([none, pads], 0) for pads in (before, ops.subtract(spare, before)))
        x = ops.add(ops.pad(ops.subtract(x, grey), begin, end, "constant", np.float32(0)), grey)
    x = ops.subtract(ops.multiply(x, normalise.scale.numpy()[None]), normalise.shift.numpy()[None])
    x = ops.reshape(x, np.array([-1, 3, size, size], np.int64), False)
    [old] = model.get_parameters()
    old.output(0).replace(x.output(0))
    return ov.Model(model.get_results(), [images], "reslearn")
