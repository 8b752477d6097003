"""The learning-rate range test (1506.01186): a short probe in which the rate grows from step to step.

The loss falls where a rate teaches, and rises where it is too high. Everything is drawn from the seed; nothing is
written, and nothing of the probe goes into a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ..data.loaders import train_loader
from ..data.preprocess import Normalise
from ..nets.build import create_model
from ..report.values import Fact
from ..runtime.device import weight_type
from ..runtime.environment import command_line, environment
from ..runtime.switches import owned
from ..spec.errors import UserError, check_at_least
from ..spec.rates import rate_words, to_set
from ..spec.text import counted
from ..spec.voice import as_arguments
from ..train.update import prepare_update
from .resolve import Plan

STEPS = 100
RANGE = (1e-5, 3.0)  # rates, times the batch's share where the recipe scales them
SMOOTH = 0.9  # of the loss before, in its running mean
TOO_MUCH = 3.0  # times the least loss, at which the probe ends
BELOW = 4.0  # the suggested rate lies so many times below the one of the least loss


@dataclass(frozen=True)
class RangeTest:
    """What came of it. Rates are values of the recipe's `lr`, as `--set lr=` takes them, at `lr_batch` if any."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]  # running mean, nats
    lowest: float  # the rate at the least loss
    diverged: float | None  # the rate at which it had risen beyond use; None: it never did
    worse: float | None  # the rate, above that of the least, at which it climbs above where it began; None: it does not
    suggested: float
    recipe_lr: float
    steps: int
    seed: int
    batch_size: int | None = None  # with which the steps were taken
    lr_batch: int | None = None

    def __repr__(self) -> str:
        return f"RangeTest({as_arguments(self.words)})"

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    @property
    def words(self) -> str:
        """The outcome in a sentence."""
        last, least = self.losses[-1], min(self.losses)
        if self.diverged:
            end = f"at {self.diverged:.2g} it is {TOO_MUCH:g} times that, where the test ends"
        elif self.worse:
            end = f"at {self.worse:.2g} it climbs above where it began"
        elif last > least:
            end = f"it ends at {last:.2f}, below where it began"
        else:
            end = f"and falls to the last, so a higher one may do, too (the test goes up to {self.rates[-1]:.2g})"
        has, found = self.said(self.recipe_lr), f"the loss is least at {self.said(self.lowest)} ({least:.2f}), {end}"
        if self.suggested == float(f"{self.recipe_lr:.1g}"):
            return f"{found}; the recipe has {has}: keep it (--set lr={self.suggested:g})"
        comes_to = to_set(self.suggested, self.batch_size or 1, self.batch_size and self.lr_batch)
        return f"{found}; the recipe has {has}; try --set lr={self.suggested:g}{comes_to}"

    def said(self, lr: float) -> str:
        """A rate, and what it comes to where that is another."""
        return rate_words(float(f"{lr:.3g}"), self.batch_size or 1, self.batch_size and self.lr_batch)


def find_lr(
    plan: Plan,
    *,
    steps: int = STEPS,
    least: float = RANGE[0],
    most: float = RANGE[1],
    watch: Callable[[int, int], None] | None = None,
) -> RangeTest:
    """Train a fresh network of `plan` for `steps` steps, its rate growing from `least` to `most`.

    Raises `UserError` where the first steps already give no finite loss.
    """
    check_at_least("steps", steps, 10, 10**6)
    if not 0 < least < most < math.inf:
        raise UserError(f"the rates go from {least:g} to {most:g}; give 0 < least < most")
    start, seed = plan.start, plan.request.seed
    recipe, settings = replace(start.recipe, bn_sync=False), start.settings
    scale = recipe.peak_lr / recipe.lr  # what the batch size makes of a rate
    normalise = Normalise(start.preprocess, start.mean_image, dtype=weight_type(settings)).to(settings.device)
    rates, losses = [], []
    with owned(settings.threads), torch.random.fork_rng():
        torch.manual_seed(seed)
        net = create_model(start.spec)
        if start.origin is not None:
            net.load_state_dict({**net.state_dict(), **start.origin.fitted.state})
        loader = train_loader(
            plan.train_data,
            normalise=normalise,
            augment=recipe.augment,
            batch_size=recipe.batch_size,
            seed=seed,
            workers=settings.workers,
            kind=settings.loader,
            on_bad_file=plan.request.on_bad_file,
        )
        update = prepare_update(net, recipe, replace(settings, compile=False), plan.train_data)
        update.train_mode()
        mean, best = 0.0, math.inf
        for step, batch in enumerate(loader.batches(0, steps)):
            rate = least * (most / least) ** (step / (steps - 1))
            loss, _ = update(batch, rate * scale, 1.0)
            mean = SMOOTH * mean + (1 - SMOOTH) * loss
            smooth = mean / (1 - SMOOTH ** (step + 1))
            if not math.isfinite(smooth):
                break
            rates.append(rate)
            losses.append(smooth)
            best = min(best, smooth)
            if watch is not None:
                watch(step + 1, steps)
            if step > steps // 5 and smooth > TOO_MUCH * best:
                break
    found = outcome(rates, losses, asked=steps, recipe_lr=recipe.lr, seed=seed)
    return replace(found, batch_size=recipe.batch_size, lr_batch=recipe.lr_batch)


