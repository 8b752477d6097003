"""Options that come together in several commands, written once: such a command has one parameter for all of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.allocator import tune
from ..spec.codec import parse_assignments
from ..spec.errors import UserError
from . import options as opt
from .config import OPTION_OF

if TYPE_CHECKING:
    from ..jobs.resolve import TrainRequest
    from ..measure.scoring import Scoring
    from ..spec.choices import Width


@dataclass(frozen=True, kw_only=True)
class Training:
    """What to train and how, as options say it; their names are the fields'."""

    model: opt.Model = None
    recipe: opt.Recipe = None
    epochs: opt.Epochs = None
    assignments: opt.Assignments = None
    seed: int = 0
    weights: opt.Weights = None
    prefer: opt.PreferOption = None
    image_size: opt.ImageSize = None
    split_seed: int = 0
    precision: opt.TrainPrecision = None
    on_bad_file: opt.BadFile = "stop"
    device: opt.TrainDevice = None
    workers: opt.TrainWorkers = None

    def words(self, what: str) -> str:
        """What a command announces: its network, `what` it does with it, the recipe."""
        chosen = "" if self.model and self.recipe else ", chosen from data and machine"
        return f"{self.model or 'a network'} {what} with {self.recipe or 'a recipe'}{chosen}"

    def request(self, data: str, *, val_fraction: float = 0.1, forget_pictures: bool = False) -> TrainRequest:
        """What `resolve` takes. To be called first: torch, once loaded, cannot be tuned."""
        tuned = tune()
        from ..jobs.resolve import TrainRequest

        return TrainRequest(
            data,
            self.model,
            self.recipe,
            epochs=self.epochs,
            changes=self._changes(),
            image_size=self.image_size,
            seed=self.seed,
            val_fraction=val_fraction,
            split_seed=self.split_seed,
            precision=self.precision,
            tuned_allocator=tuned,
            on_bad_file=self.on_bad_file,
            forget_pictures=forget_pictures,
            weights=self.weights,
            prefer=self.prefer,
        )

    def _changes(self) -> dict[str, str]:
        """What `--set` assigns, and the settings that have an option of their own."""
        from ..runtime.device import present

        changes = parse_assignments(self.assignments or [])
        if self.device is not None:
            present(self.device)
        for name, path in OPTION_OF.items():
            value, there = getattr(self, name), next((p for p in (path, f"recipe.{path}") if p in changes), None)
            if value is not None and there is not None:
                option = f"--{name.replace('_', '-')} {value}"
                raise UserError(f"{option}: --set {there}={changes[there]} says it, too; leave one of them out")
            if value is not None and name in ("device", "workers"):
                changes[path] = str(value)
        return changes


@dataclass(frozen=True, kw_only=True)
class Looking:
    """On what and how pictures are scored, as options say it."""

    engine: opt.EngineOption = None
    device: opt.Device = None
    workers: opt.Workers = 0
    allow_seen: opt.AllowSeen = False
    only_unseen: opt.OnlyUnseen = False

    def scoring(
        self,
        split: str | None,
        *,
        protocol: str = "1-crop",
        precision: Width | None = None,
        batch_size: int = 256,
        cache: str | Path | None = None,
    ) -> Scoring:
        """What the jobs take, on a device that is here. To be called first: torch, once loaded, cannot be tuned."""
        tune()
        from ..measure.scoring import Scoring
        from ..runtime.device import present

        return Scoring(
            split, protocol, precision, present(self.device, self.engine), self.workers, batch_size, cache,
            self.allow_seen, self.only_unseen, self.engine,
        )  # fmt: skip


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """A command as typer reads it: in place of a parameter of a class of this module, the class's fields."""
    own = inspect.signature(command, eval_str=True).parameters
    folded = {name: one.annotation for name, one in own.items() if one.annotation in (Training, Looking)}

    @functools.wraps(command)
    def unfolded(**given: object) -> None:
        for name, kind in folded.items():
            given[name] = kind(**{field.name: given.pop(field.name) for field in fields(kind)})
        command(**given)

    options: list[inspect.Parameter] = []
    for name, parameter in own.items():
        kind = folded.get(name)
        options += inspect.signature(kind, eval_str=True).parameters.values() if kind else [parameter]
    options = [option.replace(kind=inspect.Parameter.KEYWORD_ONLY) for option in options]
    vars(unfolded)["__signature__"] = inspect.Signature(options)
    unfolded.__annotations__ = {option.name: option.annotation for option in options}
    return unfolded
