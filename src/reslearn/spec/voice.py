"""In whose words advice is given: options of a command, or arguments from Python.

A message that says what to change names it as the one who reads it would write it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Voice:
    """How options and fields of the recipe are written where the words are read."""

    python: bool = False
    own: Mapping[str, str] = field(default_factory=dict)  # fields of the recipe that have an option of their own
    sets: bool = True  # whether any other field can be set

    def option(self, name: str, value: object = "") -> str:
        """`--val-fraction 0.2` or `val_fraction=0.2`; without a value `--val-fraction`, `val_fraction=...`."""
        if self.python:
            return f"{name}={'...' if value == '' else self._shown(value)}"
        return f"--{name.replace('_', '-')} {self._shown(value)}".strip()

    def field(self, name: str, value: object = "") -> str:
        """`--set lr=0.1`, `reslearn.recipe(..., lr=0.1)` or, of a command that has one, its own option."""
        if name in self.own:
            return f"{self.own[name]} {self._shown(value)}".strip()
        shown = "..." if value == "" else self._shown(value)
        if not self.python:
            return f"--set {name}={shown}"
        outer, dot, inner = name.partition(".")
        given = f"{{{inner!r}: {shown}}}" if dot else shown
        return f"reslearn.recipe(..., {outer}={given})"

    def fields(self, **values: object) -> str:
        """Several at once: `--set batch_size=16 --set lr=0.05`, `reslearn.recipe(..., batch_size=16, lr=0.05)`."""
        if not self.python:
            return " ".join(self.field(name, value) for name, value in values.items())
        return f"reslearn.recipe(..., {', '.join(f'{name}={self._shown(value)}' for name, value in values.items())})"

    def name(self, name: str) -> str:
        """What a field of the recipe is called."""
        return self.own.get(name, name)

    def call(self, name: str, *given: object) -> str:
        """`reslearn crossval` or `reslearn.crossval`; with what it is given, `reslearn resume runs/a`."""
        if self.python:
            return f"reslearn.{name}" + (f"({', '.join(repr(str(one)) for one in given)})" if given else "")
        return " ".join(["reslearn", name, *map(str, given)])

    def _shown(self, value: object) -> str:
        if isinstance(value, float):
            return f"{value:g}"
        if value is None:
            return "None" if self.python else "null"
        return repr(value) if self.python and isinstance(value, str) and value else str(value)


COMMAND = Voice()
PYTHON = Voice(python=True)

# Options that are given without a value, and what others are said to take in messages.
FLAGS = {
    "allow-different-numerics", "allow-seen", "allow-urls", "block", "cam", "content", "details", "dry-run",
    "fields", "find-lr", "forget-pictures", "greedy", "json", "known-classes", "layers", "logits", "measure",
    "no-cache", "no-verify", "only-unseen", "overwrite", "private", "prune", "reload", "retrain", "strict",
    "tensorboard", "write", "yes",
}  # fmt: skip
OTHERWISE = {"class": "of_class", "member-weights": "weights", "pictures": "shown"}
_COMMAND = re.compile(r"(?:reslearn|pip|npm|torchrun) [a-z-][^;,)`]*")
_OUT = re.compile(r"(?<![\w-])-o (?=\S)")
_SET = re.compile(r"(?<![\w-])--set(?:: | (?=[\w.*]+))")
_OPTION = re.compile(r"(?<![\w-])--(?P<name>[a-z][a-z-]*[a-z])(?: (?P<value>[^\s;,()][^\s;,)]*(?<!:)))?(?P<colon>:)?")
_VALUES = {
    "all", "bf16", "both", "cam", "compiled", "ema", "features", "float", "folder", "fp16", "fp32", "gradcam",
    "html", "int8", "jpeg", "onnx", "openvino", "original", "parquet", "plain", "raw", "skip", "stop", "tar",
    "test", "torch", "train", "triton", "uint8", "val",
}  # fmt: skip


def as_arguments(text: str) -> str:
    """A message that names options of a command, as it is said to who called a function.

    `--val-fraction 0.1` is `val_fraction=0.1`, `--set lr=0.1` is `lr=0.1`; a command to be typed stays as it is.
    """
    parts, end = [], 0
    for command in _COMMAND.finditer(text):
        parts += [_argued(text[end : command.start()]), command[0]]
        end = command.end()
    return "".join([*parts, _argued(text[end:])])


def _argued(text: str) -> str:
    return _OPTION.sub(_argument, _SET.sub("", _OUT.sub("--out ", text)))


def _argument(match: re.Match[str]) -> str:
    option, value, colon = match["name"], match["value"], match["colon"] or ""
    name = OTHERWISE.get(option, option.replace("-", "_"))
    rest = "" if value is None else f" {value}"
    if option in FLAGS or option.startswith("no-"):
        return f"{name.removeprefix('no_')}={not option.startswith('no-')}{rest}{colon}"
    if value == "is":
        return f"{name} is{colon}"
    if value is None or not (colon or value in _VALUES or re.match(r"[^a-z]|.*[./]", value)):
        return f"{name}=...{rest}{colon}"
    bare = re.fullmatch(r"[A-Z]+|[\d.e+-]+|['\"{(].*", value)
    return f"{name}={value if bare else repr(value)}{colon}"
