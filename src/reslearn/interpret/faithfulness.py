"""Do maps say what the network looks at? Deletion and insertion (1806.07421), against random maps and the centre.

Deletion paints pixels in the mean colour, those first that the map holds most telling: the probability should fall
early. Insertion brings them back into a blurred picture: it should rise early. A score is the mean probability on the
way; a gain is how much better the maps do than rivals on the same pictures. Random rivals have as many places a side as
the maps, so that both are equally coarse.

What a network with random weights adds up is real, too: its maps beat random ones, by little. So nothing is claimed of
gains as small as theirs, nor, where classes are known, of a network that is not shown to have learned any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..engine.scorer import TorchScorer, at_once
from ..measure.metrics import wilson_interval
from ..runtime import random
from .class_maps import enlarged, with_gradients

STEPS = 16  # equal parts of a picture that are deleted or inserted one after another
DRAWS = 20  # random maps in all, at least
FEW = 5  # pictures, below which nothing is claimed
# Gain in deletion and in insertion, below which nothing is claimed. The smaller of the two was at most 0.011 for 8
# networks with random weights on digits and CIFAR-10, and 0.029 to 0.10 for 4 trained ones (docs/en/guide/explain.md).
LEAST = 0.02

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Gain:
    """How much better maps do than a rival, in probability (0..1): mean over pictures, 95 % interval over these.

    Above 0 the maps are better. One picture has no interval: nothing tells how others would differ from it.
    """

    mean: float
    interval: tuple[float, float] | None

    @property
    def clear(self) -> bool:
        """Whether the interval lies above 0."""
        return self.interval is not None and self.interval[0] > 0

    @property
    def between(self) -> str:
        """The interval as text, `+0.044 .. +0.156`; empty where there is none."""
        return "" if self.interval is None else f"{self.interval[0]:+.3f} .. {self.interval[1]:+.3f}"


@dataclass(frozen=True)
class Against:
    """A rival's mean scores, and the maps' gains over it."""

    deletion: float
    insertion: float
    deletion_gain: Gain
    insertion_gain: Gain


@dataclass(frozen=True)
class Learned:
    """How a network does on pictures whose classes are known: what `explain` asks before it believes its maps."""

    right: int
    pictures: int
    largest: int  # pictures of the largest class

    @property
    def something(self) -> bool:
        """Whether it is right more often than the largest class is there, beyond doubt (Wilson's 95 % interval)."""
        return wilson_interval(self.right, self.pictures)[0] > self.largest / self.pictures


@dataclass(frozen=True)
class Faithfulness:
    """Scores of maps (deletion: less is better; insertion: more is better) on `pictures` pictures, and of rivals."""

    pictures: int
    steps: int
    draws: int  # random maps a picture
    deletion: float
    insertion: float
    random: Against
    centre: Against
    curves: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]]  # map, random, centre -> deletion, insertion
    learned: Learned | None = None  # where classes are known

    @property
    def beats_chance(self) -> bool:
        """Whether the maps are better than random ones in deletion and in insertion, beyond doubt and by more than
        those of random weights are, and the network has learned something, if that can be known."""
        gains = self.random.deletion_gain, self.random.insertion_gain
        learned = self.learned is None or self.learned.something
        return self.pictures >= FEW and learned and all(one.clear and one.mean >= LEAST for one in gains)

    def verdict(self) -> str:
        """What that means, in a sentence or two."""
        n = f"{self.pictures:,} picture{'s' if self.pictures > 1 else ''}"
        gains = self.random.deletion_gain, self.random.insertion_gain
        named = dict(zip(("deletion", "insertion"), gains, strict=True))
        told = " and ".join(
            f"{name} by {one.mean:+.3f}{f' (95 %: {one.between})' if one.between else ''}"
            for name, one in named.items()
        )
        if self.beats_chance:
            centre = self.centre.deletion_gain.clear and self.centre.insertion_gain.clear
            more = "" if centre else " They are not shown to be better than pointing at the middle of every picture."
            return f"The maps say more than random ones: on {n} they gain in {told}.{more}"
        if self.pictures < FEW:
            return f"{n} cannot tell whether these maps are better than random ones; {FEW} or more can. Found: {told}."
        worse = [name for name, one in named.items() if not one.clear]
        if self.learned is not None and not self.learned.something:
            why = (
                f"the network names {self.learned.right:,} of {self.learned.pictures:,} pictures right, and always "
                f"naming the largest class {self.learned.largest:,}, so there is nothing learned that they could show"
            )
        elif worse:
            why = f"on {n} they do not beat random ones in {' and '.join(worse)}"
        else:
            little = " and ".join(name for name, one in named.items() if one.mean < LEAST)
            why = f"on {n} they gain less than {LEAST} in {little}, as those of a network with random weights may"
        return f"These maps are no better than chance: {why} ({told}). Do not read them as reasons."

    def to_json(self) -> dict[str, Any]:
        """Every number, `beats_chance` and `verdict`; the curves stay with the page."""

        def against(one: Against) -> dict[str, Any]:
            gains = {"deletion_gain": one.deletion_gain, "insertion_gain": one.insertion_gain}
            return {"deletion": one.deletion, "insertion": one.insertion} | {
                name: {"mean": gain.mean, "interval": gain.interval and list(gain.interval)}
                for name, gain in gains.items()
            }

        return {
            "pictures": self.pictures, "steps": self.steps, "draws": self.draws, "deletion": self.deletion,
            "insertion": self.insertion, "random": against(self.random), "centre": against(self.centre),
            "least_gain": LEAST, "learned": None if self.learned is None else asdict(self.learned),
            "beats_chance": self.beats_chance, "verdict": self.verdict(),
        }  # fmt: skip


