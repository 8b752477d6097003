"""Does an exported graph answer as its network does? The same pictures through both, from pixels to every output.

reference = the network of the sealed file in eager fp32, on pictures that our own preprocessing has prepared
gap       = the largest difference of an output; `ok` compares it with the largest size of that output
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..bundle.file import Loaded
from ..data.dataset import Image, Indices
from ..data.preprocess import Normalise, apply, to_batch
from ..engine.exported import LOGITS, Exported
from ..engine.graphs import Arrays, GraphScorer
from ..engine.program import Outlet
from ..runtime.inference import evaluating
from ..spec.choices import Engine, GraphInput, Width
from ..spec.seen import Seen
from .metrics import accuracy

# The largest difference that is right, as a share of the largest size of the outputs: rounding of the arithmetic, and
# of one grey level on a few pixels where the graph resizes pictures itself. int8's is that of the mean difference.
BOUNDS: dict[tuple[Width, GraphInput], float] = {
    ("fp32", "float"): 1e-4, ("fp32", "uint8"): 2e-2, ("bf16", "float"): 0.1, ("bf16", "uint8"): 0.1,
    ("int8", "float"): 0.1, ("int8", "uint8"): 0.1,
}  # fmt: skip


@dataclass(frozen=True)
class Agreement:
    """One engine beside the reference, on the same pictures."""

    engine: Engine
    precision: Width
    pictures: int
    max_gap: float  # of the logits; of the stage maps where there are no logits
    mean_gap: float
    agreement: float | None  # share of pictures with the same best class
    top1: float | None
    top1_reference: float | None
    seen: Seen
    images_per_second: float
    ok: bool

    def __repr__(self) -> str:
        alike = "" if self.agreement is None else f", the same class for {100 * self.agreement:.2f} %"
        found = f"gap at most {self.max_gap:.2g}{alike} of {self.pictures:,} pictures"
        return f"Agreement({self.engine} {self.precision}: {'ok' if self.ok else 'NOT ok'}, {found})"

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return vars(self) | {"seen": self.seen.to_json()}


class Gap:
    """Differences of one output, batch by batch."""

    def __init__(self) -> None:
        self.most = self.total = self.size = 0.0
        self.count = 0

    def add(self, given: NDArray[np.float32], wanted: NDArray[np.float32]) -> None:
        """A batch of both. What is not a number differs without bound."""
        difference = np.abs(given.astype(np.float64) - wanted)
        difference[~np.isfinite(difference)] = np.inf
        self.most = max(self.most, float(difference.max(initial=0)))
        self.size = max(self.size, float(np.abs(wanted).max(initial=0)))
        self.total += float(difference.sum())
        self.count += difference.size

    @property
    def mean(self) -> float:
        """Of all differences."""
        return self.total / max(self.count, 1)


class Comparison:
    """An exported file on some engines beside the network it was made of: pictures go in, rows come out."""

    def __init__(self, exported: Exported, loaded: Loaded, scorers: Sequence[GraphScorer]) -> None:
        outputs = exported.graph.outputs
        kind = (
            "features" if LOGITS not in outputs else "both" if any("stages" in name for name in outputs) else "logits"
        )
        self.exported, self.scorers = exported, scorers
        self.outlet = Outlet(loaded.net, kind, cam="cam" in outputs)  # type: ignore[arg-type]
        self.normalise = Normalise(exported.bundle.preprocess, exported.mean_image)
        self.gaps = [{name: Gap() for name in outputs} for _ in scorers]
        self.seconds = [0.0 for _ in scorers]
        self.logits: list[list[NDArray[np.float32]]] = [[] for _ in (None, *scorers)]  # the reference's first
        self.labels: list[Indices] = []
        self.pictures = 0

    def add(self, pictures: Sequence[Image], labels: Indices | None = None) -> None:
        """Compare all engines on pictures of one shape; `labels` are their classes as the network counts them."""
        prepared = to_batch([apply(picture, self.exported.bundle.preprocess) for picture in pictures])
        with evaluating(self.outlet, "fp32", "cpu"):
            found = self.outlet(self.normalise(prepared))
            wanted: Arrays = {name: x.numpy() for name, x in zip(self.outlet.names, found, strict=True)}
        self.pictures += len(pictures)
        self.labels += [] if labels is None else [labels]
        self._keep(0, wanted)
        for i, scorer in enumerate(self.scorers):
            batch = np.stack(pictures) if self.exported.graph.input == "uint8" else scorer.taken(prepared)
            began = time.perf_counter()
            given = scorer.outputs(batch)
            self.seconds[i] += time.perf_counter() - began
            self._keep(i + 1, given)
            for name, gap in self.gaps[i].items():
                gap.add(given[name], wanted[name])

    def _keep(self, which: int, outputs: Arrays) -> None:
        if LOGITS in outputs:
            self.logits[which].append(outputs[LOGITS])

    def rows(self, seen: Seen) -> list[Agreement]:
        """One row for each engine."""
        return [self._row(i, seen) for i in range(len(self.scorers))]

    def _row(self, i: int, seen: Seen) -> Agreement:
        scorer, gaps = self.scorers[i], self.gaps[i]
        main = gaps.get(LOGITS) or max(gaps.values(), key=lambda gap: gap.most)
        given, wanted = (np.concatenate(rows) if rows else None for rows in (self.logits[i + 1], self.logits[0]))
        labels = np.concatenate(self.labels) if self.labels else None
        top1 = [None if x is None or labels is None else accuracy(x, labels) for x in (given, wanted)]
        alike = None if given is None or wanted is None else float((given.argmax(1) == wanted.argmax(1)).mean())
        return Agreement(
            engine=scorer.engine,
            precision=scorer.precision,
            pictures=self.pictures,
            max_gap=main.most,
            mean_gap=main.mean,
            agreement=alike,
            top1=top1[0],
            top1_reference=top1[1],
            seen=seen,
            images_per_second=round(self.pictures / max(self.seconds[i], 1e-9), 1),
            ok=all(self._right(gap) for gap in gaps.values()),
        )

    def _right(self, gap: Gap) -> bool:
        graph = self.exported.graph
        found = gap.mean if graph.precision == "int8" else gap.most
        return found <= BOUNDS[graph.precision, graph.input] * max(gap.size, 1e-6)


def seeded_pictures(size: int) -> Iterable[list[Image]]:
    """Made-up pictures in batches of 1, 2 and 7, each of another shape around `size`: smooth, with some noise."""
    draws = np.random.default_rng(0)
    for count, (down, along) in ((1, (1.0, 1.0)), (2, (1.37, 1.0)), (7, (1.0, 1.61)), (2, (2.2, 3.1))):
        height, width = round(size * down), round(size * along)
        coarse = draws.integers(0, 256, (count, 5, 5, 3)).astype(np.float32)
        x = torch.from_numpy(coarse).permute(0, 3, 1, 2)
        smooth = torch.nn.functional.interpolate(x, size=(height, width), mode="bicubic", align_corners=False)
        noisy = smooth.permute(0, 2, 3, 1).numpy() + draws.normal(0, 12, (count, height, width, 3))
        yield list(np.clip(np.round(noisy), 0, 255).astype(np.uint8))
