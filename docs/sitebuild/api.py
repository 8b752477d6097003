"""The API reference: every public name of `reslearn` once, its signature and its docstring."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any, get_args

import reslearn

# page -> title, what it holds, names
GROUPS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "networks": (
        "Networks and recipes",
        "Networks are values; a module is built from one.",
        ("list_models", "get_spec", "create_model", "create_backbone", "Backbone", "NetSpec", "VggSpec", "draw",
         "Scene", "recipe", "Recipe", "Augment", "Preprocess"),
    ),
    "data": (
        "Data",
        "Whatever people hold pictures in, checked and split.",
        ("open_data", "Dataset", "Pictures", "check", "CheckReport", "split", "SplitResult"),
    ),
    "training": (
        "Training",
        "One call from pictures to a sealed model.",
        ("fit", "resume", "Run", "crossval", "Crossval", "Settings", "Tick", "Reading"),
    ),
    "scores": (
        "Scores",
        "What a model is worth, and whether that may be believed.",
        ("evaluate", "Evaluation", "calibrate", "Calibrated", "compare", "Compared", "ensemble", "Ensembled"),
    ),
    "models": (
        "Models and answers",
        "Sealed files, exports and predictions.",
        ("load", "Loaded", "save", "Bundle", "export", "ExportOptions", "Written", "convert", "Converted", "predict",
         "Predictor", "Prediction", "Answer", "Unread", "UserError"),
    ),
}  # fmt: skip
OTHERS = ("others", "Other names", "Names that stand in no other group.")
FIELD = re.compile(r"^    (?P<name>[a-z]\w*): (?P<type>[^=#\n]+?)(?: = (?P<default>[^#\n]+?))?(?:  # (?P<what>.*))?$")


def pages() -> dict[str, str]:
    """The reference's pages by their names: an index, and one per group."""
    groups = dict(GROUPS)
    told = {name for _, _, names in groups.values() for name in names}
    if rest := tuple(name for name in reslearn.__all__ if name not in told):
        groups[OTHERS[0]] = (OTHERS[1], OTHERS[2], rest)
    found = {f"api/{key}.md": _page(*group) for key, group in groups.items()}
    lines = [
        "# Python reference",
        "",
        "Made from the docstrings. Every name is one of `reslearn`: `reslearn.fit`, ...",
        "",
    ]
    for key, (title, what, names) in groups.items():
        lines += [f"- [{title}]({key}.md): {what} " + ", ".join(f"`{n}`" for n in names if hasattr(reslearn, n))]
    lines += ["", "```{toctree}", ":hidden:", "", *groups, "```", ""]
    return {"api/index.md": "\n".join(lines), **found}


def _page(title: str, what: str, names: tuple[str, ...]) -> str:
    parts = [f"# {title}", "", what, ""]
    for name in names:
        if name in reslearn.__all__:
            parts += [f"## {name}", "", *_entry(name, getattr(reslearn, name)), ""]
    return "\n".join(parts)


def _entry(name: str, value: Any) -> list[str]:
    if inspect.isfunction(value):
        return _directive("py:function", f"reslearn.{name}{_signature(value)}", _doc(value))
    if not inspect.isclass(value):
        return _directive("py:data", f"reslearn.{name}", [", ".join(map(repr, get_args(value))) or repr(value)])
    body = _doc(value)
    if dataclasses.is_dataclass(value):
        body += ["", *_fields(value)]
    elif "__init__" in vars(value) and (doc := _doc(value.__init__)):
        body += ["", *doc]
    for key, member in vars(value).items():
        if key.startswith("_") and key != "__call__":
            continue
        if isinstance(member, property) and _doc(member):
            body += ["", *_directive("py:property", f"reslearn.{name}.{key}", _doc(member), ticks=4)]
        elif inspect.isfunction(member) and _doc(member):
            body += ["", *_directive("py:method", f"reslearn.{name}.{key}{_signature(member)}", _doc(member), ticks=4)]
    kind = "py:exception" if issubclass(value, Exception) else "py:class"
    return _directive(kind, f"reslearn.{name}", body, ticks=5)


def _directive(kind: str, head: str, body: list[str], ticks: int = 3) -> list[str]:
    fence = "`" * ticks
    return [f"{fence}{{{kind}}} {head}", "", *body, fence]


def _signature(function: Any) -> str:
    """The signature, types as they are written; a default that is no plain value is `...`."""
    words, starred = [], False
    signature = inspect.signature(function)
    for one in signature.parameters.values():
        if one.kind is one.KEYWORD_ONLY and not starred:
            words.append("*")
        starred = starred or one.kind in (one.KEYWORD_ONLY, one.VAR_POSITIONAL)
        mark = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
        text = mark + one.name + ("" if one.annotation is one.empty else f": {one.annotation}")
        if one.default is not one.empty:
            plain = isinstance(one.default, (int, float, str, bool, tuple, type(None)))
            text += f" = {one.default!r}" if plain else " = ..."
        words.append(text)
    back = "" if signature.return_annotation is signature.empty else f" -> {signature.return_annotation}"
    return f"({', '.join(words)}){back}"


def _doc(value: Any) -> list[str]:
    """Its own docstring; what it inherits from another package is theirs to say."""
    return inspect.cleandoc(getattr(value, "__doc__", None) or "").splitlines()


def _fields(kind: type) -> list[str]:
    """A frozen value's fields with what the source says of each."""
    lines = []
    for line in inspect.getsource(kind).splitlines():
        if match := FIELD.match(line):
            default = f" = {match['default']}" if match["default"] else ""
            what = (match["what"] or "").replace("|", "\\|")
            lines.append(f"| `{match['name']}` | `{(match['type'] + default).replace('|', chr(92) + '|')}` | {what} |")
    return ["| field | type | what |", "|---|---|---|", *lines] if lines else []
