"""In what two models differ beside their answers: network, recipe, weights they began with, data, preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..bundle.file import Loaded
from ..spec.codec import to_json
from ..spec.errors import UserError
from ..spec.rates import rate_of
from ..train.records.run import read_record
from .subject import run_folder

MOST = 12  # lines, of each kind


@dataclass(frozen=True)
class Difference:
    """One thing, and what it is on either side."""

    what: str  # `recipe.lr`, `network.shortcut`, `weights`, `data.path`, ...
    a: object
    b: object
    words: tuple[str, str] | None = None  # of a value that is not the whole truth: how either side says it

    def __str__(self) -> str:
        return f"{self.what}: {' / '.join(self.shown())}"

    def to_json(self) -> dict[str, Any]:
        """The values."""
        return {"what": self.what, "a": to_json(self.a), "b": to_json(self.b)}

    def shown(self) -> tuple[str, str]:
        """Both sides as texts."""
        if self.words is not None:
            return self.words
        return _shown(self.a), _shown(self.b)


def differences(a: Loaded, b: Loaded) -> tuple[Difference, ...]:
    """What is known of both and not the same, first what was trained, then how, from what, and on what."""
    one, other = _facts(a), _facts(b)
    found = []
    for kind in one:
        names = dict.fromkeys([*one[kind], *other[kind]])
        lines = [
            Difference(f"{kind}.{name}" if name else kind, one[kind].get(name), other[kind].get(name), words)
            for name in names
            for words in [_rates(one[kind], other[kind]) if (kind, name) == ("recipe", "lr") else None]
            if one[kind].get(name) != other[kind].get(name) or (words and words[0] != words[1])
        ]
        found += lines[:MOST]
    return tuple(found)


def _rates(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[str, str] | None:
    """The rates of two recipes in words, where both have one."""
    return (rate_of(a), rate_of(b)) if "lr" in a and "lr" in b else None


def _facts(loaded: Loaded) -> dict[str, dict[str, Any]]:
    bundle = loaded.bundle
    specs = [to_json(member.spec) for member in bundle.members]
    data = {name: value for name, value in (bundle.data or {}).items() if name in ("path", "fingerprint", "train")}
    return {
        "network": dict(_flat(specs[0])) if len(specs) == 1 else {"": " + ".join(spec["name"] for spec in specs)},
        "recipe": dict(_flat(bundle.recipe or {})),
        "weights": {"": _weights(loaded)},
        "data": data,
        "preprocess": dict(_flat(to_json(bundle.preprocess))),
    }


def _weights(loaded: Loaded) -> str | None:
    """What a run began with; None where it began from nothing, or nobody says."""
    folder = run_folder(loaded)
    if folder is None or not (folder / "run.json").exists():
        return None
    try:
        return read_record(folder).weights
    except UserError:
        return None


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        elif name not in ("source", "departures"):
            yield before + name, value


def _shown(value: Any) -> str:
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
