"""Optimisers from a recipe: which parameters are decayed, by which rule they move, which ones stand still."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..nets.layers import norms
from ..spec.recipe import Recipe


def build_optimiser(net: nn.Module, recipe: Recipe, *, precision: str = "fp32") -> torch.optim.Optimizer:
    """The recipe's optimiser over the parameters of `net`, which trains in `precision`.

    `sgd` is PyTorch's: v = m v + g, w -= lr v. `caffe-sgd` is the papers': v = m v + lr g, w -= v; the two are the
    same while the rate is constant and differ for a few steps after each change (see `set_learning_rate`). Decay
    reaches every parameter, or convolution and FC kernels alone (`decay`). With `layer_decay` the rate falls from the
    head to the stem, stage by stage (1801.06146, section 3.2, does so layer by layer). `muon` moves convolution kernels
    by orthogonalised momentum, computed in bf16 where the net is, and leaves the rest to SGD.
    """
    groups = [group for share, part in shares(net, recipe) for group in _groups(part, recipe, share)]
    if recipe.optimizer == "adamw":
        return AdamW(groups, lr=recipe.peak_lr, betas=recipe.betas)
    if recipe.optimizer == "muon":
        dtype = {"bf16": torch.bfloat16, "fp64": torch.float64}.get(precision, torch.float32)
        return Muon(groups, lr=recipe.peak_lr, momentum=recipe.momentum, fixed_norm=recipe.fixed_norm, dtype=dtype)
    return SGD(groups, lr=recipe.peak_lr, momentum=recipe.momentum, nesterov=recipe.nesterov)


def shares(net: nn.Module, recipe: Recipe) -> list[tuple[float, list[nn.Parameter]]]:
    """The shares of the learning rate at which parameters move, and which: all alike, or falling towards the stem."""
    if recipe.layer_decay == 1:
        return [(1.0, list(net.parameters()))]
    parts = [list(part.parameters()) for _, part in parts_of(net)]
    before = {id(parameter) for part in parts for parameter in part}
    last = [parameter for parameter in net.parameters() if id(parameter) not in before]
    return [(recipe.layer_decay**distance, part) for distance, part in enumerate([last, *reversed(parts)])]


def _groups(parameters: Iterable[nn.Parameter], recipe: Recipe, share: float) -> list[dict[str, Any]]:
    """Parameter groups of torch: decayed, spared, and moved by Muon; those that are not empty."""
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    filters: list[nn.Parameter] = []
    for parameter in parameters:
        if recipe.optimizer == "muon" and parameter.ndim == 4:
            filters.append(parameter)
        else:
            (decayed if recipe.decay == "all" or parameter.ndim > 1 else spared).append(parameter)
    decay = recipe.weight_decay
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": decay},
        {"params": spared, "weight_decay": 0.0},
        {"params": filters, "weight_decay": decay, "muon": True},
    ]
    return [group | ({} if share == 1 else {"share": share}) for group in groups if group["params"]]


def set_learning_rate(optimiser: torch.optim.Optimizer, lr: float, recipe: Recipe) -> None:
    """Give every parameter group its share of the learning rate of this step.

    For `caffe-sgd` the momentum buffers b = v / lr are rescaled, so that v itself is what it was under the old rate.
    """
    before = optimiser.param_groups[0].get("rate_of_buffers", lr)
    for group in optimiser.param_groups:
        if recipe.optimizer == "caffe-sgd" and before != lr:
            for parameter in group["params"]:
                if "momentum_buffer" in optimiser.state[parameter]:
                    optimiser.state[parameter]["momentum_buffer"].mul_(before / lr)
        group["lr"], group["rate_of_buffers"] = lr * group.get("share", 1.0), lr


class Uncompiled:
    """torch wraps these methods so that its compiler leaves them alone, and to say so the wrappers load the compiler: a
    second before the first step. Nobody compiles an optimiser here; these are the methods themselves.
    """

    add_param_group = inspect.unwrap(Optimizer.add_param_group)
    zero_grad = inspect.unwrap(Optimizer.zero_grad)
    state_dict = inspect.unwrap(Optimizer.state_dict)
    load_state_dict = inspect.unwrap(Optimizer.load_state_dict)


class SGD(Uncompiled, torch.optim.SGD):
    """torch's."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.SGD.step))


