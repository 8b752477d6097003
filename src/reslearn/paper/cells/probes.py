"""Measurements on a trained net, by name, each giving a JSON value that a figure or a conclusion reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...bundle.file import Loaded
from ...data.dataset import Dataset, Indices
from ...data.loaders import eval_batches
from ...data.memory import Subset
from ...engine.scorer import Logits, TorchScorer
from ...interpret.gradients import gradient_norms
from ...interpret.lesion import lesion_study
from ...interpret.responses import layer_responses
from ...interpret.signals import branch_ratios, cut_shares, excitations
from ...measure import metrics
from ...measure.views import predict_logits
from ...nets.net import as_net
from ...nets.variants import ExclusiveGate
from ...runtime.random import order
from .pictures import Pictures

LESION_PICTURES = 1000  # of the test set, drawn once: every lesion sees the same
GRADIENT_PICTURES = 128
START_PICTURES = 5000
SHOWN_CLASSES = 4  # as P4 shows four


class Trained:
    """A trained net with what its probes need."""

    def __init__(self, loaded: Loaded, fresh: Callable[[], nn.Module], pictures: Pictures, device: str):
        """`fresh` makes the net as it was before its first step."""
        self.net, self.fresh, self.pictures, self.device = as_net(loaded.net, "a probe"), fresh, pictures, device
        self.preprocess, self.normalise = loaded.bundle.preprocess, loaded.normalise
        self.scorer = self.scorer_of(self.net)

    def scorer_of(self, net: nn.Module) -> TorchScorer:
        """What scores `net` on this net's pictures, in fp32."""
        return TorchScorer(net, self.normalise, device=self.device)

    def batches(self, data: Dataset) -> Iterator[Tensor]:
        """Prepared uint8 images of every picture once."""
        return eval_batches(data, self.preprocess, batch_size=128)

    def logits(self, net: nn.Module, data: Dataset) -> tuple[Logits, Indices]:
        """(N, C) logits of `net` in fp32, and the labels."""
        return predict_logits(self.scorer_of(net), data, self.preprocess), np.asarray(data.labels)

    def error(self, net: nn.Module, data: Dataset) -> float:
        """Top-1 error of `net` in percent."""
        return 100 * (1 - metrics.accuracy(*self.logits(net, data)))


def some(data: Dataset, count: int) -> Dataset:
    """At most `count` pictures, the same ones for every net."""
    return data if len(data) <= count else Subset(data, np.sort(order(0, 0, len(data))[:count]))


def responses(trained: Trained) -> list[dict[str, Any]]:
    """P1 figure 7 on all test pictures in evaluation mode, one deviation over pictures, positions and channels."""
    found = layer_responses(trained.scorer, trained.batches(trained.pictures.test))
    return [asdict(response) for response in found]


def gradients(trained: Trained) -> dict[str, list[dict[str, Any]]]:
    """Gradient norms per convolution on one batch of training pictures, before the first step and after the last."""
    pictures = some(trained.pictures.train, GRADIENT_PICTURES)
    images = trained.normalise(next(trained.batches(pictures)).to(trained.device))
    labels = torch.from_numpy(np.asarray(pictures.labels)[: len(images)]).to(trained.device)
    nets = {"start": trained.fresh().to(trained.device), "end": trained.net}
    return {when: [asdict(norm) for norm in gradient_norms(net, images, labels)] for when, net in nets.items()}


def lesion(trained: Trained) -> dict[str, Any]:
    """Test error in percent, whole and with each shape-preserving block dropped."""
    pictures = some(trained.pictures.test, LESION_PICTURES)
    found = lesion_study(trained.net, lambda net: trained.error(net, pictures))
    return {"pictures": len(pictures), "intact": found.intact, "dropped": [list(pair) for pair in found.dropped]}


def gates(trained: Trained) -> list[dict[str, Any]]:
    """Mean share of the shortcut that each block's gate lets through, over test pictures, positions, channels."""
    blocks = [block for block in trained.net.blocks() if isinstance(block, ExclusiveGate)]
    sums = torch.zeros(len(blocks), dtype=torch.float64)
    count = 0

    def add(index: int, gate_output: Tensor) -> None:
        sums[index] += torch.sigmoid(-gate_output.double()).mean().cpu() * len(gate_output)

    handles = [
        block.gate_conv.register_forward_hook(lambda _, __, output, index=index: add(index, output))
        for index, block in enumerate(blocks)
    ]
    with trained.scorer.ready():
        for images in trained.batches(some(trained.pictures.test, LESION_PICTURES)):
            trained.scorer(images)
            count += len(images)
    for handle in handles:
        handle.remove()
    return [{"block": block.spec.name, "open": float(sums[i]) / max(count, 1)} for i, block in enumerate(blocks)]


def branches(trained: Trained) -> list[dict[str, Any]]:
    """|F| / |x| of each identity block, on all test pictures."""
    return [asdict(branch) for branch in branch_ratios(trained.scorer, trained.batches(trained.pictures.test))]


def cut(trained: Trained) -> list[dict[str, Any]]:
    """The share of each BN's output below 0, on some test pictures."""
    pictures = some(trained.pictures.test, LESION_PICTURES)
    return [asdict(share) for share in cut_shares(trained.scorer, trained.batches(pictures))]


def excited(trained: Trained) -> list[dict[str, Any]]:
    """P4 figures 6 and 7: excitations of the last gate of each stage, for four classes spread over all of them."""
    pictures, classes = trained.pictures.test, trained.pictures.test.classes
    indices = [round(i * (len(classes) - 1) / (SHOWN_CLASSES - 1)) for i in range(SHOWN_CLASSES)]
    chosen = {str(classes[i]): i for i in dict.fromkeys(indices)}
    found = excitations(trained.scorer, trained.batches(pictures), [int(x) for x in pictures.labels], chosen)
    return [asdict(gate) for gate in found]


PROBES: Mapping[str, Callable[[Trained], Any]] = MappingProxyType(
    {
        "responses": responses,
        "gradients": gradients,
        "lesion": lesion,
        "gates": gates,
        "branches": branches,
        "cut": cut,
        "excitations": excited,
    }
)


def start_probe(trained: Trained, shallow: nn.Module) -> dict[str, Any]:
    """The constructed net before its first step beside the shallow one it was made from: errors, and largest
    difference of any logit."""
    pictures = some(trained.pictures.train, START_PICTURES)
    ours, labels = trained.logits(trained.fresh(), pictures)
    theirs, _ = trained.logits(shallow, pictures)
    return {
        "pictures": len(pictures),
        "shallow_train_error": 100 * (1 - metrics.accuracy(theirs, labels)),
        "train_error": 100 * (1 - metrics.accuracy(ours, labels)),
        "largest_difference": float(np.abs(ours - theirs).max()),
    }


def ensemble(members: Mapping[str, Trained]) -> dict[str, Any]:
    """Test errors in percent of each net and of growing ensembles, by the mean of their probabilities."""
    errors, probabilities, labels = {}, [], None
    growing = []
    for label, member in members.items():
        logits, labels = member.logits(member.net, member.pictures.test)
        probabilities.append(metrics.softmax(logits))
        errors[label] = 100 * (1 - metrics.accuracy(logits, labels))
        mean = np.log(np.maximum(np.mean(probabilities, axis=0), 1e-300))
        growing.append(100 * (1 - metrics.accuracy(mean, labels)))
    return {"pictures": 0 if labels is None else len(labels), "members": errors, "growing": growing}
