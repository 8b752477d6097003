"""From an opened sealed file to an exported one: network, graph, metadata, bytes. Nothing is written to disk here."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ..bundle.file import Loaded
from ..bundle.header import Bundle
from ..data.parts.known import Known, union
from ..data.preprocess import Normalise
from ..runtime.envelope import ExportKind
from ..spec.choices import Engine, GraphInput, Outputs, Width
from ..spec.errors import Fault, UserError, check_choice
from .exported import Calibration, Draft, Exported, Graph
from .needs import versions
from .program import Outlet, first_channels

PRECISIONS: dict[ExportKind, tuple[Width, ...]] = {
    "onnx": ("fp32", "int8"),
    "openvino": ("fp32", "bf16", "int8"),
    "torch": ("fp32", "bf16"),
}
# The engines that a graph is right on, its own first: OpenVINO leaves ONNX's antialiasing out without a word.
ENGINES: dict[tuple[ExportKind, GraphInput], tuple[Engine, ...]] = {
    ("onnx", "float"): ("onnxruntime", "openvino"),
    ("onnx", "uint8"): ("onnxruntime",),
    ("openvino", "float"): ("openvino",),
    ("openvino", "uint8"): ("openvino",),
    ("torch", "float"): ("torch",),
}
PACKAGES = ("reslearn", "torch", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf")


@dataclass(frozen=True)
class ExportPlan:
    """What is to be exported of a model. Raises `UserError` for what a format cannot be."""

    to: ExportKind
    input: GraphInput = "float"
    precision: Width = "fp32"
    outputs: Outputs = "logits"
    cam: bool = False
    size: int | None = None  # pixels of a side; the model's own if None

    def __post_init__(self) -> None:
        check_choice("--to", self.to, PRECISIONS)
        if self.precision not in PRECISIONS[self.to]:
            raise UserError(f"--precision {self.precision}: {self.to} is written as {' or '.join(PRECISIONS[self.to])}")
        if (self.to, self.input) not in ENGINES:
            raise UserError(
                f"--input {self.input}: a torch program takes normalised pictures; export --to onnx or openvino"
            )


@dataclass(frozen=True)
class Quantised:
    """What int8 makes of a float graph, and what it looked at for that."""

    quantise: Callable[[Any], Any]  # a float graph of the format -> an int8 one
    calibration: Callable[[], Calibration]  # asked afterwards
    known: Callable[[], Known]  # the pictures that were looked at, asked afterwards


def export_model(
    loaded: Loaded, plan: ExportPlan, *, made_of: str | None = None, int8: Quantised | None = None
) -> tuple[Exported, bytes]:
    """The exported file as a value, whole and checked, and the bytes of NAME.seen (none where all fits inside).

    `made_of` is how the sealed file is called in it. Raises `UserError` where packages are missing and for networks
    that the plan does not fit.
    """
    bundle = at_size(loaded.bundle, plan.size)
    mean_image = loaded.mean_image if bundle.preprocess.mean_image is not None else None
    normalise = Normalise(bundle.preprocess, mean_image)
    if plan.input == "uint8" and first_channels(loaded.net) != 3:
        raise UserError("--input uint8 takes RGB pictures, and this network reads other channels; export --input float")
    outlet = Outlet(_placed(loaded, plan), plan.outputs, cam=plan.cam)
    known = loaded.known
    try:
        model, opset = _graph(outlet, plan, normalise, int8)
    except (UserError, Fault, ImportError):
        raise
    except Exception as error:  # whatever the exporters raise for a network that their format has no words for
        reason = " ".join(str(error).split())[:200]
        size = normalise.preprocess.size
        raise UserError(
            f"{loaded.path}: it cannot be written as {plan.to} at {size} x {size} pixels ({reason}); try its own "
            "--image-size, or another format"
        ) from error
    calibration = None if int8 is None else int8.calibration()
    if int8 is not None and not known.forgotten:
        known = replace(union([known, int8.known()]), known_by=known.known_by)
    graph = Graph(
        to=plan.to,
        input=plan.input,
        precision=plan.precision,
        size=bundle.preprocess.size,
        outputs=tuple(outlet.names),
        engines=ENGINES[plan.to, plan.input],
        made_of=made_of or str(loaded.path),
        made_of_sha256=loaded.bundle.sha256,
        versions=versions(*PACKAGES),
        opset=opset,
        calibration=calibration,
    )
    draft = Draft(graph, bundle, known, mean_image)
    content, weights = _files(model, draft)
    return draft.sealed(content, weights, Path(made_of or loaded.path)), draft.beside()


def at_size(bundle: Bundle, size: int | None) -> Bundle:
    """The bundle with pictures of `size` pixels; what was measured or fitted at another size is left out."""
    if size is None or size == bundle.preprocess.size:
        return bundle
    if size < 1:
        raise UserError(f"--image-size {size}: it must be at least 1")
    return replace(bundle, preprocess=bundle.preprocess.at_size(size), temperature=None, threshold=None, scores={})


def _placed(loaded: Loaded, plan: ExportPlan) -> torch.nn.Module:
    """The network on the CPU, in the width that the format's weights have."""
    narrow = plan.to == "torch" and plan.precision == "bf16"
    net = copy.deepcopy(loaded.net).cpu().eval()
    return net.to(torch.bfloat16 if narrow else torch.float32)


def _graph(outlet: Outlet, plan: ExportPlan, normalise: Normalise, int8: Quantised | None) -> tuple[Any, int | None]:
    """The graph in its format's own kind of value, and ONNX's opset."""
    size = normalise.preprocess.size
    if plan.to == "torch":
        from .program import traced

        return traced(outlet, size), None
    if plan.to == "onnx":
        from .onnx_graph import onnx_graph, with_whole_weights
        from .onnx_pixels import with_pixels

        model = onnx_graph(outlet, size)
        if int8 is not None:
            with_whole_weights(model)
            model = int8.quantise(model)
        if plan.input == "uint8":
            with_pixels(model, normalise)
        return model, next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    from .openvino_graph import openvino_graph
    from .openvino_graph import with_pixels as with_pixels_before

    model = openvino_graph(outlet, size)
    model = model if int8 is None else int8.quantise(model)
    return (with_pixels_before(model, normalise) if plan.input == "uint8" else model), None


def _files(model: Any, draft: Draft) -> tuple[bytes, bytes]:
    """The file, its digest still zero, and OpenVINO's weights."""
    if draft.graph.to == "onnx":
        from .onnx_graph import onnx_bytes

        return onnx_bytes(model, draft), b""
    if draft.graph.to == "openvino":
        from .openvino_graph import openvino_files

        return openvino_files(model, draft)
    from .torch_archive import archive_bytes

    return archive_bytes(model, draft), b""
