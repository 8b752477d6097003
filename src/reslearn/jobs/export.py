"""`export`: a model as a file for another engine, proved to answer alike before anything is written."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, cast

from ..bundle.file import Loaded, load
from ..engine.exported import LOGITS, Calibration, Exported, open_exported
from ..engine.saving import export_target, save_exported
from ..engine.writing import ExportPlan, Quantised, export_model
from ..measure.evaluate import chosen_part
from ..nets.layouts import LAYOUTS
from ..runtime.container import sealed_in
from ..spec.choices import Engine, GraphInput, Layout, Outputs, Width
from ..spec.codec import fields_to_json
from ..spec.errors import Fault, UserError, check_choice, path_text, unknown
from ..spec.seen import Seen
from .convert import convert_weights
from .quantisation import int8_of
from .triton import place_in, write_config
from .unlabelled import open_pictures
from .verification import verified_on, verified_on_seeded

Target = Literal["onnx", "openvino", "torch", "triton", "html", "torchvision", "timm", "akamaster", "kuangliu"]
FOREIGN = tuple(name for name in LAYOUTS if name != "reslearn")
MAX_DROP = 0.3  # points of top-1 on validation pictures


@dataclass(frozen=True)
class ExportRequest:
    """What `export` is asked for, beside the model and where it goes."""

    to: Target
    input: GraphInput = "float"
    precision: Width = "fp32"
    calibrate: str | os.PathLike[str] | None = None
    max_drop: float | None = None  # int8 alone; MAX_DROP if None
    outputs: Outputs = "logits"
    cam: bool = False
    image_size: int | None = None
    verify: bool = True
    data: str | os.PathLike[str] | None = None  # to verify on; made-up pictures if None
    runtime: str | os.PathLike[str] | None = None  # html: a packed onnxruntime-web; the package's own if None

    def __post_init__(self) -> None:
        check_choice("--to", self.to, ("onnx", "openvino", "torch", "triton", "html", *FOREIGN))
        if self.precision == "int8" and self.calibrate is None:
            raise UserError("--precision int8 needs --calibrate DATA: pictures like those that it will see")
        if self.precision != "int8" and self.calibrate is not None:
            raise UserError(f"--calibrate is for --precision int8; {self.precision} needs no pictures")
        if self.max_drop is not None and not 0 <= self.max_drop <= 100:
            raise UserError(f"--max-drop is {self.max_drop}; it is a number of points of top-1, in 0..100")
        if self.max_drop is not None and self.precision != "int8":
            raise UserError(f"--max-drop is for --precision int8; {self.precision} is not measured on validation")
        if self.runtime is not None and self.to != "html":
            raise UserError(f"--runtime is for --to html; {self.to} has none inside")
        if self.to == "html" and (self.outputs != "logits"):
            raise UserError(
                "--outputs is for graphs; a page of --to html shows answers, and heat where there is a class map"
            )
        if self.data is not None and not self.verify:
            raise UserError("--data names pictures to verify on, and --no-verify verifies nothing; give one of them")


class ExportOptions(TypedDict, total=False):
    """The fields of `ExportRequest` beside `to`, as `reslearn.export` takes them."""

    input: GraphInput
    precision: Width
    calibrate: str | os.PathLike[str] | None
    max_drop: float | None
    outputs: Outputs
    cam: bool
    image_size: int | None
    verify: bool
    data: str | os.PathLike[str] | None
    runtime: str | os.PathLike[str] | None


@dataclass(frozen=True)
class Proof:
    """How far an exported file is from its network, on the engine that is furthest."""

    pictures: int
    max_gap: float
    agreement: float | None
    mean_gap: float
    engine: Engine
    on: str  # the pictures
    seen: Seen


@dataclass(frozen=True)
class Written:
    """What `export` wrote, and what it proved before."""

    path: Path
    to: Target
    input: GraphInput
    precision: Width
    bytes: int  # of all files together
    opset: int | None
    verified: Proof | None
    outputs: tuple[str, ...] = (LOGITS,)
    engines: tuple[Engine, ...] = ()
    sha256: str | None = None
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()

    def __fspath__(self) -> str:
        """The file, so that this goes wherever an exported model's path goes."""
        return str(self.path)

    def __repr__(self) -> str:
        proof = "not verified" if self.verified is None else f"gap at most {self.verified.max_gap:.2g}"
        return f"Written({self.path}: {self.to}, {self.input} input, {self.precision}, {self.bytes:,} bytes, {proof})"

    def to_json(self) -> dict[str, Any]:
        """The contract's keys; of the calibration pictures, how many."""
        value = fields_to_json(self) | {"path": str(self.path)}
        if self.calibration is not None:
            value["calibration"]["pictures"] = len(self.calibration.pictures)
        return value


