"""Which engine, where nobody named one: from facts, never from a stopwatch, and with its reason.

On two cores without AMX, ResNet-50 at 224 and batch 16 did 15.8 images/s in eager torch, 22.5 channels last, 33.7
compiled and frozen, 38.3 in ONNX Runtime and 36.6 in OpenVINO; `reslearn bench infer --model resnet50 --engine all`
measures it here. So ONNX Runtime comes first. Its graph takes seconds to make, once: for a few pictures torch is done
before.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ..bundle.file import Loaded
from ..runtime.choice import this_machine
from ..runtime.machine import Rates
from ..spec.choices import Engine, Width
from ..spec.cost import cost
from ..spec.text import counted
from .exported import Exported
from .kept_graphs import WIDTHS, is_kept
from .needs import engines_here

ORDER: tuple[Engine, ...] = ("onnxruntime", "openvino")  # by speed in fp32
MAKE_SECONDS = 20.0  # of tracing a network and writing its graph, ResNet-50 on two cores
SAVED = 0.4  # of torch's time, at least, by either of them
UNKNOWN_RATE = 80.0  # GFLOP/s of a core that nobody measured
REACHED = 0.5  # of the matrix rate, by eager torch in inference


@dataclass(frozen=True)
class Facts:
    """What the choice follows from."""

    installed: Collection[Engine]  # with all that making a graph needs
    kept: Collection[Engine] = ()  # engines whose graph of this model lies in the cache
    precision: Width = "fp32"
    device: str = "cpu"
    count: int | None = None  # pictures to come; None: no end of them is known
    macs: float = 0.0  # of one picture
    rate: float = UNKNOWN_RATE  # GFLOP/s of the processor


@dataclass(frozen=True)
class Choice:
    """An engine, and why."""

    engine: Engine
    why: str


def choose(facts: Facts) -> Choice:
    """The engine for these facts."""
    if facts.device != "cpu":
        return Choice("torch", f"torch: {facts.device}")
    able = [one for one in ORDER if one in facts.installed and facts.precision in WIDTHS[one]]
    if facts.precision != "fp32" and not able:
        return Choice("torch", f"torch: {facts.precision} of a sealed file")
    if not able:
        return Choice("torch", "torch: neither onnxruntime, with onnx and onnxscript, nor openvino is installed")
    ready = [one for one in able if one in facts.kept]
    if ready:
        return Choice(ready[0], f"{ready[0]}: its graph of this model is kept")
    if facts.count is None:
        return Choice(able[0], f"{able[0]}: faster than torch where both were measured, for any number of pictures")
    seconds = SAVED * facts.count * 2 * facts.macs / (REACHED * facts.rate * 1e9)
    if seconds > MAKE_SECONDS:
        return Choice(
            able[0], f"{able[0]}: saves about {seconds:,.0f} s, its graph takes {MAKE_SECONDS:.0f} s to make, once"
        )
    return Choice(
        "torch",
        f"torch: done with {counted(facts.count, 'picture')} before another engine's graph is made",
    )


def default_engine(
    model: Loaded | Exported, *, precision: Width | None = None, device: str | None = None, count: int | None = None
) -> Choice:
    """The engine for `count` pictures (None: no end is known) with this model on this machine."""
    if isinstance(model, Exported):
        own = model.graph.engines[0]
        return Choice(own, f"{own}: the exported file's own")
    width = precision or "fp32"
    here = engines_here()
    kept = [one for one in ORDER if one in here and width in WIDTHS[one] and is_kept(model, one, width)]
    size = model.bundle.preprocess.size
    macs = sum(cost(member.spec, size).macs for member in model.bundle.members)
    machine = this_machine()
    rate = _rate(machine.rates, machine.threads)
    return choose(Facts(here, kept, width, device or str(next(model.net.parameters()).device), count, macs, rate))


def _rate(rates: Rates | None, threads: int) -> float:
    return UNKNOWN_RATE * threads if rates is None else rates.matrix.get("fp32", UNKNOWN_RATE * threads)
