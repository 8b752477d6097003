"""`recipes`: how networks are trained, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, get_args, get_origin, get_type_hints

import typer

from ..spec.codec import settable, to_json
from .options import Json
from .output import emit, put, put_table

if TYPE_CHECKING:
    from ..spec.recipe import Recipe


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command("recipes")(recipes)


def recipes(
    name: Annotated[str | None, typer.Argument(metavar="[RECIPE]", help="Print this one, field by field.")] = None,
    fields: Annotated[
        bool, typer.Option("--fields", help="List what --set takes: each field, its kind and its value.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Name the recipes, or show one with the fields that --set changes."""
    from ..spec.recipe import Recipe
    from ..spec.recipes import RECIPES, get_recipe

    if name is None and not fields:
        value = [_row(recipe) for recipe in RECIPES.values()]
        emit(value, as_json, lambda: _print_list(value))
        return
    recipe = get_recipe(name) if name is not None else Recipe(name="any", source="defaults", epochs=1)
    if fields:
        rows = [{"field": path, "value": to_json(item), "kind": _kind(path)} for path, item in settable(recipe).items()]
        emit(rows, as_json, lambda: _print_fields(rows))
        return
    from .models import _print_fields as print_recipe

    emit(to_json(recipe), as_json, lambda: print_recipe(to_json(recipe)))


def _row(recipe: Recipe) -> dict[str, object]:
    return {"name": recipe.name, "budget": _budget(recipe), "optimizer": recipe.optimizer, "source": recipe.source}


def _budget(recipe: Recipe) -> str:
    if recipe.epochs is not None:
        return f"{recipe.epochs:g} epochs"
    return f"{recipe.iterations:,} steps" if recipe.iterations is not None else f"{recipe.images:,} pictures"


def _kind(path: str) -> str:
    """What a field's values may be, in words."""
    from ..spec.recipe import Recipe

    owner: type = Recipe
    *outer, last = path.split(".")
    for name in outer:
        owner = get_type_hints(owner)[name]
    return in_words(get_type_hints(owner)[last])


def in_words(hint: object) -> str:
    """A type as people say it: `a or b`, `number`, `whole number`, `true or false`."""
    simple = {int: "whole number", float: "number", bool: "true or false", str: "text", type(None): "none"}
    if hint in simple:
        return simple[hint]
    parts = get_args(hint)
    if get_origin(hint) is tuple:
        each = in_words(parts[0])
        return f"{each}s with commas" if Ellipsis in parts else f"{len(parts)} {each}s with a comma"
    if parts and all(isinstance(part, (str, int)) for part in parts):
        return " or ".join(map(str, parts))
    return " or ".join(in_words(part) for part in parts) if parts else str(getattr(hint, "__name__", hint))


def _print_list(value: list[dict[str, object]]) -> None:
    put_table(["recipe", "budget", "optimizer", "from"], [list(map(str, row.values())) for row in value], right=False)
    put("", "reslearn recipes RECIPE shows one, reslearn recipes RECIPE --fields what --set changes in it")


def _print_fields(rows: list[dict[str, object]]) -> None:
    cells = [[str(row["field"]), _text(row["value"]), str(row["kind"])] for row in rows]
    put_table(["--set FIELD=", "now", "what it takes"], cells, right=False)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "none" if value is None else str(value)
