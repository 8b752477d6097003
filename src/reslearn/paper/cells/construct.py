"""P1's constructed solution: a deeper net made from a trained shallow one by blocks that do nothing, f = 0."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from ...nets.blocks import ResidualBlock
from ...nets.build import create_model
from ...nets.resnet import ResNet
from ...spec.errors import UserError
from ...spec.net import Spec


def construct(deep: nn.Module, shallow: nn.Module) -> nn.Module:
    """Fill `deep` in place so that it computes what the trained `shallow` does, and return it.

    Each stage keeps the shallow net's blocks in front; those appended have a last gamma of zero, so they add nothing
    (post-activation: their ReLU meets a signal that is positive already) but can still learn. Raises `UserError` where
    the nets are not residual, post-activation and of equal widths.
    """
    if not (isinstance(deep, ResNet) and isinstance(shallow, ResNet)):
        raise UserError("the constructed solution needs two residual nets")
    a, b = deep.spec, shallow.spec
    fits = a.activation == b.activation == "post" and "none" not in (a.shortcut, b.shortcut)
    if not fits or a.stage_channels != b.stage_channels or any(
        more < less for more, less in zip(a.stage_blocks, b.stage_blocks, strict=True)
    ):  # fmt: skip
        raise UserError(
            f"{a.name} cannot be built from {b.name}: same widths, more blocks, shortcuts and post-activation"
        )
    wanted = deep.state_dict()
    deep.load_state_dict(wanted | {k: v.to(wanted[k].device) for k, v in shallow.state_dict().items()})
    with torch.no_grad():
        for stage, kept in zip(deep.stages, b.stage_blocks, strict=True):
            for block in list(cast(nn.Sequential, stage))[kept:]:
                cast(ResidualBlock, block).zero_last_gamma()
    return deep


def from_shallow(spec: Spec, shallow: nn.Module) -> nn.Module:
    """A new net of `spec` that computes what `shallow` does."""
    return construct(create_model(spec), shallow)
