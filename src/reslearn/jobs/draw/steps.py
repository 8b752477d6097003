"""What happens inside a block, in order, as values: from its spec, for every variant. `block.py` draws them.

A step that has parameters carries the name of its module, so that a test can follow the built block step by step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from ...spec.net import BlockSpec, NetSpec
from ...spec.variant import parse
from .words import Words, conv_text

Kind = Literal["conv", "norm", "act", "scale", "dropout", "pool", "gate"]


@dataclass(frozen=True)
class Step:
    """One box, or one gate of several boxes."""

    kind: Kind
    lines: tuple[str, ...]
    key: str = ""
    inner: tuple[Step, ...] = ()  # of a gate: from the squeeze to the function


@dataclass
class Chains:
    """A block: what comes before the signal splits, its two ways, and what comes after they meet."""

    before: list[Step] = field(default_factory=list)
    main: list[Step] = field(default_factory=list)
    side: list[Step] = field(default_factory=list)  # empty: the identity
    after: list[Step] = field(default_factory=list)
    joined: bool = True  # False: a plain block, which has one way


class Describer:
    """Describes one block of a network."""

    def __init__(self, spec: NetSpec, block: BlockSpec, words: Words):
        self.spec, self.block, self.words = spec, block, words
        self.variant, self.numbers = parse(spec.variant) if spec.variant else ("", [])
        self.bare = self.variant.startswith("no_norm")

    def chains(self) -> Chains:
        """The block's steps."""
        found = self._post() if self.block.activation == "post" else self._pre()
        found.joined = self.block.shortcut != "none"
        if found.joined:
            found.side += self._shortcut()
        self._gated(found)
        self._scaled(found)
        if self.block.drop_path:
            found.main.append(Step("dropout", (self.words.drop_path.format(f"{self.block.drop_path:.2g}"),)))
        return found

    def _post(self) -> Chains:
        relu, count = Step("act", (self.words.relu,)), len(self.block.convs)
        main: list[Step] = []
        if self.variant == "relu_only_preactivation":
            main.append(relu)
        for number in range(1, count + 1):
            main += [*self._spaced(number), self._conv(number), *self._pool(number)]
            last = number == count
            if not (last and self.variant == "bn_after_addition"):
                main += self._norm(number)
            if not last or self.variant == "relu_before_addition":
                main.append(relu)
        after = self._norm(count) if self.variant == "bn_after_addition" else []
        if self.variant not in ("relu_before_addition", "relu_only_preactivation"):
            after = [*after, relu]
        if self.variant == "relu_only_preactivation" and self.block.shortcut not in ("identity", "none"):
            return Chains(before=main[:1], main=main[1:], after=after)
        return Chains(main=main, after=after)

    def _pre(self) -> Chains:
        relu = Step("act", (self.words.relu,))
        main: list[Step] = []
        for number in range(1, len(self.block.convs) + 1):
            if self.block.norms[number - 1] is not None:
                main += [*self._norm(number), relu]
            main += [*self._spaced(number), self._conv(number), *self._pool(number)]
        if self.block.shared_preactivation and self.block.norms[0] is not None:
            return Chains(before=main[:2], main=main[2:])
        return Chains(main=main)

    def _conv(self, number: int) -> Step:
        conv = self.block.convs[number - 1]
        lines: tuple[str, ...] = (conv_text(self.words, conv),)
        if conv.groups > 1:
            lines += (self.words.groups.format(conv.groups),)
        return Step("conv", lines, f"{self.block.name}.conv{number}")

    def _norm(self, number: int) -> list[Step]:
        return [] if self.bare else [Step("norm", (self.words.bn,), f"{self.block.name}.norm{number}")]

    def _pool(self, number: int) -> list[Step]:
        return [Step("pool", (f"{self.words.max_pool}, /2",))] if self.block.convs[number - 1].pool > 1 else []

    def _spaced(self, number: int) -> list[Step]:
        wanted = self.block.dropout and number == len(self.block.convs) > 1
        return [Step("dropout", (self.words.dropout.format(f"{self.block.dropout:g}"),))] if wanted else []

    def _shortcut(self) -> list[Step]:
        block, words = self.block, self.words
        if block.shortcut == "pad":
            text = (words.padding, words.channels.format(f"+{block.out_channels - block.in_channels}"))
            return [Step("scale", text + ((f"/{block.stride}",) if block.stride > 1 else ()))]
        if block.shortcut != "projection":
            return []
        found = [Step("pool", (f"{words.mean_pool}, /2",))] if block.projection.pool > 1 else []
        size, _, rest = conv_text(words, block.projection).partition(", ")
        found.append(Step("conv", (size, rest), f"{block.name}.shortcut.conv"))
        if block.projection_norm and not self.bare:
            found.append(Step("norm", (words.bn,), f"{block.name}.shortcut.norm"))
        return found

    def _gated(self, chains: Chains) -> None:
        """Put the squeeze-and-excitation gate where the variant has it: as it is, before the addition."""
        if not self.block.gate_channels:
            return
        gate = Step("gate", (), f"{self.block.name}.gate", tuple(self._gate()))
        if self.variant == "se_pre":
            chains.main.insert(0, gate)
        elif self.variant == "se_post":
            chains.after.append(gate)
        elif self.variant == "se_identity":
            chains.side.append(gate)
        elif self.variant == "se_3x3":
            place = next(i for i, step in enumerate(chains.main) if step.key.endswith(".conv3"))
            chains.main.insert(place, gate)
        else:
            chains.main.append(gate)

    def _gate(self) -> Iterator[Step]:
        words, name = self.words, f"{self.block.name}.gate"
        gated, hidden = self.block.gated_channels or self.block.out_channels, self.block.gate_channels
        if not self.block.gate_everywhere:
            pool = words.squeeze_max if self.variant == "se_max" else words.global_pool
            yield Step("pool", tuple(pool.split(" ", 1)))  # two lines: a gate stands between two other chains
        yield Step("gate", (f"{words.fc} {hidden}",), f"{name}.fc1")
        yield Step("act", (words.relu,))
        yield Step("gate", (f"{words.fc} {gated}",), f"{name}.fc2")
        last = {"se_relu": words.relu, "se_tanh": words.tanh}.get(self.variant, words.sigmoid)
        yield Step("act", (last,))

    def _scaled(self, chains: Chains) -> None:
        """P2 section 3: what other shortcuts do to one or both ways."""
        numbers, key = self.numbers, f"{self.block.name}.gate_conv"
        if self.variant == "constant_scaling":
            chains.side.append(Step("scale", (f"× {numbers[0]:g}",)))
            chains.main.append(Step("scale", (f"× {numbers[1]:g}",)))
        elif self.variant == "dropout_shortcut":
            chains.side.append(Step("dropout", (self.words.dropout.format(f"{numbers[0]:g}"),)))
        elif self.variant in ("exclusive_gate", "shortcut_gate"):
            bias = f"b = {numbers[0]:g}".replace("-", "−")  # what the gate's bias starts at
            chains.side.append(Step("scale", ("× (1 − g)", f"g = σ(1×1 {self.words.conv})", bias), key))
            if self.variant == "exclusive_gate":
                chains.main.append(Step("scale", ("× g",)))
