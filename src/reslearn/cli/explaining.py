"""`explain`: where in a picture a network finds a class, whether that can be believed, and what its layers do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.replacing import PAGE
from ..spec.choices import MapMethod
from ..spec.errors import UserError
from . import options as opt
from .names import as_typed
from .output import check_targets, emit, put, put_table, say

if TYPE_CHECKING:
    from ..jobs.explaining import Explained
    from ..jobs.layers import Layers


def register(app: typer.Typer) -> None:
    """Add this group's command to the app."""
    app.command()(explain)


def explain(
    model: opt.Sealed,
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE...|DATA", help="Files, folders, 'patterns*'; or DATA with classes."),
    ] = None,
    method: Annotated[
        MapMethod | None, typer.Option(help="cam where the network has one, else gradcam; guided and "
                                            "integrated-gradients need captum (extra explain).")
    ] = None,
    of_class: Annotated[
        str | None, typer.Option("--class", metavar="C", help="Explain this class; else each picture's best one.")
    ] = None,
    layer: Annotated[str | None, typer.Option(metavar="L", help="gradcam: the map of this layer, as stages.1.")] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Instead of pictures: responses, gradients, |F|/|x|, lesions of a run.")
    ] = False,
    out: opt.PageOut = None,
    split: Annotated[str | None, typer.Option(help="Of DATA; test if absent and there is one.")] = None,
    pictures: Annotated[int, typer.Option(help="How many pictures are shown at most.")] = 24,
    faithfulness: Annotated[
        int | None,
        typer.Option(metavar="N", help="Pictures to test maps on, 0 for none; 100 if absent, 16 of over 96 pixels."),
    ] = None,
    train_data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Where the nearest training pictures are looked for.")
    ] = None,
    device: opt.Device = None,
    as_json: opt.Json = False,
) -> None:  # fmt: skip
    """Show where in pictures a network finds a class, and test whether its maps can be believed.

    Of DATA also: each class's mean map, its most and least typical pictures, and the nearest training pictures.
    Files that cannot be read are listed on standard error, the others explained; the exit status is then 2.
    """
    say(f"reslearn explain: {model}")
    check_targets({as_typed("--out"): (out, PAGE)})
    if layers:
        other = method or of_class or layer
        _layers(model, images or [], out=out, split=split, device=device, as_json=as_json, other=other)
        return
    if not images:
        raise UserError("name pictures or DATA after the model, or --layers to look at a run's layers")
    from ..jobs.explaining import ExplainRequest
    from ..jobs.explaining import explain as explain_job

    request = ExplainRequest(method, of_class, layer, split, pictures, faithfulness, train_data, device)
    done = explain_job(model, images, request, out=out)
    emit(done.to_json(), as_json, lambda: _print_explained(done))
    for one in done.unread:
        say(f"reslearn: {one.error}")
    if done.unread:
        raise typer.Exit(2)


def _layers(
    model: str,
    data: list[str],
    *,
    out: Path | None,
    split: str | None,
    device: str | None,
    as_json: bool,
    other: str | None,
) -> None:
    if other is not None:
        raise UserError("--layers looks at all layers; --method, --class and --layer are for pictures")
    if len(data) > 1:
        raise UserError(f"--layers takes one DATA, or none for the run's own pictures; found {len(data)}")
    from ..jobs.layers import look_at_layers

    done = look_at_layers(model, data[0] if data else None, split=split, device=device, out=out)
    emit(done.to_json(), as_json, lambda: _print_layers(done))


def _print_explained(done: Explained) -> None:
    put(f"model      {done.model} ({done.network})")
    put(f"maps       {done.method}, from {', '.join(done.layers)}")
    if len(done.pictures) + len(done.unread) < done.found and done.data is None:
        put(f"pictures   {len(done.pictures):,} of {done.found:,}, evenly over all; --pictures says how many")
    for one in done.pictures:
        truth = "" if one.truth is None or one.truth == one.predictions[0].label else f", it is {one.truth}"
        put(f"{one.path or 'a picture'}: {one.label} {one.probability:.3f}{truth}; {_where(one.map)}")
    if done.faithfulness is not None:
        put(f"tested     {done.faithfulness.verdict()}")
    if done.page is not None:
        put(f"page       {done.page}")
    else:
        say("add -o page.html to see the maps")


def _where(values: object) -> str:
    """The warmest place in words: a third of the picture each way."""
    import numpy as np

    map_ = np.asarray(values)
    if map_.max() <= 0:
        return "no place speaks for it"
    row, column = np.unravel_index(int(map_.argmax()), map_.shape)
    down = ("top", "middle", "bottom")[3 * int(row) // map_.shape[0]]
    along = ("left", "centre", "right")[3 * int(column) // map_.shape[1]]
    return f"warmest at {'the centre' if (down, along) == ('middle', 'centre') else f'the {down} {along}'}"


def _print_layers(done: Layers) -> None:
    put(f"model      {done.model} ({done.network})")
    put(f"pictures   {done.pictures:,} of {done.data}")
    if done.responses is not None:
        rows = [(one.layer, f"{one.std:.4f}", f"{one.closed_form:.4f}") for one in done.responses]
        put_table(("layer", "response", "by BN"), rows)
    if done.branches is not None:
        put_table(("block", "|F| / |x|"), [(one.block, f"{one.ratio:.4f}") for one in done.branches])
    if done.gradients is not None:
        rows = [(one.layer, f"{one.weight:.3g}", f"{one.signal:.3g}") for one in done.gradients]
        put_table(("convolution", "gradient by weights", "by outputs"), rows)
    if done.lesion is not None:
        put_table(("without", f"right (intact {100 - done.lesion.intact:.2f} %)"),
                  [(name, f"{100 - error:.2f} %") for name, error in done.lesion.dropped])  # fmt: skip
    for name, reason in done.absent.items():
        put(f"{name:<10} not here: {reason}")
    if done.page is not None:
        put(f"page       {done.page}")