def faithfulness(
    scorer: TorchScorer, images: Tensor, classes: Tensor, maps: Tensor, *, grain: int, learned: Learned | None = None,
    seed: int = 0, steps: int = STEPS
) -> Faithfulness:  # fmt: skip
    """Test `maps` (N, S, S) of `classes` (N,) on prepared pictures, uint8 (N, 3, S, S); random maps have `grain` places
    a side and are a function of `seed`. `learned` is how the network does where classes are known."""
    count, size = len(images), images.shape[-1]
    draws = max(1, -(-DRAWS // count))
    drawn = random.uniform(seed, "random maps", np.arange(count * draws), grain * grain)
    rivals = torch.from_numpy(drawn).float().view(draws, count, grain, grain)
    away = torch.linspace(-1, 1, size).square()
    centre = -(away[:, None] + away[None]).expand(count, size, size)
    ours = curves(scorer, images, classes, maps, steps)
    middle = curves(scorer, images, classes, centre, steps)
    chance = np.stack([curves(scorer, images, classes, enlarged(one, size, size), steps) for one in rivals])
    deletion, insertion = areas(ours).mean(1)
    return Faithfulness(
        count, steps, draws, float(deletion), float(insertion), _against(ours, chance), _against(ours, middle[None]),
        {name: _mean_curves(one) for name, one in (("map", ours), ("random", chance.mean(0)), ("centre", middle))},
        learned,
    )  # fmt: skip


def curves(scorer: TorchScorer, images: Tensor, classes: Tensor, maps: Tensor, steps: int) -> Values:
    """(2, N, steps + 1): the class's probability along deletion and along insertion in the order of `maps`."""
    count, size = len(images), images.shape[-1]
    order = maps.reshape(count, -1).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(1, order, torch.arange(size * size).expand(count, -1))
    rank = rank.view(count, 1, size, size)
    found = np.zeros((2, count, steps + 1))
    step = at_once(64, size, size)
    with with_gradients(scorer), torch.no_grad():
        for at in range(0, count, step):
            part = slice(at, at + step)
            x = scorer.normalise(images[part].to(scorer.device)).contiguous()
            rows, wanted = rank[part].to(x.device), classes[part].to(x.device)[:, None]
            blurred = blur(x)
            for k in range(steps + 1):
                gone = rows < round(size * size * k / steps)
                for which, changed in enumerate((x.masked_fill(gone, 0), torch.where(gone, x, blurred))):
                    logits = scorer.net(changed.to(memory_format=torch.channels_last)).float()
                    found[which, part, k] = logits.softmax(1).gather(1, wanted)[:, 0].double().cpu().numpy()
    return found


def areas(curve: Values) -> Values:
    """(..., steps + 1) -> (...): the area below, of a way of length 1."""
    return np.asarray((curve[..., 1:] + curve[..., :-1]).mean(-1) / 2)


def blur(x: Tensor) -> Tensor:
    """(B, C, S, S) without what makes out anything in it: a Gaussian of an eighth of the side, mirrored at the edge."""
    size = x.shape[-1]
    deviation = size / 8
    reach = min(int(2 * deviation), size - 1)
    at = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weight = torch.exp(-at.square() / (2 * deviation**2))
    weight = (weight / weight.sum()).expand(x.shape[1], 1, 1, -1)
    wide = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="reflect"), weight, groups=x.shape[1])
    return F.conv2d(F.pad(wide, (0, 0, reach, reach), mode="reflect"), weight.mT, groups=x.shape[1])


def _against(ours: Values, rivals: Values) -> Against:
    """`rivals` are (draws, 2, N, steps + 1)."""
    mine, theirs = areas(ours), areas(rivals)
    deletion, insertion = theirs[:, 0] - mine[0], mine[1] - theirs[:, 1]
    return Against(float(theirs[:, 0].mean()), float(theirs[:, 1].mean()), _gain(deletion), _gain(insertion))


def _gain(differences: Values) -> Gain:
    """Of (draws, N) differences: Student's interval over pictures, where there are several."""
    from scipy.stats import t

    if differences.shape[1] == 1:
        return Gain(float(differences.mean()), None)
    each = differences.mean(0)
    half = float(t.ppf(0.975, len(each) - 1)) * float(each.std(ddof=1)) / len(each) ** 0.5
    mean = float(each.mean())
    return Gain(mean, (mean - half, mean + half))


def _mean_curves(found: Values) -> tuple[tuple[float, ...], tuple[float, ...]]:
    deletion, insertion = (tuple(float(value) for value in one) for one in found.mean(1))
    return deletion, insertion
