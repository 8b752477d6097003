"""Reads `src/reslearn/spec/published.json` off the wheels of torchvision and timm, as text: neither is imported.

    python tests/spec/published_weights.py torchvision-*.whl timm-*.whl > src/reslearn/spec/published.json

The table holds weights of networks of the catalogue alone, with what their packages say of them.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import zipfile
from typing import Any

from reslearn.spec.architectures import from_timm
from reslearn.spec.catalogue import CATALOGUE
from reslearn.spec.errors import UserError

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
CONSTANTS = {
    "IMAGENET_DEFAULT_MEAN": (0.485, 0.456, 0.406),
    "IMAGENET_DEFAULT_STD": (0.229, 0.224, 0.225),
    "IMAGENET_INCEPTION_MEAN": (0.5, 0.5, 0.5),
    "IMAGENET_INCEPTION_STD": (0.5, 0.5, 0.5),
}


def torchvision_weights(wheel: zipfile.ZipFile) -> list[dict[str, Any]]:
    """One row for every member of a `..._Weights` class of its ResNets and VGGs."""
    rows = []
    for module in ("resnet", "vgg"):
        tree = ast.parse(wheel.read(f"torchvision/models/{module}.py"))
        assigned = {one.targets[0].id: one.value for one in tree.body if isinstance(one, ast.Assign)}
        common = assigned["_COMMON_META"]
        for made in tree.body:
            if isinstance(made, ast.ClassDef) and made.name.endswith("_Weights"):
                network = made.name.removesuffix("_Weights").lower()
                members = {one.targets[0].id: one.value for one in made.body if isinstance(one, ast.Assign)}
                default = members.pop("DEFAULT").id
                rows += [
                    row | {"default": name == default}
                    for name, value in members.items()
                    if network in CATALOGUE and (row := _row(f"{made.name}.{name}", network, value, common)) is not None
                ]
    return rows


def _row(name: str, network: str, call: ast.Call, common: ast.Dict) -> dict[str, Any] | None:
    given = {word.arg: word.value for word in call.keywords}
    meta: dict[str, Any] = {}
    for told in (common, given["meta"]):
        meta |= {key.value: value for key, value in zip(told.keys, told.values, strict=True) if key is not None}
    if isinstance(meta["categories"], ast.Constant):  # None: features without a head
        return None
    meta = {name: ast.literal_eval(meta[name]) for name in ("recipe", "_metrics", "_file_size")}
    cut = {"resize_size": 256, "mean": IMAGENET["mean"], "std": IMAGENET["std"]}
    cut |= {word.arg: ast.literal_eval(word.value) for word in given["transforms"].keywords}
    file = ast.literal_eval(given["url"]).rpartition("/")[2]
    scores = meta["_metrics"]["ImageNet-1K"]
    return {
        "address": f"torchvision://{name}",
        "network": network,
        "file": file,
        "sha256": re.search(r"-([0-9a-f]{8})\.pth$", file).group(1),
        "mib": meta["_file_size"],
        "size": cut["crop_size"],
        "resize": cut["resize_size"],
        "interpolation": "bilinear",
        "mean": list(cut["mean"]),
        "std": list(cut["std"]),
        "acc1": scores["acc@1"],
        "acc5": scores["acc@5"],
        "recipe": meta["recipe"],
        "licence": "bsd-3-clause",
    }


def timm_weights(wheel: zipfile.ZipFile) -> list[dict[str, Any]]:
    """One row for every repository that timm's ResNets name, in its order: the first of a network is its default."""
    rows: list[dict[str, Any]] = []
    for module in ("resnet", "resnetv2"):
        tree = ast.parse(wheel.read(f"timm/models/{module}.py"))
        makers = [one for one in tree.body if isinstance(one, ast.FunctionDef) and re.fullmatch(r"_\w*cfg", one.name)]
        table = next(one for one in ast.walk(tree) if isinstance(one, ast.Assign) and _is_table(one))
        names: dict[str, Any] = dict(CONSTANTS)
        exec(compile(ast.Module(makers, []), module, "exec"), names)  # functions that fill in dicts
        given = zip(table.value.args[0].keys, table.value.args[0].values, strict=True)
        for key, value in given:
            config = eval(compile(ast.Expression(value), module, "eval"), names)
            architecture = key.value.partition(".")[0]
            try:
                from_timm(architecture)
            except UserError:
                continue
            if not config.get("hf_hub_id") or not config["num_classes"]:  # untrained, or without a head
                continue
            repository = config["hf_hub_id"] if not config["hf_hub_id"].endswith("/") else f"timm/{key.value}"
            rows.append(_timm_row(repository, architecture, config, rows))
    return rows


def _is_table(one: ast.Assign) -> bool:
    call = one.value
    return isinstance(call, ast.Call) and getattr(call.func, "id", "") == "generate_default_cfgs"


def _timm_row(
    repository: str, architecture: str, config: dict[str, Any], before: list[dict[str, Any]]
) -> dict[str, Any]:
    size = config["input_size"][-1]
    return {
        "address": f"hf://{repository}",
        "network": from_timm(architecture).name,
        "architecture": architecture,
        "size": size,
        "resize": round(size / config["crop_pct"]),
        "interpolation": config["interpolation"],
        "mean": list(config["mean"]),
        "std": list(config["std"]),
        "licence": config.get("license"),
        "outputs": config["num_classes"],
        "default": not any(row["architecture"] == architecture for row in before),
    }


def main(wheels: list[str]) -> None:
    """Print the table."""
    rows, versions = [], {}
    for path in wheels:
        package, version = re.match(r"(?:.*/)?(\w+)-([\w.]+)-", path).groups()
        versions[package] = version
        with zipfile.ZipFile(path) as wheel:
            rows += {"torchvision": torchvision_weights, "timm": timm_weights}[package](wheel)
    lines = ",\n  ".join(json.dumps(row) for row in rows)
    print(f'{{"read_from": {json.dumps(versions)},\n "weights": [\n  {lines}\n]}}')


if __name__ == "__main__":
    main(sys.argv[1:])
