"""Maps of single pixels by captum: guided backpropagation (1412.6806) and integrated gradients (1703.01365)."""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from ..engine.needs import need
from ..engine.scorer import at_once
from ..nets.net import Net

STEPS = 50  # points on the way from the mean colour to the picture
RELUS = (F.relu, torch.relu)


def guided(net: Net, x: Tensor, classes: Tensor) -> Tensor:
    """(B, S, S): the sum over channels of |guided gradient| of the class's logit.

    Raises `UserError` where captum is not installed.
    """
    need("captum")
    from captum.attr import GuidedBackprop

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of the hooks that it sets
        found: Tensor = GuidedBackprop(with_relu_modules(net)).attribute(x.detach(), target=classes)
    return found.abs().sum(1)


def integrated_gradients(net: Net, x: Tensor, classes: Tensor) -> Tensor:
    """(B, S, S): what each pixel adds to the logit on the straight way from the mean colour, summed over channels.

    Raises `UserError` where captum is not installed.
    """
    need("captum")
    from captum.attr import IntegratedGradients

    together = max(at_once(64, *x.shape[2:]), len(x))
    found: Tensor = IntegratedGradients(net).attribute(
        x.detach(), baselines=0, target=classes, n_steps=STEPS, internal_batch_size=together
    )
    return found.sum(1)


def with_relu_modules(net: nn.Module) -> fx.GraphModule:
    """The same network, on the same weights, with every ReLU a module of its own: captum's hooks see no function."""
    traced = fx.symbolic_trace(net)
    for number, node in enumerate(list(traced.graph.nodes)):
        if node.op == "call_function" and node.target in RELUS:
            name = f"relu_{number}"
            traced.add_module(name, nn.ReLU())
            with traced.graph.inserting_after(node):
                module = traced.graph.call_module(name, (node.args[0],))
            node.replace_all_uses_with(module)
            traced.graph.erase_node(node)
    traced.recompile()
    return traced.eval()
