"""In whose words advice is given: options of a command, or arguments from Python.

A message that says what to change names it as the one who reads it would write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Voice:
    """How options and fields of the recipe are written where the words are read."""

    python: bool = False
    own: Mapping[str, str] = field(default_factory=dict)  # fields of the recipe that have an option of their own
    sets: bool = True  # whether any other field can be set

    def option(self, name: str, value: object = "") -> str:
        """`--val-fraction 0.2` or `val_fraction=0.2`; without a value `--val-fraction`, `val_fraction=`."""
        if self.python:
            return f"{name}={self._shown(value)}"
        return f"--{name.replace('_', '-')} {self._shown(value)}".strip()

    def field(self, name: str, value: object = "") -> str:
        """`--set lr=0.1`, `reslearn.recipe(..., lr=0.1)` or, of a command that has one, its own option."""
        if name in self.own:
            return f"{self.own[name]} {self._shown(value)}".strip()
        if not self.python:
            return f"--set {name}={self._shown(value)}"
        outer, dot, inner = name.partition(".")
        given = f"{{{inner!r}: {self._shown(value)}}}" if dot else self._shown(value)
        return f"reslearn.recipe(..., {outer}={given})"

    def name(self, name: str) -> str:
        """What a field of the recipe is called."""
        return self.own.get(name, name)

    def call(self, name: str) -> str:
        """`reslearn crossval` or `reslearn.crossval`."""
        return f"reslearn{'.' if self.python else ' '}{name}"

    def _shown(self, value: object) -> str:
        if isinstance(value, float):
            return f"{value:g}"
        if value is None:
            return "None" if self.python else "null"
        return repr(value) if self.python and isinstance(value, str) and value else str(value)


COMMAND = Voice()
PYTHON = Voice(python=True)
