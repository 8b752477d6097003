"""`data check|stats|split|preview|pack|export|download`: what goes in."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.replacing import FIGURE, PAGE, check_sheet
from ..spec.choices import Cifar, Encoding, ExportTo
from ..spec.codec import parse_assignments
from ..spec.errors import check_at_least
from ..spec.text import counted
from .addresses import opened_so
from .data_view import print_check, print_pack, print_preview, print_split, print_stats
from .names import as_typed
from .options import AllowUrls, Assignments, CacheSize, Data, GroupRegex, Json
from .output import check_targets, emit, progress, put, say, say_notes

Manifest = Annotated[
    Path | None, typer.Option("-o", "--out", metavar="FILE", help="Where the manifest goes; else with the data.")
]
Workers = Annotated[int | None, typer.Option(min=0, help="Processes that read; one per core if absent.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    group = typer.Typer(no_args_is_help=True, help="Check, split, look at, pack, export and fetch data.")
    for command in (check, stats, split, preview, pack, export, download):
        group.command()(command)
    app.add_typer(group, name="data")


def check(
    data: Data,
    out: Manifest = None,
    html: Annotated[Path | None, typer.Option(help="Write the findings as one page with thumbnails.")] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave out more: duplicates, conflicts, or a kind of fault; repeatable.")
    ] = None,
    workers: Workers = None,
    write: Annotated[bool, typer.Option(help="Write the manifest that training obeys.")] = True,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 where anything was found.")] = False,
    cache_size: CacheSize = None,
    allow_urls: AllowUrls = False,
    as_json: Json = False,
) -> None:
    """Decode every picture in full; find faults, duplicates and leaks; write the manifest that training obeys."""
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn data check: {data}")
    check_targets({as_typed("--out"): (out if write else None, None), "--html": (html, PAGE)})
    from ..data.care.check import check_data

    report, written = check_data(
        data,
        manifest=str(out) if out else None,
        html=str(html) if html else None,
        exclude=exclude or (),
        workers=workers,
        write=write,
        progress=progress("pictures"),
    )
    files = {"manifest": written, "html": str(html) if html else None}
    emit(report.to_json() | files, as_json, lambda: print_check(report, written))
    if strict and report.findings():
        raise typer.Exit(1)


def stats(
    data: Data,
    size: Annotated[int | None, typer.Option("--image-size", help="Measure pixels after resizing to this.")] = None,
    workers: Workers = None,
    cache_size: CacheSize = None,
    allow_urls: AllowUrls = False,
    as_json: Json = False,
) -> None:
    """Pictures per class and split, sizes, and the channel mean and std of the training part."""
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn data stats: {data}")
    from ..data.sources import open_data
    from ..data.statistics import statistics
    from ..spec.preprocess import check_image_size, default_preprocess

    check_image_size(size)
    dataset = open_data(data)
    say_notes(dataset.notes)
    found = statistics(
        dataset,
        preprocess=None if size is None else default_preprocess(size),
        workers=workers if workers is not None else (os.cpu_count() or 1) if len(dataset) >= 2000 else 0,
        progress=progress("pictures"),
    )
    emit(found.to_json(), as_json, lambda: print_stats(found))


def split(
    data: Data,
    ratio: Annotated[str | None, typer.Option(help="train:val:test or train:val, such as 6:2:2 or 7:1.5:1.5.")] = None,
    folds: Annotated[int | None, typer.Option(help="Folds for cross-validation instead.")] = None,
    seed: Annotated[int, typer.Option("--split-seed")] = 0,
    group_regex: GroupRegex = None,
    out: Manifest = None,
    content: Annotated[bool, typer.Option(help="Know pictures by content hash (else by path and size).")] = True,
    workers: Workers = None,
    cache_size: CacheSize = None,
    allow_urls: AllowUrls = False,
    as_json: Json = False,
) -> None:
    """Write a manifest that says which split each picture belongs to; known ones keep theirs when files are added."""
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn data split: {data}")
    check_targets({as_typed("--out"): (out, None)})
    from ..data.care.splitting import split_data

    result = split_data(
        data,
        ratio=ratio,
        folds=folds,
        seed=seed,
        group_regex=group_regex,
        manifest=str(out) if out else None,
        hashing=content,
        workers=workers or 0,
        progress=progress("pictures hashed"),
    )
    say_notes(result.notes)
    emit(result.to_json(), as_json, lambda: print_split(result))


def preview(
    data: Data,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="The PNG file to write; an earlier sheet there is replaced.")
    ] = Path("preview.png"),
    recipe: Annotated[str | None, typer.Option(help="Of `reslearn recipes`; train's choice if absent.")] = None,
    assignments: Assignments = None,
    size: Annotated[int | None, typer.Option("--image-size", help="Of the input; chosen likewise if absent.")] = None,
    split_name: Annotated[str | None, typer.Option("--split")] = None,
    seed: int = 0,
    rows: Annotated[int, typer.Option(help="Pictures.")] = 8,
    columns: Annotated[int, typer.Option(help="The evaluation view and so many less one epochs.")] = 8,
    cache_size: CacheSize = None,
    allow_urls: AllowUrls = False,
    as_json: Json = False,
) -> None:
    """Write a contact sheet of what the network will see, by the recipe and size that `train` would choose."""
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn data preview: {data}")
    check_targets({"--out": (out, None)})
    check_sheet(out, "--out")
    check_targets({"--out": (out, FIGURE)})
    from ..jobs.previewing import preview_data

    changes = parse_assignments(assignments or [])
    made = preview_data(
        data, out, recipe=recipe, changes=changes, size=size, split=split_name, seed=seed, rows=rows, columns=columns
    )
    emit(made.to_json(), as_json, lambda: print_preview(made.sheet))


def pack(
    data: Data,
    out: Annotated[Path, typer.Option("-o", "--out", help="The pack to write, such as flowers.pack.")],
    resize: Annotated[int | None, typer.Option(help="Reduce larger pictures to this shorter side.")] = None,
    encoding: Annotated[
        Encoding | None, typer.Option(help="Bytes as they are, pixels, or JPEG anew; raw when resizing.")
    ] = None,
    shards: Annotated[
        int | None, typer.Option(metavar="N", help="Write a folder of so many tar shards with their indexes instead.")
    ] = None,
    cache_size: CacheSize = None,
    allow_urls: AllowUrls = False,
    as_json: Json = False,
) -> None:
    """Write one file with random access; stopped and run again, it goes on where it was."""
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn data pack: {data}")
    from ..data.care.packing import pack_data

    done = pack_data(data, out, resize=resize, encoding=encoding, shards=shards, progress=progress("pictures"))
    emit(done.to_json(), as_json, lambda: print_pack(done))


def export(
    data: Data,
    to: Annotated[ExportTo, typer.Option(help="Class folders, WebDataset tars, or Hugging Face's Parquet.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="The folder to make.")],
    shards: Annotated[int | None, typer.Option(metavar="N", help="So many tars or Parquet files.")] = None,
    cache_size: CacheSize = None,
    allow_urls: AllowUrls = False,
    as_json: Json = False,
) -> None:
    """Write the set as other programs read it; encoded pictures are copied as they are."""
    data = opened_so(data, cache_size, allow_urls)
    say(f"reslearn data export: {data}")
    check_at_least("--shards", shards, 1)
    from ..data.care.exporting import export_data
    from ..data.sources import open_data

    dataset = open_data(data)
    say_notes(dataset.notes)
    done = export_data(dataset, out, to, shards=shards, progress=progress("pictures"))
    emit(
        done.to_json(),
        as_json,
        lambda: put(
            f"{done.path}: {counted(done.pictures, 'picture')} in {counted(done.files, 'file')}, "
            f"{done.bytes / 1e6:,.1f} MB"
        ),
    )


def download(
    name: Annotated[Cifar, typer.Argument(help="Which set.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="The folder to put it in.")] = Path(),
    url: Annotated[str | None, typer.Option(help="A mirror of the same file.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch CIFAR from its author's site; resumes, verifies the checksum, leaves no half file."""
    say(f"reslearn data download: {name}")
    from ..data.formats.download import download as fetch

    path = fetch(name, out, url=url, progress=progress("bytes"))
    emit({"path": str(path), "bytes": path.stat().st_size}, as_json, lambda: put(str(path)))
