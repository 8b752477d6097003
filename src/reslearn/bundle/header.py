"""The header of a sealed file: the JSON string under `reslearn.bundle` in `model.safetensors`."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ..spec.codec import finite, from_json, to_json
from ..spec.errors import UserError, check_choice
from ..spec.net import Spec, spec_from_json, spec_to_json
from ..spec.preprocess import Preprocess

FORMAT = 1
KEY = "reslearn.bundle"
MEAN_IMAGE = "preprocess.mean_image"  # the tensor's name where `preprocess.mean_image` is not null


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
    answers with; both are fitted on validation pictures, and null until then.
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
    sha256: str = ""  # of all tensors; filled when saved
    format: int = FORMAT

    def __post_init__(self) -> None:
        check_choice("combine", self.combine, ("logits", "softmax"))
        check_choice("output", self.output, ("logits",))
        if not self.members:
            raise UserError("a sealed file holds at least one network; members is empty")
        if len({member.prefix for member in self.members}) < len(self.members):
            raise UserError("two members of a sealed file share a prefix; each needs its own")
        if any(not member.weight >= 0 for member in self.members) or not sum(m.weight for m in self.members) > 0:
            raise UserError("member weights must be numbers of at least 0, and one of them more")
        outputs = {member.spec.num_classes for member in self.members}
        if len(outputs) > 1:
            raise UserError(f"members answer with different numbers of classes: {sorted(outputs)}")
        if self.classes is not None and outputs != {len(self.classes)}:
            raise UserError(f"{len(self.classes)} class names for a network with {outputs.pop()} classes")
        if self.temperature is not None and not self.temperature > 0:
            raise UserError(f"temperature is {self.temperature}; it must be positive")

    @property
    def num_classes(self) -> int:
        """How many logits come out."""
        return self.members[0].spec.num_classes


def header_to_json(bundle: Bundle) -> str:
    """The header's JSON text."""
    value = {f.name: to_json(getattr(bundle, f.name)) for f in fields(bundle)}
    value["members"] = [{"spec": spec_to_json(m.spec), "prefix": m.prefix, "weight": m.weight} for m in bundle.members]
    text = json.dumps(finite(value), allow_nan=False, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode(errors="backslashreplace").decode()  # names that are not UTF-8, as JSON escapes


def header_from_json(text: str, where: str) -> Bundle:
    """Parse the header of the file `where`. A newer format, an unknown field or a wrong value is a `UserError`."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise UserError(f"{where}: its {KEY} header is not a JSON object; the file is damaged, copy it again")
    written = data.get("format")
    if not isinstance(written, int) or written < 1:
        raise UserError(f"{where}: its header names no format; the file is damaged, copy it again")
    if written > FORMAT:
        raise UserError(
            f"{where}: sealed in format {written}, this version of reslearn reads up to {FORMAT}; upgrade reslearn"
        )
    members = data.get("members")
    if not isinstance(members, list):
        raise UserError(f"{where}: members: expected a list of networks")
    parsed = tuple(_member(member, f"{where}: members {i}") for i, member in enumerate(members))
    return from_json(Bundle, {**data, "members": parsed}, where)


def _member(data: Any, where: str) -> Member:
    if not isinstance(data, dict) or "spec" not in data:
        raise UserError(f"{where}: expected an object with spec, prefix and weight")
    return from_json(Member, {**data, "spec": spec_from_json(data["spec"], where)}, where)
