"""`export` and `verify`: a model as a file for another engine, and the proof that it answers alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..spec.choices import Engine, GraphInput, Outputs, Width
from ..spec.text import counted
from . import options as opt
from .output import emit, print_seen, put, say

if TYPE_CHECKING:
    from ..jobs.export import Written
    from ..measure.agreement import Agreement

Format = Literal["onnx", "openvino", "torch", "triton", "html", "torchvision", "timm", "akamaster", "kuangliu"]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(export)
    app.command()(verify)


def export(
    model: opt.Sealed,
    to: Annotated[
        Format,
        typer.Option(help="A graph, Triton's folder, a page with the model inside (html), or another's weights."),
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--out", help="The file to write; of openvino its .xml, of triton the folder of models."),
    ],
    graph_input: Annotated[
        GraphInput,
        typer.Option(
            "--input", help="Normalised pictures of the network's size, or RGB bytes of any size, as triton's always."
        ),
    ] = "float",
    precision: Annotated[Width, typer.Option(help="Of the graph's arithmetic.")] = "fp32",
    calibrate: Annotated[
        str | None, typer.Option(metavar="DATA", help="int8: measure ranges on its training pictures.")
    ] = None,
    max_drop: Annotated[
        float | None, typer.Option(help="int8: points of top-1 that it may cost on validation; 0.3 if absent.")
    ] = None,
    outputs: Annotated[Outputs, typer.Option(help="Answers, the map of each stage, or both.")] = "logits",
    cam: Annotated[bool, typer.Option("--cam", help="Also put out the class map of every class.")] = False,
    image_size: opt.ImageSize = None,
    no_verify: Annotated[bool, typer.Option("--no-verify", help="Do not compare it with the network.")] = False,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Compare on these; else on made-up pictures.")
    ] = None,
    runtime: Annotated[
        Path | None, typer.Option(metavar="FILE", help="html: another onnxruntime-web, as npm packs it.")
    ] = None,
    as_json: opt.Json = False,
) -> None:
    """Write a model as a file for another engine, after comparing the two picture by picture."""
    say(f"reslearn export: {model} to {to}")
    from ..jobs.export import ExportRequest
    from ..jobs.export import export as export_job

    request = ExportRequest(
        to,
        graph_input,
        precision,
        calibrate,
        max_drop,
        outputs,
        cam,
        image_size,
        verify=not no_verify,
        data=data,
        runtime=runtime,
    )
    done = export_job(model, output, request)
    for line in done.notes:
        say(f"note: {line}")
    emit(done.to_json(), as_json, lambda: _print_export(done))


def verify(
    exported: Annotated[str, typer.Argument(metavar="EXPORTED", help="A file that `export` wrote.")],
    model: opt.Sealed,
    data: Annotated[str, typer.Option(metavar="DATA", help="Pictures to compare on; labels are not needed.")],
    split: Annotated[str | None, typer.Option(help="train, val or test; test if absent and there is one.")] = None,
    engine: Annotated[
        Engine | None, typer.Option(help="One engine; else every one that is right and installed.")
    ] = None,
    as_json: opt.Json = False,
) -> None:
    """Compare an exported file with its sealed file, picture by picture; exit status 1 where they differ too much."""
    say(f"reslearn verify: {exported} and {model} on {data}")
    from ..jobs.verification import verify_files

    rows = verify_files(exported, model, data, split=split, engine=engine)
    emit([row.to_json() for row in rows], as_json, lambda: _print_rows(rows))
    if not all(row.ok for row in rows):
        raise typer.Exit(1)


def _print_export(done: Written) -> None:
    put(f"file       {done.path}, {done.bytes:,} bytes")
    opset = "" if done.opset is None else f", opset {done.opset}"
    put(f"graph      {done.to}, {done.input} input, {done.precision}{opset}")
    kept = done.calibration
    if kept is not None:
        put(f"int8       ranges of {counted(len(kept.pictures), 'picture')} of {kept.split} of {kept.data}")
        if kept.drop is not None and kept.drop_interval is not None:
            low, high = kept.drop_interval
            given = "; some layers were given back" if kept.controlled else ""
            put(
                f"cost       {kept.drop:.2f} points of top-1 on {kept.validation:,} validation pictures "
                f"(95 %: {low:.2f} .. {high:.2f}){given}"
            )
    proof = done.verified
    if proof is None:
        put("verified   no")
        return
    alike = "" if proof.agreement is None else f", the same class for {100 * proof.agreement:.2f} %"
    put(
        f"verified   {proof.engine} on {counted(proof.pictures, 'picture')} ({proof.on}): "
        f"gap at most {proof.max_gap:.2g}{alike}"
    )


def _print_rows(rows: list[Agreement]) -> None:
    for row in rows:
        alike = "" if row.agreement is None else f", the same class for {100 * row.agreement:.2f} %"
        put(
            f"{row.engine:<12}{row.precision}, {counted(row.pictures, 'picture')}: gap at most {row.max_gap:.2g}, "
            f"mean {row.mean_gap:.2g}{alike}"
        )
        if row.top1 is not None and row.top1_reference is not None:
            put(f"{'':<12}right {100 * row.top1:.2f} %, the network {100 * row.top1_reference:.2f} %")
        put(f"{'':<12}{row.images_per_second:,.1f} images/s; {'ok' if row.ok else 'NOT ok: beyond the bound'}")
    if rows[0].top1 is not None:
        print_seen("seen        ", rows[0].seen)