class AdamW(Uncompiled, torch.optim.AdamW):
    """torch's."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


class Muon(Uncompiled, Optimizer):
    """Momentum, orthogonalised per convolution kernel (Keller Jordan's Muon); groups without `muon` get Nesterov SGD.

    A kernel (out, in, k, k) is seen as a matrix (out, in k k). Its update has spectral norm near 1 and is scaled by
    the square root of max(1, rows / columns), so that one learning rate serves kernels of every shape. The SGD part
    uses the same rate. With `fixed_norm` a kernel is first rescaled to Frobenius norm sqrt(out), that of its update:
    the BN behind it does not notice, and the rate is the share of the kernel that a step replaces.
    """

    def __init__(
        self,
        groups: Iterable[dict[str, object]],
        *,
        lr: float,
        momentum: float,
        fixed_norm: bool = False,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(groups, {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "muon": False})
        self.fixed_norm, self.dtype = fixed_norm, dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad
                if group["weight_decay"]:
                    if group["muon"]:  # decoupled: the orthogonalised update has no scale to compare with
                        parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    else:
                        gradient = gradient.add(parameter, alpha=group["weight_decay"])
                state = self.state[parameter]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(parameter)
                buffer = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
                update = gradient.add(buffer, alpha=group["momentum"])
                if group["muon"]:
                    update = _orthogonal(update.reshape(len(update), -1), dtype=self.dtype).view_as(update)
                    if self.fixed_norm:
                        parameter.mul_(len(parameter) ** 0.5 / parameter.norm())
                parameter.add_(update, alpha=-group["lr"])


def _orthogonal(matrix: Tensor, steps: int = 3, dtype: torch.dtype = torch.float32) -> Tensor:
    """The nearest semi-orthogonal matrix by a quintic Newton-Schulz iteration, times sqrt(max(1, rows / columns)).

    Near enough, also in bf16. Three steps, as in cifar10-airbench: small singular values stay small, and it costs less.
    Each step multiplies x by a polynomial of x x', so the polynomials are worked out on that small matrix and x itself
    is multiplied once, at the end.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = (x / (x.norm() + 1e-7)).to(dtype)
    gram = x @ x.T
    one = whole = torch.eye(len(gram), dtype=dtype, device=gram.device)
    for _ in range(steps):
        step = torch.addmm(a * one + b * gram, gram, gram, alpha=c)
        whole, gram = step @ whole, step @ (step @ gram)
    x = whole @ x
    scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
    return torch.mul((x.T if tall else x).to(matrix.dtype), scale)


def frozen_parameters(net: nn.Module, recipe: Recipe, done: float) -> list[nn.Parameter]:
    """Parameters that stand still once the fraction `done` of the budget has passed.

    With `unfreeze = (a, b, ...)` the head trains from the start, the last stage from a, the one before from b, ...;
    when the list ends, everything does. `freeze_bn` holds gamma and beta too.
    """
    held: list[nn.Parameter] = []
    if recipe.unfreeze and done < recipe.unfreeze[-1]:
        parts = parts_of(net)
        opened = sum(done >= fraction for fraction in recipe.unfreeze)
        held += [p for _, part in parts[: len(parts) - opened] for p in part.parameters()]
    if recipe.freeze_bn:
        held += [p for layer in norms(net) for p in layer.parameters()]
    return held


def parts_of(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """The stem and every stage, by name: what `unfreeze` frees one after the other, from the last on."""
    parts: list[tuple[str, nn.Module]] = []
    for name, child in net.named_children():
        if name not in ("norm", "head"):
            inner = child.named_children() if isinstance(child, nn.Sequential) else ()
            parts += [(f"{name}.{key}", part) for key, part in inner] or [(name, child)]
    return parts
