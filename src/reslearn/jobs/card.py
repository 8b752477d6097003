"""`card`: what a model is, what it scored on, how it was made and what it cannot do, as Markdown with metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..bundle.file import Loaded, load
from ..bundle.header import Bundle
from ..runtime.addresses import is_address, spelled
from ..runtime.container import FILE_NAME
from ..spec.cost import cost
from ..spec.rates import rate_of
from ..spec.recipes import BUDGETS
from ..spec.seen import seen_from_json


@dataclass(frozen=True)
class Card:
    """The metadata at the head of a model card, and the whole of it."""

    metadata: dict[str, object]
    text: str

    def __repr__(self) -> str:
        return f"Card({self.text.count(chr(10)) + 1} lines of Markdown; print(card.text))"

    def to_json(self) -> dict[str, Any]:
        """What `card --json` prints."""
        return {"metadata": self.metadata, "card": self.text}


def card_of(model: str | os.PathLike[str]) -> Card:
    """The card of a sealed file, run folder or address."""
    loaded = load(model)
    return model_card(loaded, name=name_of(model, loaded), layout="reslearn", hashes=bool(loaded.known.tensors()))


def name_of(model: str | os.PathLike[str], loaded: Loaded) -> str:
    """What a model goes by: OWNER/REPO at the hub, else the folder that was made for it, or its file's name."""
    if is_address(model):
        kind, _, rest = spelled(model).partition("://")
        return rest.partition("@")[0].rstrip("/") if kind == "hf" else loaded.path.stem
    path = loaded.path.absolute()
    return path.parent.name if path.name == FILE_NAME else path.stem


def model_card(loaded: Loaded, *, name: str, layout: str, hashes: bool) -> Card:
    """The card of a model that goes by `name`, its tensors in `layout`'s names, with or without pictures' `hashes`."""
    bundle = loaded.bundle
    metadata = _metadata(bundle, name, layout)
    parts = [
        f"# {name}",
        _what(bundle),
        "## Scores\n\n" + _scores(bundle),
        "## Data\n\n" + _data(bundle, hashes),
        "## Training\n\n" + _training(bundle),
        "## Calibration\n\n" + _calibration(bundle),
        "## Limits\n\n" + _limits(bundle),
        "## How to use it\n\n" + _use(bundle, name, layout),
    ]
    head = "\n".join(_yaml(metadata))
    return Card(metadata, f"---\n{head}\n---\n\n" + "\n\n".join(parts) + "\n")


def _metadata(bundle: Bundle, name: str, layout: str) -> dict[str, Any]:
    source = bundle.source or {}
    value: dict[str, Any] = {
        "license": source.get("licence") or "unknown",
        "library_name": "reslearn",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "reslearn", *(["timm"] if layout == "timm" else [])],
    }
    results = []
    for split, score in bundle.scores.items():
        kinds = (("top1", "accuracy", "top-1"), ("top5", "accuracy", "top-5"), ("loss", "loss", "cross entropy"))
        metrics = [
            {"type": kind, "name": words, "value": score[key]}
            for key, kind, words in kinds
            if score.get(key) is not None
        ]
        about = bundle.data or {}
        path = os.path.basename(str(about.get("path") or "pictures"))
        dataset = {"name": path, "type": "imagefolder", "split": split}
        if about.get("fingerprint"):
            dataset["revision"] = str(about["fingerprint"])
        results.append({"task": {"type": "image-classification"}, "dataset": dataset, "metrics": metrics})
    if results:
        value["model-index"] = [{"name": name, "results": results}]
    return value


def _what(bundle: Bundle) -> str:
    names = [member.spec.name for member in bundle.members]
    counted = [cost(member.spec, bundle.preprocess.size) for member in bundle.members]
    parameters, macs = sum(one.parameters for one in counted), sum(one.macs for one in counted)
    what = names[0] if len(names) == 1 else f"An ensemble of {', '.join(names)}"
    lines = [
        f"{what}: a network that puts a picture into one of {bundle.num_classes:,} classes. "
        f"{parameters:,} parameters, {macs:,} multiply-adds for a picture of {bundle.preprocess.size} x "
        f"{bundle.preprocess.size} pixels."
    ]
    if bundle.classes:
        shown = ", ".join(bundle.classes[:20])
        more = "" if len(bundle.classes) <= 20 else f" and {len(bundle.classes) - 20:,} more"
        lines.append(f"Classes: {shown}{more}.")
    source = bundle.source or {}
    if "weights" in source:
        licence = f", licence {source['licence']}" if "licence" in source else ""
        lines.append(f"It began with the weights of {source['weights']}{licence}.")
    return "\n\n".join(lines)


def _scores(bundle: Bundle) -> str:
    if not bundle.scores:
        return "None were taken when it was sealed."
    rows = [
        "| pictures | protocol | top-1 | 95 % interval | top-5 | loss | of these, seen in training |",
        "|---|---|---|---|---|---|---|",
    ]
    for split, score in bundle.scores.items():
        interval = score.get("top1_interval") or (None, None)
        rows.append(
            f"| {split}, {_number(score.get('images'), ',')} | {score.get('protocol', '1-crop')}, "
            f"{score.get('precision', 'fp32')} | {_percent(score.get('top1'))} | "
            f"{_percent(interval[0])} to {_percent(interval[1])} | {_percent(score.get('top5'))} | "
            f"{_number(score.get('loss'), '.4f')} | {seen_from_json(score.get('seen'))} |"
        )
    if any(score.get("selected_on_test") for score in bundle.scores.values()):
        rows.append("\nIt was selected by looking at test pictures, so its scores are too good.")
    return "\n".join(rows)