def export(model: str | os.PathLike[str], out: str | os.PathLike[str], request: ExportRequest) -> Written:
    """Write `model`, a run folder or sealed file, to `out`: a file, or for `triton` a folder of models.

    The file is compared with the network before it is written: beyond the bound of its precision that is a `Fault`, and
    nothing is written. Raises `UserError` for what the format cannot be and for what stands in the way.
    """
    if request.to in FOREIGN:
        return _foreign(model, out, request)
    if request.to == "triton":
        return _triton(model, out, request)
    if request.to == "html":
        return _page(model, out, request)
    plan = ExportPlan(
        request.to,  # type: ignore[arg-type]
        request.input,
        request.precision,
        request.outputs,
        request.cam,
        request.image_size,
    )
    target = export_target(out, plan.to, inputs=[sealed_in(model)])
    loaded = load(model)
    int8 = _int8(loaded, plan, request)
    exported, beside = export_model(loaded, plan, made_of=str(sealed_in(model)), int8=int8)
    proof = _proof(exported, loaded, request) if request.verify else None
    graph = exported.graph
    return Written(
        path=target,
        to=request.to,
        input=graph.input,
        precision=graph.precision,
        bytes=save_exported(exported, target, beside),
        opset=graph.opset,
        verified=proof,
        outputs=graph.outputs,
        engines=graph.engines,
        sha256=exported.sha256,
        calibration=graph.calibration,
    )


def export_with(
    model: Loaded | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    to: Target = "onnx",
    **options: Unpack[ExportOptions],
) -> Written:
    """Write a model (a run folder's, a sealed file, or one of `load`) for another engine: `reslearn.export`.

    `options` are the command's: input, precision, calibrate, max_drop, outputs, cam, image_size, verify, data, runtime.
    Raises as `export` does, and `UserError` for an option that there is not.
    """
    names = list(ExportOptions.__annotations__)
    for name in options:
        if name not in names:
            raise unknown("option of export", name, names)
    place = model.path if isinstance(model, Loaded) else model
    place = path_text(place, "export takes a run folder, a sealed file, or a model of reslearn.load")
    return export(place, path_text(path, "export writes to a path"), ExportRequest(to, **options))


def _int8(loaded: Loaded, plan: ExportPlan, request: ExportRequest) -> Quantised | None:
    """How int8 is made of the graph, where that was asked for."""
    if request.calibrate is None:
        return None
    return int8_of(loaded, plan, request.calibrate, MAX_DROP if request.max_drop is None else request.max_drop)


def _proof(exported: Exported, loaded: Loaded, request: ExportRequest) -> Proof:
    """Compare the two. Raises `Fault` where they differ by more than the bound."""
    if request.data is None:
        rows, on = verified_on_seeded(exported, loaded), "seeded pictures"
    else:
        rows, on = verified_on(exported, loaded, chosen_part(open_pictures(request.data), None)), str(request.data)
    worst = max(rows, key=lambda row: (not row.ok, row.max_gap))
    if not worst.ok:
        raise Fault(
            f"{worst.engine} answers otherwise than the network: on {worst.pictures} pictures ({on}) logits differ by "
            f"up to {worst.max_gap:.3g}; nothing was written; look closer with --no-verify and `reslearn verify`"
        )
    return Proof(worst.pictures, worst.max_gap, worst.agreement, worst.mean_gap, worst.engine, on, worst.seen)


def _triton(model: str | os.PathLike[str], out: str | os.PathLike[str], request: ExportRequest) -> Written:
    """An OpenVINO graph that prepares pictures itself, in a repository of models, with its configuration."""
    if request.outputs != "logits" or request.cam:
        raise UserError("--to triton writes logits alone; leave --outputs and --cam out, or export --to openvino")
    place = place_in(out, model)
    try:
        done = export(model, place.graph, replace(request, to="openvino", input="uint8"))
    except BaseException:
        place.forget()
        raise
    config = write_config(place, open_exported(place.graph))
    return replace(done, path=place.folder, to="triton", bytes=done.bytes + config)


def _page(model: str | os.PathLike[str], out: str | os.PathLike[str], request: ExportRequest) -> Written:
    """One HTML file; what is compared with the network is the graph inside it."""
    from .one_file import page_of, page_target, runtime_of, write_page_file

    target = page_target(out, sealed_in(model))
    runtime, loaded = runtime_of(request.runtime), load(model)
    plan = ExportPlan("onnx", "uint8", request.precision, size=request.image_size)
    int8 = _int8(loaded, plan, request)
    page = page_of(
        loaded, runtime, precision=request.precision, size=request.image_size, made_of=str(sealed_in(model)), int8=int8
    )
    proof = _proof(page.exported, loaded, request) if request.verify else None
    graph = page.exported.graph
    return Written(
        target, "html", graph.input, graph.precision, write_page_file(page, target), graph.opset, proof, graph.outputs,
        graph.engines, page.exported.sha256, graph.calibration,
        (f"inside: {runtime} ({runtime.licence}), {runtime.sha512}",),
    )  # fmt: skip


def _foreign(model: str | os.PathLike[str], out: str | os.PathLike[str], request: ExportRequest) -> Written:
    """The weights in another package's layout, by `convert`'s code."""
    graph_options = {
        "--input": request.input != "float", "--precision": request.precision != "fp32",
        "--outputs": request.outputs != "logits", "--cam": request.cam, "--image-size": request.image_size is not None,
        "--data": request.data is not None,
    }  # fmt: skip
    for option, given in graph_options.items():
        if given:
            raise UserError(f"{option} is for graphs; --to {request.to} writes weights alone, float32 as they are")
    loaded = load(model)
    if len(loaded.bundle.members) > 1:
        raise UserError(
            f"{model}: an ensemble of several networks, which {request.to} has no layout for; export --to onnx"
        )
    done = convert_weights(sealed_in(model), loaded.bundle.members[0].spec, out=out, to=cast(Layout, request.to))
    size = done.model.stat().st_size
    return Written(done.model, request.to, "float", "fp32", size, opset=None, verified=None, notes=done.notes)
