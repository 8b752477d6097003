"""`list`, `show`, `convert`: networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.addresses import is_address
from ..spec.catalogue import CATALOGUE, get_spec, list_models
from ..spec.choices import Layout
from ..spec.codec import fields_to_json, parse_assignments, set_fields, to_json
from ..spec.cost import cost
from ..spec.errors import UserError, unknown
from ..spec.net import Shortcut, Spec, spec_from_json, spec_to_json
from .options import ForgetPictures, Json, NetAssignments, PreferOption
from .output import emit, put, say


def register(app: typer.Typer) -> None:
    """Add this group's commands to the app."""
    app.command("list")(list_command)
    app.command()(show)
    app.command()(convert)


def list_command(
    pattern: Annotated[str, typer.Argument(metavar="[PATTERN]", help="A shell pattern such as 'resnext*'.")] = "*",
    as_json: Json = False,
) -> None:
    """Name the networks of the catalogue."""
    names = list_models(pattern)
    if not names:
        raise unknown("model or pattern", pattern, CATALOGUE)

    def table() -> None:
        from .architecture import print_catalogue

        print_catalogue([get_spec(name) for name in names])

    emit(names, as_json, table)


def show(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="A catalogue name, a run folder or a sealed file.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Print this one of `reslearn recipes`, too.")] = None,
    shortcut: Annotated[Shortcut | None, typer.Option(help="What a shortcut does where shapes change.")] = None,
    classes: Annotated[int | None, typer.Option(help="Number of classes.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the picture in pixels.")] = None,
    assignments: NetAssignments = None,
    as_json: Json = False,
) -> None:
    """Print a network as its paper does: stages, output sizes, blocks, parameters, multiply-adds."""
    if model is None and recipe is None:
        raise UserError("show needs a MODEL, `--recipe R`, or both; `reslearn list` names the models")
    fields: dict[str, object] = {}
    if recipe is not None:
        from ..spec.recipes import get_recipe

        fields = fields_to_json(get_recipe(recipe))
    if model is None:
        emit(fields, as_json, lambda: _print_fields(fields))
        return
    spec = _changed(_find_spec(model), shortcut, classes, assignments)
    counted = cost(spec, image_size)
    value = {
        "name": spec.name,
        "parameters": counted.parameters,
        "macs": counted.macs,
        "depth": spec.depth,
        "activations": counted.activations,
        "image_size": image_size or spec.image_size,
        "spec": spec_to_json(spec),
        "layers": to_json(counted.layers),
        **({"recipe": fields} if fields else {}),
    }

    def table() -> None:
        from .architecture import print_network

        print_network(spec, counted, image_size or spec.image_size)
        if recipe is not None:
            put("", f"recipe {recipe}")
            _print_fields(fields)

    emit(value, as_json, table)


def convert(
    weights: Annotated[
        str, typer.Argument(metavar="WEIGHTS", help="A .pth, .th, .pt or .safetensors file, a folder or an address.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The file to write.")],
    model: Annotated[
        str | None, typer.Option(help="The network that the weights belong to, where they do not say it.")
    ] = None,
    mean: Annotated[str | None, typer.Option(help="R,G,B, pixels in 0..1, that the network was trained with.")] = None,
    std: Annotated[str | None, typer.Option(help="R,G,B likewise.")] = None,
    class_names: Annotated[str | None, typer.Option(help="A list a,b,c, a file with a name a line, or a DATA.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Side of the picture that the network reads.")] = None,
    to: Annotated[Layout, typer.Option(help="Whose layout; reslearn is a sealed file.")] = "reslearn",
    prefer: PreferOption = None,
    forget_pictures: ForgetPictures = False,
    assignments: NetAssignments = None,
    as_json: Json = False,
) -> None:
    """Turn weights of another package into a sealed file, or any weights into another package's layout."""
    from ..jobs.convert import convert_weights

    if model is None and assignments:
        raise UserError("--set changes a network; name it with --model")
    done = convert_weights(
        weights,
        None if model is None else _changed(get_spec(model), None, None, assignments),
        out=out,
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        class_names=class_names,
        image_size=image_size,
        to=to,
        prefer=prefer,
        forget_pictures=forget_pictures,
    )
    for line in done.notes:
        say(f"note: {line}")
    emit(done.to_json(), as_json, lambda: _print_fields(done.to_json(), but="notes"))


def _find_spec(model: str) -> Spec:
    """A catalogue name's spec, or that of a sealed file, a run folder or an address."""
    named = is_address(model)
    if model in CATALOGUE or not (named or Path(model).exists()):
        return get_spec(model)
    from ..bundle.header import for_repositories, header_from_json
    from ..runtime.container import locate, read_container

    run = Path(model) / "run.json"
    if run.exists() and not (Path(model) / "model.safetensors").exists():  # a run that is not finished
        from ..runtime.files import read_json

        record = read_json(run)  # whatever else may be wrong with it: the network alone is shown
        return spec_from_json(record.get("spec") if isinstance(record, dict) else None, str(run))
    if named:
        from ..bundle.file import load

        members, where = load(model).bundle.members, Path(model)
    else:
        where = locate(model)
        members = header_from_json(for_repositories(read_container(where).header, str(where))[0], str(where)).members
    if len(members) > 1:
        names = ", ".join(member.spec.name for member in members)
        raise UserError(f"{where}: an ensemble of {names}; show one of them by name")
    return members[0].spec


def _changed(spec: Spec, shortcut: str | None, classes: int | None, assignments: list[str] | None) -> Spec:
    named = {"shortcut": shortcut, "num_classes": classes}
    spec = get_spec(spec, **{field: value for field, value in named.items() if value is not None})
    return set_fields(spec, parse_assignments(assignments or [], "shortcut=B"))


def _numbers(option: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{option} {text}: expected numbers with commas between, such as 0.485,0.456,0.406") from None


def _print_fields(values: Mapping[str, object], *, but: str = "") -> None:
    """Name and value of each field `but` one, a line each."""
    shown = [field for field in values if field != but]
    for field in shown:
        value = values[field]
        if isinstance(value, dict):
            value = ", ".join(f"{key} {inner}" for key, inner in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        put(f"{field:<{max(map(len, shown))}}  {value}")
