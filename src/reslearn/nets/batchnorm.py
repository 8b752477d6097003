"""Batch normalisation written out from the paper (1502.03167, Algorithms 1 and 2), over vectors or maps.

Two things torch's own cannot do on a CPU: statistics over all processes of a group, and statistics over fixed slices of
a batch (`bn_batch`: the 64 and 32 pictures per GPU of the residual papers, in one process). Both change training alone;
at test every form is the same affine map.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..spec.errors import UserError


def batch_norm(
    x: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    gamma: Tensor,
    beta: Tensor,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
    bn_batch: int | None = None,
    process_group: dist.ProcessGroup | None = None,
) -> Tensor:
    """gamma * (x - mean) / sqrt(var + eps) + beta per channel; x is (B, C) or (B, C, H, W), the rest (C,).

    Training: mean and biased variance of the batch, over positions too, of each slice of `bn_batch` samples, or of
    the batches of all processes in `process_group`. The running statistics move by `momentum` towards the mean and
    the unbiased variance (averaged over slices). Otherwise: the running statistics.
    Computes in float32 at least and returns x's type. Raises `UserError` for a batch that does not divide into slices
    and for one value per channel, which has no variance.
    """
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    if not training:
        return _affine(wide[None], _along(running_mean, x), _along(running_var, x) + eps, gamma, beta)[0].to(x.dtype)
    if bn_batch is not None and len(x) % bn_batch:
        raise UserError(f"bn_batch is {bn_batch}; it must divide the {len(x)} samples that one process normalises")
    slices = wide.view(-1, bn_batch or len(x), *x.shape[1:])  # (S, B / S, C[, H, W])
    mean, var, count = _statistics(slices, process_group)  # (S, 1, C[, 1, 1])
    with torch.no_grad():
        unbiased = var * (count / (count - 1))
        running_mean.lerp_(mean.mean(0).flatten().to(running_mean.dtype), momentum)
        running_var.lerp_(unbiased.mean(0).flatten().to(running_var.dtype), momentum)
    return _affine(slices, mean, var + eps, gamma, beta).flatten(0, 1).to(x.dtype)


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """`batch_norm` as a module for (B, C) and (B, C, H, W). Whether it normalises by the batch or by the running
    statistics is decided by the module's own `training` flag, never by whether gradients are recorded.

    Parameters, buffers and their names are torch's, so state dicts are exchangeable and whatever looks for batch
    normalisation in a network finds it; `momentum=None` averages all batches alike, as there.
    """

    def __init__(
        self,
        channels: int,
        *,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        bn_batch: int | None = None,
        process_group: dist.ProcessGroup | None = None,
    ):
        super().__init__(channels, eps=eps, momentum=momentum)
        if bn_batch is not None and (bn_batch < 2 or process_group is not None):
            raise UserError(f"bn_batch is {bn_batch}; it must be at least 2, and it excludes a process group")
        self.bn_batch, self.process_group = bn_batch, process_group

    def forward(self, x: Tensor) -> Tensor:
        if x.dim() not in (2, 4) or x.shape[1] != self.num_features:
            raise ValueError(
                f"expected (B, {self.num_features}) or (B, {self.num_features}, H, W), got {tuple(x.shape)}"
            )
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            momentum = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        return batch_norm(
            x,
            cast(Tensor, self.running_mean),
            cast(Tensor, self.running_var),
            self.weight,
            self.bias,
            training=self.training,
            momentum=momentum or 0.0,
            eps=self.eps,
            bn_batch=self.bn_batch,
            process_group=self.process_group,
        )


def replace_batchnorm(
    net: nn.Module, *, bn_batch: int | None = None, process_group: dist.ProcessGroup | None = None
) -> nn.Module:
    """Swap every `nn.BatchNorm2d` in `net` for a `BatchNorm` holding the same tensors; returns `net`.

    Training changes as `batch_norm` says; state dict and evaluation stay what they were.
    """
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                new = BatchNorm(
                    child.num_features,
                    eps=child.eps,
                    momentum=child.momentum,
                    bn_batch=bn_batch,
                    process_group=process_group,
                )
                new._parameters, new._buffers, new.training = child._parameters, child._buffers, child.training
                setattr(module, name, new)
    return net


def _statistics(x: Tensor, group: dist.ProcessGroup | None) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and biased variance of each slice and channel, (S, 1, C[, 1, 1]), and how many values went into each."""
    axes = [1, *range(3, x.dim())]
    values = x.numel() // (x.shape[0] * x.shape[2])
    count = torch.tensor(float(values), dtype=x.dtype, device=x.device)
    if group is None:
        if values < 2:
            raise UserError(
                "batch normalisation needs more than one value per channel while training; enlarge the batch"
            )
        var, mean = torch.var_mean(x, axes, correction=0, keepdim=True)
        return mean, var, count
    count = _all_reduce(count, group)
    mean = _all_reduce(x.sum(axes, keepdim=True), group) / count
    squares = (x - mean).square().sum(axes, keepdim=True)  # deviations: E[x^2] - E[x]^2 would cancel
    return mean, _all_reduce(squares, group) / count, count


def _affine(x: Tensor, mean: Tensor, var: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """(S, B, C[, H, W]) normalised, scaled and shifted; `var` has its eps."""
    return (x - mean) * (_along(gamma, x[0]) * torch.rsqrt(var)) + _along(beta, x[0])


def _along(vector: Tensor, x: Tensor) -> Tensor:
    """(C,) shaped to broadcast along the channels of x, (B, C) or (B, C, H, W)."""
    return vector.view(-1, *[1] * (x.dim() - 2))


class _AllReduce(torch.autograd.Function):
    """Sum over a process group; its gradient is the sum of the gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        total = value.clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        total = gradient.clone()
        dist.all_reduce(total, group=ctx.group)
        return total, None


# A compiled graph breaks there rather than fails. The first of the two loads torch's compiler, a second, when it is
# called; the other does at once.
_outside_graphs: Any = getattr(torch, "_disable_dynamo", torch.compiler.disable)


@_outside_graphs  # type: ignore[untyped-decorator]
def _all_reduce(value: Tensor, group: dist.ProcessGroup) -> Tensor:
    return _AllReduce.apply(value, group)  # type: ignore[no-any-return, no-untyped-call]
