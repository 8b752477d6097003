"""The stated rules by which a published number, or a published order of two nets, is said to be met.

A number of a paper's own is judged only by full runs on the paper's own data, by the paper's statistic over at least as
many runs for a "best"; anything less is `partial`, and the smoke tier, which only shows that everything works, is `not
judged`. So is, at every tier, a number that a paper quotes from elsewhere or measured with another pipeline: it is
context. It agrees when |ours - published| <= 2 s sqrt(1/n + 1/m) + the printed rounding,
with n our runs, m the paper's, and s the largest of our standard deviation (n >= 3), the published one, and 0.15
points (0.25 on CIFAR-100), the spread that papers report for such nets.

An order ("worse", "better") holds when the mean errors differ in the published direction by more than two standard
errors of the counts behind them, is contrary when they do so the other way, and is unclear in between. "Not worse"
holds unless the error is higher by more than that. Training error is the running mean over the last epoch, on augmented
pictures. One seed's luck is in neither count: an order of two nets trained once each is a hint.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from ..cells.store import Result
from ..published.orders import Order
from ..published.tables import Claim

Verdict = Literal["agrees", "differs", "partial", "not judged", "not run"]
Holds = Literal["holds", "contrary", "unclear", "not judged", "not run"]
SMOKE = "the smoke tier only shows that everything works"

# (training pictures, test pictures) of the papers' data: what a full run must have used.
SIZES: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "cifar10": (50_000, 10_000),
        "cifar100": (50_000, 10_000),
        "imagenet": (1_281_167, 50_000),
        "svhn": (604_388, 26_032),
    }
)
TYPICAL = {"cifar100": 0.25}
FAIL = 20.0  # P2: "fail" is a test error above this


@dataclass(frozen=True)
class Ours:
    """Our value for a claim: n runs at one tier on one data set."""

    tier: str
    data: str
    n: int
    value: float  # by the claim's statistic
    mean: float
    std: float | None  # None for one run
    diverged: int  # runs whose loss became no number; they are no part of the value


@dataclass(frozen=True)
class Judged:
    """A claim, what we have for it, and the verdict with the number behind it."""

    claim: Claim
    ours: Ours | None
    verdict: Verdict
    why: str


def judge(claim: Claim, groups: Sequence[Sequence[Result]]) -> Judged:
    """The verdict on a published error. `groups`: our results, those of one tier and data set together."""
    if claim.outside:
        return Judged(claim, None, "not run", f"outside: {claim.outside}")
    found = [(ours, group) for group in groups if (ours := our_value(claim, group)) is not None]
    if not found:
        return Judged(claim, None, "not run", claim.context)
    ours, group = max(found, key=lambda pair: rank(pair[1][0]))
    if claim.context or group[0].tier == "smoke":
        return Judged(claim, ours, "not judged", claim.context or SMOKE)
    gap = _unfit(claim, group)
    if gap:
        return Judged(claim, ours, "partial", gap)
    if claim.value is None:
        met = ours.value > FAIL or ours.diverged > 0
        return Judged(claim, ours, "agrees" if met else "differs", f"fail means above {FAIL:g} %")
    slack = tolerance(claim, ours)
    verdict: Verdict = "agrees" if abs(ours.value - claim.value) <= slack else "differs"
    return Judged(claim, ours, verdict, f"{ours.value - claim.value:+.2f}, allowed {slack:.2f}")


def our_value(claim: Claim, group: Sequence[Result]) -> Ours | None:
    """What a group of results gives for a claim, by the claim's own statistic; None without the claim's protocol."""
    key = "top5_error" if claim.quantity == "top5_error" else "top1_error"
    scores = [result.test.get(claim.protocol or "1-crop") for result in group if result.diverged is None]
    values = [float(score[key]) for score in scores if score is not None and score[key] is not None]
    diverged = sum(result.diverged is not None for result in group)
    if not values and not diverged:
        return None
    if not values:
        values = [100.0]
    if claim.statistic == "best":
        value = min(values)
    else:
        value = statistics.median(values) if claim.statistic == "median" else statistics.fmean(values)
    return Ours(
        tier=group[0].tier_label,
        data=str(group[0].data["name"]),
        n=len(values),
        value=value,
        mean=statistics.fmean(values),
        std=statistics.stdev(values) if len(values) > 1 else None,
        diverged=diverged,
    )


def tolerance(claim: Claim, ours: Ours) -> float:
    """The largest difference that still agrees, in points of error."""
    spread = max(ours.std or 0.0 if ours.n >= 3 else 0.0, claim.std or 0.0, TYPICAL.get(claim.data or "", 0.15))
    return 2 * spread * math.sqrt(1 / ours.n + 1 / claim.runs) + claim.half_digit


def _unfit(claim: Claim, group: Sequence[Result]) -> str:
    """Why these results cannot settle a claim; empty when they can."""
    first = group[0]
    if first.tier != "full":
        return f"{first.tier_label} tier"
    sizes = (int(first.data["train"]), int(first.data["test"]))
    if claim.data and sizes != SIZES[claim.data]:
        return f"{sizes[0]:,} training and {sizes[1]:,} test pictures, not the paper's"
    if claim.statistic == "best" and len(group) < claim.runs:
        return f"the best of {claim.runs} runs, and these are {len(group)}"
    return ""


def rank(result: Result) -> tuple[int, float, int]:
    """Which of two results says more: tier, then fraction, then pictures."""
    return (("smoke", "short", "full").index(result.tier), result.fraction, int(result.data["train"]))


@dataclass(frozen=True)
class Ordered:
    """A published order of two nets, and our mean errors in percent."""

    order: Order
    subject: float | None
    other: float | None
    holds: Holds


def check_order(order: Order, subject: Sequence[Result], other: Sequence[Result]) -> Ordered:
    """Whether a claimed order holds in results of one tier on one data set; a diverged run counts as 100 % error. The
    smoke tier judges none."""
    if not subject or not other:
        return Ordered(order, None, None, "not run")
    a, b = (statistics.fmean(_error(order, result) for result in group) for group in (subject, other))
    if subject[0].tier == "smoke":
        return Ordered(order, a, b, "not judged")
    pictures = int(subject[0].data["train" if order.metric == "train_error" else "test"])
    noise = 2 * math.sqrt(_variance(a, pictures * len(subject)) + _variance(b, pictures * len(other)))
    gap = b - a if order.relation == "better" else a - b
    if order.relation == "not worse":
        return Ordered(order, a, b, "holds" if gap <= noise else "contrary")
    return Ordered(order, a, b, "holds" if gap > noise else "contrary" if gap < -noise else "unclear")


def _variance(error: float, pictures: int) -> float:
    """Of an error in percent counted over so many pictures (binomial)."""
    return error * (100 - error) / pictures


def _error(order: Order, result: Result) -> float:
    value = result.train_error if order.metric == "train_error" else result.test_error
    return 100.0 if value is None else value