def outcome(rates: Sequence[float], losses: Sequence[float], *, asked: int, recipe_lr: float, seed: int) -> RangeTest:
    """Read the curve: least loss, where it broke, and a rate well below both."""
    if len(rates) < asked // 10:
        raise UserError(
            "the loss is no finite number from the start, whatever the rate; check the pictures (reslearn data check) "
            "and the precision (--precision fp32)"
        )
    at = min(range(len(losses)), key=losses.__getitem__)
    broke = len(rates) < asked
    after = list(zip(rates, losses, strict=True))[at:]
    return RangeTest(
        rates=tuple(float(f"{rate:.4g}") for rate in rates),
        losses=tuple(round(loss, 5) for loss in losses),
        lowest=float(f"{rates[at]:.3g}"),
        diverged=float(f"{rates[-1]:.3g}") if broke else None,
        worse=next((float(f"{rate:.3g}") for rate, loss in after if loss > losses[0]), None),
        suggested=float(f"{rates[at] / BELOW:.1g}"),
        recipe_lr=recipe_lr,
        steps=len(rates),
        seed=seed,
    )


def drawn(found: RangeTest, *, width: int = 60, height: int = 12) -> list[str]:
    """The curve in characters, for a terminal: loss upwards, rate to the right on a logarithmic axis."""
    low, high = min(found.losses), min(max(found.losses), 2 * found.losses[0] + 1e-9)
    span = max(high - low, 1e-9)
    rows = [[" "] * width for _ in range(height)]
    for i, loss in enumerate(found.losses):
        column = round(i * (width - 1) / max(len(found.losses) - 1, 1))
        row = round((high - min(loss, high)) / span * (height - 1))
        rows[row][column] = "*"
    labels = [f"{high - span * row / (height - 1):7.3f}" if row in (0, height // 2, height - 1) else " " * 7
              for row in range(height)]  # fmt: skip
    lines = [f"{label} |{''.join(row).rstrip()}" for label, row in zip(labels, rows, strict=True)]
    left, right = f"{found.rates[0]:.1e}", f"{found.rates[-1]:.1e}"
    return [*lines, f"{'':7} +{'-' * width}", f"{'':9}{left}{'learning rate':^{width - len(left) - len(right)}}{right}"]


def _end(found: RangeTest) -> Fact:
    """Up to where it can be trained."""
    if found.diverged:
        return Fact(label="breaks at", value=f"{found.diverged:g}", note="three times the least loss")
    if found.worse:
        return Fact(label="too high from", value=f"{found.worse:g}", note="the loss climbs above where it began")
    return Fact(label="highest tried", value=f"{found.rates[-1]:g}", note="the loss stays below where it began")


def write_page(path: str, found: RangeTest, plan: Plan) -> None:
    """The page of a range test."""
    from ..report.pages import render
    from ..report.values import RateCurve, Report
    from ..runtime.replacing import write_page as write
    from .pages.tables import environment_table, fields_table, heading

    page = Report(
        name=f"Learning rate for {heading(plan.start.spec.name, plan.data.path)}",
        summary=f"{plan.data.path or 'pictures given from Python'}, recipe {plan.start.recipe.name}, "
        f"{counted(found.steps, 'step')} from seed {found.seed}",
        verdict=(found.words,),
        facts=(
            Fact(label="suggested", value=f"{found.suggested:g}", note=f"--set lr={found.suggested:g}"),
            Fact(label="least loss at", value=f"{found.lowest:g}", note=f"{min(found.losses):.3f} nats"),
            _end(found),
            Fact(label="recipe", value=found.said(found.recipe_lr), note=plan.start.recipe.name),
        ),
        rates=RateCurve(rate=found.rates, loss=found.losses, suggested=found.suggested),
        command=command_line(),
        tables=(
            fields_table("Settings", plan.start.settings),
            environment_table(environment()),
        ),
    )
    write(path, render(page))
