"""`paper list|show|run|report`: the papers' tables, figures and arguments, each as one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..jobs.progress import watching
from ..runtime.allocator import tune
from ..runtime.files import writable_target
from ..spec.choices import Tier
from ..spec.errors import UserError
from .options import DryRun, Json, TrainPrecision
from .output import emit, put, say

if TYPE_CHECKING:
    from ..paper.told import Written

paper = typer.Typer(no_args_is_help=True, help="Check the papers: tables, figures and arguments, each as one command.")

StoreOption = Annotated[Path, typer.Option("--store", help="The results store.")]
DEFAULT_STORE = Path("runs/paper")


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.add_typer(paper, name="paper")


@paper.command("list")
def list_all(as_json: Json = False) -> None:
    """What can be checked: published tables, figures, studies."""
    from ..cli import papers_view
    from ..paper import overview

    found = overview.listing()
    emit(found, as_json, lambda: papers_view.print_listing(found))


@paper.command()
def show(name: Annotated[str, typer.Argument(help="A name of `reslearn paper list`.")], as_json: Json = False) -> None:
    """A table's published numbers, an experiment's rows, recipe and command; `static` checks sizes and costs,
    `coverage` lists what each paper prints."""
    from ..cli import papers_view
    from ..paper import overview

    found = overview.details(name)
    emit(found, as_json, lambda: papers_view.print_details(found))


@paper.command()
def run(
    name: Annotated[str, typer.Argument(help="A name of `reslearn paper list`.")],
    data: Annotated[str | None, typer.Option(help="CIFAR or ImageNet; the smoke tier also takes digits.")] = None,
    tier: Annotated[Tier, typer.Option(help="How much of the published training.")] = "smoke",
    rows: Annotated[str | None, typer.Option(help="Labels of rows (or patterns), separated by semicolons.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many; as published at the full tier, else 1.")] = None,
    fraction: Annotated[float | None, typer.Option(help="The short tier's share of the published budget.")] = None,
    shard: Annotated[str | None, typer.Option(help="i/n: every n-th cell from the i-th on.")] = None,
    store: StoreOption = DEFAULT_STORE,
    precision: TrainPrecision = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Train what a table, figure or study needs. What is in the store is not run again; what was begun goes on."""
    say(f"reslearn paper run: {name}, {tier} tier")
    if name in ("static", "coverage"):
        raise UserError(f"{name} is a list, nothing to train; use `reslearn paper show {name}`")
    tuned = False if dry_run else tune()
    if not dry_run:
        writable_target(store, "folder", "--store")
    from ..cli import papers_view
    from ..paper.cells import session

    plan = session.Session(
        name,
        data=data,
        tier=tier,
        rows=_parts(rows, "--rows"),
        seeds=seeds,
        fraction=fraction,
        shard_text=shard,
        store=store,
        precision=precision,
    )
    if dry_run:
        emit(plan.to_json(), as_json, lambda: papers_view.print_outcome(plan.to_json()))
        return
    with watching(held="test") as watch:
        found = plan.run(tuned_allocator=tuned, watch=watch, say=say)
    emit(found, as_json, lambda: papers_view.print_outcome(found))


@paper.command()
def report(
    stores: Annotated[list[Path] | None, typer.Option("--store", help="Results; several are read as one.")] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="The report's folder.")] = Path("runs/paper-report"),
    names: Annotated[str | None, typer.Option("--only", help="Experiments, separated by semicolons.")] = None,
    page: Annotated[Path | None, typer.Option(help="Renew the marked blocks of this Markdown page instead.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Also copy the results, without runs, into this store.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Published numbers beside ours, curves in the papers' manner, the studies' conclusions: from the store alone."""
    say("reslearn paper report")
    from ..paper.cells.store import Store
    from ..paper.findings.report import renew_page, write_report

    found_stores = stores or [DEFAULT_STORE]
    only = _parts(names, "--only")
    writable_target(out, "folder", "--out")
    if keep is not None:
        writable_target(keep, "folder", "--keep")
        say(f"{Store(*found_stores).copy_results(keep)} results copied to {keep}")
    if page is not None:
        renewed = renew_page(found_stores, page)
        emit(renewed, as_json, lambda: put(f"page      {renewed['page']}"))
        return
    found = write_report(found_stores, out, only=only)
    emit(found, as_json, lambda: _print_report(found))


def _parts(text: str | None, option: str) -> list[str] | None:
    """What stands between semicolons; an empty part is none."""
    if text is None:
        return None
    found = [part for given in text.split(";") if (part := given.strip())]
    if not found:
        raise UserError(f"{option} is {text!r}; it names nothing")
    return found


def _print_report(found: Written) -> None:
    put(f"report    {found['html']}")
    put(f"markdown  {found['markdown']}")
    for verdict, count in found["verdicts"].items():
        put(f"{verdict:9s} {count}")
