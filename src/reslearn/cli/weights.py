"""`weights`, `card`, `push`: pretrained weights by name, and models given to others."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..runtime.replacing import CARD
from ..spec.codec import to_json
from ..spec.errors import UserError
from ..spec.text import counted
from .names import as_typed
from .options import Data, Device, ForgetPictures, Json, Sealed, Workers
from .output import check_targets, emit, put, say

if TYPE_CHECKING:
    from ..jobs.push import Pushed
    from ..spec.published import Published


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command()(weights)
    app.command()(card)
    app.command()(push)
    app.command()(features)


def weights(
    pattern: Annotated[
        str, typer.Argument(metavar="[PATTERN]", help="A shell pattern on addresses or networks, such as 'resnet50*'.")
    ] = "*",
    as_json: Json = False,
) -> None:
    """List pretrained weights that are known by name; any of them goes where a file of weights goes."""
    from ..spec.published import find_published

    found = find_published(pattern)

    def table() -> None:
        heads = ("address", "network", "input", "top-1 %", "MiB", "licence")
        rows = [heads, *map(_row, found)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
        put(*("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows))
        put("", "top-1 on ImageNet as torchvision reports it; timm's package names none. Others: hf://OWNER/REPO")

    emit([to_json(one) for one in found], as_json, table)


def _row(one: Published) -> tuple[str, ...]:
    return (
        one.address,
        one.network,
        f"{one.size}/{one.resize} {one.interpolation}",
        "" if one.acc1 is None else f"{one.acc1:.2f}",
        "" if one.mib is None else f"{one.mib:.0f}",
        one.licence or "",
    )


def card(
    model: Sealed,
    output: Annotated[Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write it here.")] = None,
    as_json: Json = False,
) -> None:
    """Print a model's card: scores with intervals, data, recipe, calibration, limits, use; Markdown with metadata."""
    check_targets({as_typed("--out"): (output, CARD)})
    from ..jobs.card import card_of
    from ..runtime.files import write_atomic

    made = card_of(model)
    if output is not None:
        write_atomic(output, made.text)
    lines = made.text.splitlines() if output is None else [f"card      {output}"]
    emit(made.to_json(), as_json, lambda: put(*lines))


def push(
    model: Sealed,
    address: Annotated[str | None, typer.Argument(metavar="[hf://OWNER/REPO]", help="The repository.")] = None,
    to_folder: Annotated[
        Path | None, typer.Option("--to-folder", metavar="DIR", help="Write the repository's files here; no network.")
    ] = None,
    private: Annotated[bool, typer.Option(help="Make the repository a private one.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Upload without asking.")] = False,
    forget_pictures: ForgetPictures = False,
    as_json: Json = False,
) -> None:
    """Give a model to others: weights in timm's names, a card, as a folder that `reslearn.load` and timm read."""
    where = address or to_folder
    say(f"reslearn push: {model}" if where is None else f"reslearn push: {model} to {where}")
    from ..jobs.push import push_model, words_of_hashes

    def agree(question: str) -> bool:
        if not yes and not (sys.stdin is not None and sys.stdin.isatty()):
            raise UserError(f"{question} nobody is there to ask; give --yes")
        return yes or typer.confirm(question, err=True)

    done = push_model(model, address, folder=to_folder, private=private, forget_pictures=forget_pictures, agree=agree)
    if done.hashes:
        say(f"note      {words_of_hashes(done.hashes).rstrip('; ')}")
    emit(done.to_json(), as_json, lambda: _print_pushed(done))


def features(
    model: Sealed,
    data: Data,
    output: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="A .parquet, .csv or .npz to write.")],
    split: Annotated[str | None, typer.Option(help="train, val or test; all pictures if absent.")] = None,
    device: Device = None,
    workers: Workers = 0,
    as_json: Json = False,
) -> None:
    """Write what the last layer reads, the pooled features of every picture, as one file."""
    say(f"reslearn features: {model} on {data}")
    from ..jobs.features import features_of, features_target
    from ..runtime.device import present

    target = features_target(output)
    done = features_of(model, data, target, split=split, device=present(device), workers=workers)
    text = f"features  {output}: {counted(done.pictures, 'picture')}, {done.channels:,} numbers each"
    emit(done.to_json(), as_json, lambda: put(text))


def _print_pushed(done: Pushed) -> None:
    names = f"timm's, as {done.architecture}" if done.architecture else "reslearn's: timm lacks this network"
    put(f"names     {names}")
    put(f"files     {', '.join(done.files)}")
    if done.folder:
        put(f"folder    {done.folder}")
    if done.url:
        put(f"page      {done.url}")
