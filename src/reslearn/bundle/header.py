"""The header of a sealed file: the JSON string under `reslearn.bundle` in `model.safetensors`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ..nets.layouts import LAYOUTS
from ..runtime.container import FORMAT, NO_DIGEST
from ..spec.codec import finite, from_json, to_json
from ..spec.errors import UserError
from ..spec.net import Spec, spec_from_json, spec_to_json
from ..spec.preprocess import Preprocess, said
from ..spec.seen import SeenHeader
from .rules import check_bundle

SEEN_FILE = "seen.safetensors"
LAYOUT, BESIDE = "layout", "beside"  # what the header of a repository's file has besides


@dataclass(frozen=True)
class Published:
    """How a repository's file is to be read: in whose names, and the sha256 of the file beside, if there is one."""

    layout: str
    beside: str | None


@dataclass(frozen=True)
class Member:
    """One network of the file; its tensors carry `prefix`. A single net is one member with an empty prefix."""

    spec: Spec
    prefix: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Bundle:
    """What a sealed file says of itself. `softmax` combination: the output is the log of the mean probability.

    `temperature` divides the logits before the softmax and `threshold` is the least probability that `predict`
    answers with; both are fitted on validation pictures, and null until then. What no header may say, `rules` refuses.
    """

    members: tuple[Member, ...]
    preprocess: Preprocess
    classes: tuple[str, ...] | None = None
    combine: Literal["logits", "softmax"] = "logits"
    output: Literal["logits"] = "logits"
    temperature: float | None = None
    threshold: float | None = None
    recipe: dict[str, Any] | None = None
    data: dict[str, Any] | None = None  # path, fingerprint, split sizes of the training data
    scores: dict[str, Any] = field(default_factory=dict)  # split -> an `evaluate` object
    seen: SeenHeader | None = None  # of the tensors that recognise pictures; None in a file of before
    source: dict[str, Any] | None = None  # of the weights it began with: address, licence, sha256
    sealed_whole_since: str | None = None  # the day on which what had been sealed in format 1 was sealed anew
    sha256: str = ""  # of the whole file, these digits aside; filled when saved
    format: int = FORMAT

    def __post_init__(self) -> None:
        check_bundle(self)

    def __repr__(self) -> str:
        nets = " + ".join(member.spec.name for member in self.members)
        return f"Bundle({nets}: {self.num_classes:,} classes, input {self.preprocess.size}, sha256 {self.sha256[:12]})"

    @property
    def num_classes(self) -> int:
        """How many logits come out."""
        return self.members[0].spec.num_classes


def header_to_json(bundle: Bundle) -> str:
    """The header's JSON text, its first field a digest that is still to be filled in.

    Raises `UserError` for a bundle that `header_from_json` would not take: what could not be opened is not sealed.
    """
    text = header_text(bundle)
    header_from_json(json.loads(text), "the header")
    return text


def header_text(bundle: Bundle, *, digest: bool = False) -> str:
    """The same, unchecked. For a `digest`, fields are left out that say what went without saying before there were any.

    Raises `UserError` for what is no JSON.
    """
    value = {f.name: to_json(getattr(bundle, f.name)) for f in fields(bundle) if f.name != "sha256"}
    value["members"] = [{"spec": spec_to_json(m.spec), "prefix": m.prefix, "weight": m.weight} for m in bundle.members]
    if digest:
        value["preprocess"] = said(value["preprocess"])
    if bundle.source is None:
        del value["source"]
    try:
        text = json.dumps(finite(value), allow_nan=False, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"the header of a sealed file holds JSON values alone: {error}") from None
    text = text.encode(errors="backslashreplace").decode()  # names that are not UTF-8, as JSON escapes
    return f'{{"sha256":"{NO_DIGEST}",{text[1:]}'


def header_from_json(data: Mapping[str, Any], where: str) -> Bundle:
    """The header of the file `where` from its parsed JSON. An unknown field or a wrong value is a `UserError`."""
    members = data.get("members")
    if not isinstance(members, list):
        raise UserError(f"{where}: members: expected a list of networks")
    parsed = tuple(_member(member, f"{where}: members {i}") for i, member in enumerate(members))
    try:
        return from_json(Bundle, {**data, "members": parsed}, where)
    except RecursionError:
        raise UserError(f"{where}: its header is nested too deep; the file is not ours") from None


def for_repositories(header: Mapping[str, Any], where: str) -> tuple[dict[str, Any], Published | None]:
    """A header without what only repositories have, and that; None for any other sealed file."""
    plain = dict(header)
    if LAYOUT not in plain:
        return plain, None
    layout, beside = plain.pop(LAYOUT), plain.pop(BESIDE, None)
    if layout not in LAYOUTS or not isinstance(beside, dict) or not beside.keys() <= {SEEN_FILE}:
        raise UserError(f"{where}: its header does not say how its tensors are named; the file is not ours")
    return plain, Published(layout, beside.get(SEEN_FILE))


def _member(data: Any, where: str) -> Member:
    if not isinstance(data, dict) or "spec" not in data:
        raise UserError(f"{where}: expected an object with spec, prefix and weight")
    return from_json(Member, {**data, "spec": spec_from_json(data["spec"], where)}, where)