def _data(bundle: Bundle, hashes: bool) -> str:
    data, lines = bundle.data or {}, []
    if not data:
        lines.append("The file does not say what it was trained on.")
    else:
        uses = (("train", "train on"), ("val", "validate on"))
        counts = [f"{data[part]:,} to {use}" for part, use in uses if isinstance(data.get(part), int)]
        where = f"`{os.path.basename(str(data['path']))}`" if data.get("path") else "pictures given from Python"
        lines.append(f"Trained on {where}{': ' if counts else ''}{', '.join(counts)}.")
        if data.get("fingerprint"):
            lines.append(f"Fingerprint of the data: `{data['fingerprint']}`.")
    known = "nothing" if bundle.seen is None else bundle.seen.known_by
    if hashes:
        lines.append(
            "Beside the weights lie hashes of the training pictures (`seen.safetensors`). By them reslearn refuses to "
            "score the model on pictures that it was trained on. No picture can be made from them; who has a picture "
            "can tell whether it was among them."
        )
    elif known == "nothing":
        lines.append("What it has seen in training is not kept, so a score on other pictures may be of seen ones.")
    return "\n\n".join(lines)


def _training(bundle: Bundle) -> str:
    recipe = bundle.recipe
    if not recipe:
        source = bundle.source or {}
        return f"How it was trained is told at {source['recipe']}." if "recipe" in source else "Not recorded."
    budget = next((f"{recipe[name]:g} {name}" for name in BUDGETS if recipe.get(name)), "")
    lines = [
        f"Recipe `{recipe.get('name')}` ({recipe.get('source')}): {budget}, batches of {recipe.get('batch_size')}, "
        f"{recipe.get('optimizer')}, learning rate {rate_of(recipe)}, schedule {recipe.get('schedule')}."
    ]
    if departures := recipe.get("departures"):
        lines.append("It departs from its source: " + "; ".join(map(str, departures)) + ".")
    return "\n\n".join(lines)


def _calibration(bundle: Bundle) -> str:
    lines = ["Not calibrated: its probabilities are those of the softmax."]
    if bundle.temperature is not None:
        lines = [f"Logits are divided by the temperature {bundle.temperature:.4g} before the softmax."]
    if bundle.threshold is not None:
        lines.append(f"Answers below a probability of {bundle.threshold:.4g} are given as `unknown`.")
    return "\n\n".join(lines)


def _limits(bundle: Bundle) -> str:
    prepare = bundle.preprocess
    cut = {
        "crop": f"resized to {prepare.resize} pixels on the shorter side, the centre of {prepare.size} pixels cut out",
        "squash": f"squashed to {prepare.size} x {prepare.size} pixels",
        "pad": f"resized to {prepare.size} pixels on the longer side and padded",
    }[prepare.mode]
    return (
        f"- It knows its {bundle.num_classes:,} classes alone: any other picture is given to one of them"
        f"{', or is unknown' if bundle.threshold is not None else ''}.\n"
        f"- Pictures are {cut} ({prepare.interpolation}); what is lost by that it cannot see.\n"
        "- Scores hold for pictures like those that they were taken on, not for other cameras, places or times."
    )


def _use(bundle: Bundle, name: str, layout: str) -> str:
    """How it is loaded: by its repository's name, OWNER/REPO, or from its folder where it has no repository yet."""
    repository = "/" in name
    where, theirs = (f"hf://{name}", f"hf-hub:{name}") if repository else ("FOLDER", "local-dir:FOLDER")
    beside = "or the folder that this file lies in" if repository else "the folder that this file lies in"
    lines = [
        "```python\nimport reslearn\n\n"
        f'model = reslearn.load("{where}")  # {beside}\n'
        'print(reslearn.predict(model, "picture.jpg")[0].label)\n```'
    ]
    if layout == "timm":
        folder = 'From a folder: `timm.create_model("local-dir:FOLDER", pretrained=True)`. ' if repository else ""
        lines.append(
            f'```python\nimport timm\n\nnet = timm.create_model("{theirs}", pretrained=True).eval()\n```\n\n'
            f"{folder}timm gives logits; temperature and threshold are reslearn's."
        )
    return "\n\n".join(lines)


def _percent(share: Any) -> str:
    return "-" if not isinstance(share, (int, float)) else f"{100 * share:.2f} %"


def _number(value: Any, form: str) -> str:
    return "-" if not isinstance(value, (int, float)) else format(value, form)


def _yaml(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Mappings and lists as YAML; what is in them as JSON, which is YAML."""
    lines: list[str] = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            lines += [f"{indent}{key}:", *_yaml(item, indent + "  ")]
        elif isinstance(item, list):
            lines.append(f"{indent}{key}:")
            for one in item:
                if isinstance(one, Mapping):
                    first, *rest = _yaml(one, indent + "  ")
                    lines += [f"{indent}- {first.strip()}", *rest]
                else:
                    lines.append(f"{indent}- {_scalar(one)}")
        else:
            lines.append(f"{indent}{key}: {_scalar(item)}")
    return lines


def _scalar(value: Any) -> str:
    plain = isinstance(value, str) and value.replace("-", "").replace(".", "").isalnum() and value[0].isalpha()
    return str(value) if plain and value.isascii() else json.dumps(value, ensure_ascii=False)
