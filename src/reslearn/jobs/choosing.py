"""What is not asked for is chosen: network, recipe, size, budget and batch, by a short table of facts.

The table stands in docs/en/guide/training.md, too. `train`, `crossval` and `plan` choose alike, and print what they
chose. It needs no stopwatch: what a training would take is computed from the machine's rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..data.dataset import Dataset, Indices
from ..data.formats.decode import formats
from ..data.pictures.declared import declared
from ..data.table import as_pictures
from ..runtime.choice import GPU_RATE, SUSTAINED, UNKNOWN, Machine, planned_workload, this_machine, workload
from ..runtime.notes import say
from ..runtime.process_group import from_environment
from ..spec.catalogue import get_spec
from ..spec.net import Spec
from ..spec.rates import for_batch
from ..spec.recipe import Recipe
from ..spec.recipes import BUDGETS, get_recipe
from ..spec.text import counted
from ..spec.voice import COMMAND, Voice

LOOKED_AT = 48  # pictures whose sizes are read
PATIENCE = 600.0  # seconds that a training which nobody asked for in detail may take
PICTURES_SEEN = 20_000  # in a whole training, at least: few pictures are looked at more often
MOST_EPOCHS = 100
BATCHES = 10  # of an epoch, at least, where that leaves a batch of
SMALLEST_BATCH = 8
FEW = 100  # pictures; on fewer a small network learns as little as a large one from nothing, and in seconds
# A rule of thumb, not measured here: 50 layers cost 2.25 times the multiply-adds of 18, and need pictures to repay it.
MANY = 10_000


@dataclass(frozen=True)
class Facts:
    """What the choice follows from."""

    pictures: int  # to train on
    classes: int
    side: int  # of pictures: the median of the shorter sides, in pixels
    gigaflops: float  # that the machine does in a second of training
    world: int = 1  # processes that share a batch
    rates_known: bool = False  # whether the machine's were measured, on it or on its kind


@dataclass(frozen=True)
class Net:
    """A network that may train, the size of its input, and from how many pictures on it learns more than a smaller."""

    model: str
    size: int
    least: int = 0


@dataclass(frozen=True)
class Band:
    """One row of the table: pictures whose side is at most `side`, and what may train on them, the largest first."""

    side: float
    recipe: str
    nets: tuple[Net, ...]


TABLE = (
    Band(20, "demo", (Net("resnet20_cifar", 16),)),
    Band(48, "fast-cifar", (Net("resnet18_w64_cifar", 32, FEW), Net("resnet20_cifar", 32))),
    Band(112, "folder", (Net("resnet18", 96, FEW), Net("resnet20_cifar", 64))),
    Band(
        float("inf"),
        "folder",
        (Net("resnet50", 224, MANY), Net("resnet18", 224, FEW), Net("resnet18", 128, FEW), Net("resnet20_cifar", 64)),
    ),
)
FROM_WEIGHTS = Band(
    float("inf"), "finetune", (Net("resnet50", 224), Net("resnet18", 224), Net("resnet18", 160), Net("resnet18", 128))
)


@dataclass(frozen=True)
class Choice:
    """What was chosen. What the user named is not in it."""

    model: str | None = None
    recipe: str | None = None
    image_size: int | None = None
    changes: Mapping[str, str] = field(default_factory=dict)  # to the recipe
    facts: Facts | None = None
    published: str = ""  # the recipe's own rate and batch in words, where the rate is changed
    seconds: float | None = None  # of training, by the machine's rates; None where these are not known

    def __bool__(self) -> bool:
        return self.facts is not None

    def lines(self, voice: Voice = COMMAND, each: str = "training") -> list[str]:
        """For a person: what was chosen by which facts, how to say otherwise, and how long one of `each` may take."""
        if self.facts is None:
            return []
        facts, chosen, other = self.facts, [], []
        if self.model:
            chosen.append(self.model)
            other.append(voice.option("model"))
        if self.recipe:
            chosen.append(f"recipe {self.recipe}")
            other.append(voice.option("recipe"))
        if self.image_size:
            chosen.append(f"{self.image_size} pixels")
            other.append(voice.option("image_size"))
        if "epochs" in self.changes:
            chosen.append(f"{self.changes['epochs']} epochs")
            other.append(voice.option("epochs"))
        if "batch_size" in self.changes:
            chosen.append(f"batches of {self.changes['batch_size']}")
            other.append(voice.field("batch_size"))
        if "lr" in self.changes:
            chosen.append(f"lr {self.changes['lr']} ({self.published})")
            other.append(voice.field("lr"))
        why = (
            f"{counted(facts.pictures, 'picture')} of {facts.classes} classes, "
            f"{facts.side} pixels on their shorter side, "
            f"{facts.gigaflops:,.0f} GFLOP/s in training"
        )
        lists = "list_models(), reslearn recipes" if voice.python else "reslearn list, recipes"
        if self.seconds is not None:
            why += f"; by that a {each} takes {about(self.seconds)} (an estimate, which {voice.call('plan')} measures)"
        return [f"{', '.join(chosen)}: for {why}", f"yours to change: {', '.join(other)} ({lists})"]

    def tell(self, voice: Voice = COMMAND, each: str = "training") -> None:
        """Say it, before the first step."""
        for line in self.lines(voice, each):
            say(f"chosen    {line}")

    def values(self) -> dict[str, int | float]:
        """The changes to the recipe as numbers."""
        return {name: float(text) if name in ("epochs", "lr") else int(text) for name, text in self.changes.items()}

    def to_json(self) -> dict[str, Any] | None:
        """What `--dry-run` prints of it; None where all was named."""
        if self.facts is None:
            return None
        names = ("model", "recipe", "image_size")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        estimated = {} if self.seconds is None else {"estimated_seconds": round(self.seconds, 1)}
        return given | dict(self.changes) | estimated | {"facts": dict(vars(self.facts))}


def choose(
    facts: Facts,
    *,
    model: str | Spec | None = None,
    recipe: str | Recipe | None = None,
    image_size: int | None = None,
    from_weights: bool = False,
    fixed: frozenset[str] = frozenset(),
    epochs: float | None = None,
    batch_size: int | None = None,
) -> Choice:
    """Fill in what is not named. `fixed` are the fields of the recipe that the user has set, and `epochs`.

    `epochs` and `batch_size` are the budget and the batch that the user has named, if any. A recipe that is named keeps
    its budget, batch and rate; a network that is named keeps its size.
    """
    if model is not None and recipe is not None:
        return Choice()
    band = FROM_WEIGHTS if from_weights else next(band for band in TABLE if facts.side <= band.side)
    changes = {} if recipe is not None else _changes(facts, get_recipe(band.recipe), fixed, batch_size)
    own = get_recipe(band.recipe)
    published = f"{own.lr:g} at batches of {own.batch_size}" if "lr" in changes else ""
    size = None
    if model is None:
        epochs = epochs or float(changes.get("epochs") or get_recipe(recipe or band.recipe).epochs or MOST_EPOCHS)
        fits = (net for net in band.nets if net.least <= facts.pictures and _seconds(facts, net, epochs) <= PATIENCE)
        net = next(fits, band.nets[-1])
        size = None if image_size is not None or from_weights else net.size
        return Choice(net.model, None if recipe else band.recipe, size, changes, facts, published)
    spec = get_spec(model)
    # A recipe with a size of its own (`demo`) must not shrink the pictures of a network that was named.
    size = spec.image_size if image_size is None and get_recipe(band.recipe).image_size is not None else None
    return Choice(None, band.recipe, size, changes, facts, published)


def timed(choice: Choice, spec: Spec, recipe: Recipe, pictures: int) -> Choice:
    """`choice` with how long one process trains what came of it, by rates that are known of this machine."""
    if choice.facts is None or not choice.facts.rates_known or choice.facts.world > 1:
        return choice
    work = planned_workload(spec, recipe, pictures, recipe.image_size or spec.image_size)
    return replace(choice, seconds=work.seconds(choice.facts.gigaflops))


def about(seconds: float) -> str:
    """A time of which no more is known than its size: `under a minute`, `about 8 min`, `about 3 h`."""
    if seconds < 60:
        return "under a minute"
    return f"about {seconds / 60:.0f} min" if seconds < 90 * 60 else f"about {seconds / 3600:.0f} h"


def facts_of(train_data: Dataset, *, machine: Machine | None = None, device: str | None = None) -> Facts:
    """The facts of these training pictures on this machine. Reads the headers of some of them."""
    return Facts(
        pictures=len(train_data),
        classes=len(train_data.classes),
        side=shorter_side(train_data),
        gigaflops=gigaflops(machine, device),
        rates_known=_rates_known(machine, device),
        world=from_environment().size,
    )


def shorter_side(dataset: Dataset) -> int:
    """The median of the shorter sides of some pictures, evenly spread, in pixels; 0 where none can be read."""
    pictures = as_pictures(dataset)
    places = np.unique(np.linspace(0, len(pictures) - 1, min(LOOKED_AT, len(pictures))).astype(np.int64))
    sides = [side for side in (_side(pictures, place) for place in places) if side]
    return int(np.median(sides)) if sides else 0


def gigaflops(machine: Machine | None = None, device: str | None = None) -> float:
    """What a second of training multiplies and adds on this machine, in GFLOP, by its known rates."""
    if device is None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda"):
        return GPU_RATE
    machine = machine or this_machine()
    rates = machine.rates or UNKNOWN.scaled(machine.threads)
    return round(SUSTAINED * max(rates.matrix.values()), 1)


def _rates_known(machine: Machine | None, device: str | None) -> bool:
    """Whether what `gigaflops` says was measured: a GPU's rate and an unknown processor's are taken from others."""
    import torch

    if torch.cuda.is_available() if device is None else device.startswith("cuda"):
        return False
    return (machine or this_machine()).rates is not None


def _side(pictures: Any, place: np.int64 | Indices) -> int:
    """The shorter side of one picture; 0 where it cannot be read, which training will say."""
    try:
        raw = pictures.raw(int(place))
        found = None if raw is None else declared(raw, formats())
        if found is not None and found.width:
            return min(found.width, found.height)
        return int(min(pictures.decode(int(place), raw).shape[:2]))
    except (ValueError, OSError):
        return 0
    except Exception as error:  # Pillow's DecompressionBombError is no ValueError
        if type(error).__name__ != "DecompressionBombError":
            raise
        return 0


def _seconds(facts: Facts, net: Net, epochs: float) -> float:
    return workload(get_spec(net.model), net.size, epochs * facts.pictures).seconds(facts.gigaflops)


def _changes(facts: Facts, recipe: Recipe, fixed: frozenset[str], batch: int | None) -> dict[str, str]:
    """Budget and batch for so many pictures; the rate goes with the batch, also with one that the user has named.

    It is `lr` that is changed, not `lr_batch` set: so whoever sets another `lr` sets what steps are taken with.
    """
    changes: dict[str, str] = {}
    epochs = min(max(round(PICTURES_SEEN / max(facts.pictures, 1)), round(recipe.epochs or 1)), MOST_EPOCHS)
    if not fixed & set(BUDGETS) and epochs != recipe.epochs:
        changes["epochs"] = str(epochs)
    if "batch_size" not in fixed:
        batch = recipe.batch_size
        while batch > SMALLEST_BATCH and batch * BATCHES > facts.pictures:
            batch //= 2
        batch = -(-batch // facts.world) * facts.world
        if batch != recipe.batch_size:
            changes["batch_size"] = str(batch)
    if batch not in (None, recipe.batch_size) and not fixed & {"lr", "lr_batch"}:
        changes["lr"] = f"{for_batch(recipe, batch):g}"
    return changes
