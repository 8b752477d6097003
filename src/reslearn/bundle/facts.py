"""What a sealed file says of itself to people who only see its answers: on the web page, in the one-file page."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

from ..spec.text import counted
from .header import Bundle


def facts_of(bundle: Bundle) -> dict[str, Any]:
    """JSON values: network, classes, scores with intervals, preprocessing, what it was trained on, and the checksum.

    Of paths it has the last part alone: the page may be anybody's to see.
    """
    recipe, source = bundle.recipe or {}, bundle.source or {}
    return {
        "network": " + ".join(member.spec.name for member in bundle.members),
        "classes": list(bundle.classes or map(str, range(bundle.num_classes))),
        "preprocess": asdict(bundle.preprocess),
        "scores": [
            {
                "split": split, "images": score["images"], "top1": score["top1"],
                "interval": list(score["top1_interval"]), "protocol": score.get("protocol", "1-crop"),
            }
            for split, score in bundle.scores.items()
            if all(score.get(name) is not None for name in ("images", "top1", "top1_interval"))
        ],
        "trained_on": _trained_on(bundle.data or {}),
        "recipe": recipe.get("name"),
        "weights": source.get("weights"),
        "temperature": bundle.temperature,
        "threshold": bundle.threshold,
        "sha256": bundle.sha256,
    }  # fmt: skip


def _trained_on(data: dict[str, Any]) -> str | None:
    """`flowers: 3,060 pictures, 340 to choose on`; None where the file does not say."""
    if not data:
        return None
    name = re.split(r"[/\\]", str(data["path"]).rstrip("/\\"))[-1] if data.get("path") else "pictures given from Python"
    counts = [counted(data["train"], "picture")] if isinstance(data.get("train"), int) else []
    counts += [f"{data['val']:,} to choose on"] if data.get("val") and isinstance(data["val"], int) else []
    return f"{name}{': ' if counts else ''}{', '.join(counts)}"
