"""Is one model better than another, or is it luck? Paired tests on the same pictures, and plain words for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime import random
from ..spec.errors import UserError

Right = NDArray[np.bool_]  # (seeds, N): was each picture answered rightly by each training of a model
ROUNDS = 10_000
FEW_SEEDS = 2  # trainings, that tell little of how seeds vary
SEED = 0.003  # standard deviation of the accuracy over seeds, at least
CLEAR = 4.0  # such standard deviations of a difference, beyond which a seed does not turn it round


@dataclass(frozen=True)
class Comparison:
    """B against A on the same pictures. Accuracies in 0..1. Difference, interval and p-value are of the same thing: the
    mean over trainings where both models have several, else the first training of each."""

    images: int
    accuracy_a: tuple[float, ...]  # of each training
    accuracy_b: tuple[float, ...]
    difference: float  # B - A
    interval: tuple[float, float]  # 95 %, bootstrap over pictures (and trainings, where there are several of each)
    p_value: float  # two-sided
    test: str  # how the p-value was found
    only_a: int | None  # pictures that A alone gets right; None with several trainings
    only_b: int | None

    def to_json(self) -> dict[str, Any]:
        """Every number, and the verdict."""
        return vars(self) | {"verdict": self.verdict()}

    def verdict(self, a: str = "A", b: str = "B") -> str:
        """One or two sentences for people. Points are those that the better one is ahead by."""
        points = 100 * self.difference
        low, high = sorted((-100 if points < 0 else 100) * edge for edge in self.interval)
        between = f"95 % interval {low:+.2f} to {high:+.2f} points, p = {self.p_value:.2g}"
        better, worse = (b, a) if points > 0 else (a, b)
        scope = self._scope()
        if self.p_value < 0.05 and points != 0:
            return f"{better} is better than {worse} by {abs(points):.2f} points ({between}).{scope}"
        if points == 0:
            return f"{a} and {b} are equally accurate on these {self.images:,} pictures ({between}).{scope}"
        return (
            f"No difference shown: {better} is ahead by {abs(points):.2f} points, which chance alone explains "
            f"({between}).{scope}"
        )

    def _scope(self) -> str:
        """How far another seed could move it: little said of a gap that no seed turns round, more of a narrow one."""
        trainings = min(len(self.accuracy_a), len(self.accuracy_b))
        if trainings > FEW_SEEDS:
            return ""
        if trainings > 1:
            return f" {trainings} trainings of each tell little of how seeds vary; {FEW_SEEDS + 1} or more would."
        of_a_seed = seed_spread(self.accuracy_a[0], self.images)
        times = abs(self.difference) / of_a_seed
        if times >= CLEAR:
            return " This is one training of each, but so large a gap another seed would hardly turn round."
        if times >= CLEAR / 2:
            return (
                f" This is one training of each; another seed may move it by some {100 * of_a_seed:.1f} points, and is "
                "unlikely to turn it round."
            )
        return (
            f" This is one training of each; another seed may move it by as much again (some {100 * of_a_seed:.1f} "
            "points): train more seeds before you believe it."
        )


def seed_spread(accuracy: float, images: int) -> float:
    """What the difference of two trainings that differ in their seed alone may be expected to be, in 0..1.

    Half of what drawing other pictures would do, at least `SEED`: on CIFAR-10 with 10,000 test pictures the standard
    deviation over seeds is 0.2 to 0.4 points (1512.03385, table 6: 0.16 over five runs of the 110-layer net).
    """
    drawn = (max(accuracy * (1 - accuracy), 0.01) / max(images, 1)) ** 0.5
    return float(2**0.5 * max(SEED, drawn / 2))


def compare(a: Sequence[NDArray[np.bool_]], b: Sequence[NDArray[np.bool_]]) -> Comparison:
    """Compare trainings of A with trainings of B: each (N,) whether picture i was answered rightly.

    One training of either: McNemar's exact test on the pictures that only one gets right, of the first training of
    each. Several of both: Welch's t-test on the trainings' accuracies, the unit that varies from run to run.
    Raises `UserError` unless all are of one length.
    """
    right_a, right_b = np.array(list(a), dtype=bool), np.array(list(b), dtype=bool)
    if right_a.ndim != 2 or right_b.ndim != 2 or right_a.shape[1] != right_b.shape[1] or right_a.shape[1] == 0:
        raise UserError("a comparison needs both models' answers to the same pictures")
    accuracy_a, accuracy_b = right_a.mean(axis=1), right_b.mean(axis=1)
    only_a = only_b = None
    if len(right_a) > 1 and len(right_b) > 1:
        difference, interval = bootstrap_difference(right_b, right_a)
        p_value, test = welch(accuracy_a, accuracy_b), "Welch's t-test over trainings"
    else:
        first, second = right_a[0], right_b[0]
        difference, interval = bootstrap_difference(second[None], first[None])
        only_a, only_b = int((first & ~second).sum()), int((second & ~first).sum())
        p_value, test = mcnemar(only_a, only_b), "McNemar's exact test"
        if len(right_a) + len(right_b) > 2:
            test += " on the first training of each"
    return Comparison(
        images=right_a.shape[1],
        accuracy_a=tuple(map(float, accuracy_a)),
        accuracy_b=tuple(map(float, accuracy_b)),
        difference=difference,
        interval=interval,
        p_value=p_value,
        test=test,
        only_a=only_a,
        only_b=only_b,
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Two-sided exact p-value that one model alone is right as often as the other: a fair coin's."""
    from scipy.stats import binomtest

    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def welch(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Two-sided p-value of Welch's unequal-variances t-test; 1 where neither varies and both are equal."""
    from scipy.stats import ttest_ind

    if a.std() == 0 and b.std() == 0:
        return 1.0 if a.mean() == b.mean() else 0.0
    return float(ttest_ind(a, b, equal_var=False).pvalue)


def bootstrap_difference(ours: Right, theirs: Right, *, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """Mean accuracy of `ours` less that of `theirs`, and its 95 % interval from resampled pictures.

    With several trainings on both sides these are resampled too. Draws are a function of `seed`. Pictures are drawn
    as counts of the few kinds there are (what each training made of them), so it costs the same for any number.
    """
    together = np.concatenate([ours, theirs]).astype(np.int64)
    kinds, counts = np.unique(together, axis=1, return_counts=True)
    generator = np.random.default_rng(random.key(seed, "bootstrap"))
    images = together.shape[1]
    drawn = generator.multinomial(images, counts / images, size=ROUNDS) / images  # (rounds, kinds)
    accuracy = drawn @ kinds.T  # (rounds, trainings)
    first, second = accuracy[:, : len(ours)], accuracy[:, len(ours) :]
    if len(ours) > 1 and len(theirs) > 1:
        first, second = (_resampled(x, generator) for x in (first, second))
    samples = first.mean(axis=1) - second.mean(axis=1)
    low, high = np.quantile(samples, [0.025, 0.975])
    return float(ours.mean() - theirs.mean()), (float(low), float(high))


def _resampled(accuracy: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    picks = generator.integers(0, accuracy.shape[1], accuracy.shape)
    return np.take_along_axis(accuracy, picks, axis=1)
