"""One optimiser step: forward and backward over the parts of a batch, then the optimiser, then the moving average."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from ..data.dataset import Dataset
from ..data.loaders import Batch
from ..data.loading.sampling import class_weights
from ..nets.batchnorm import replace_batchnorm
from ..nets.layers import norms
from ..runtime.device import autocast, memory_format, weight_type
from ..runtime.process_group import World
from ..runtime.settings import Settings
from ..spec.recipe import Recipe
from .optimiser import build_optimiser, frozen_parameters, set_learning_rate


def prepare_update(
    net: nn.Module, recipe: Recipe, settings: Settings, data: Dataset, *, world: World | None = None
) -> Update:
    """What trains `net` on `data`: on its device, in its layout and type, with the weights of the classes."""
    dtype = weight_type(settings)
    net = net.to(settings.device, dtype).to(memory_format=memory_format(settings))  # type: ignore[call-overload]
    weights = class_weights(data.labels, len(data.classes), recipe.class_weights)
    balance = None if weights is None else torch.from_numpy(weights).to(settings.device, dtype)
    return Update(net, recipe, settings, world=world, class_weights=balance)


class Update:
    """Owns the network while it trains: its optimiser, its moving average, its gradient scaler."""

    def __init__(
        self,
        net: nn.Module,
        recipe: Recipe,
        settings: Settings,
        *,
        world: World | None = None,
        class_weights: Tensor | None = None,
    ) -> None:
        world = world or World()
        recipe = recipe.settled(world.size)
        if recipe.bn_batch is not None or (recipe.bn_sync and world.size > 1):
            group = dist.group.WORLD if recipe.bn_sync else None
            replace_batchnorm(net, bn_batch=recipe.bn_batch, process_group=group)
        self.net, self.recipe, self.settings = net, recipe, settings
        self.optimiser = build_optimiser(net, recipe, precision=settings.precision)
        self.scaler = torch.amp.GradScaler(torch.device(settings.device).type, enabled=settings.precision == "fp16")
        self.class_weights = class_weights
        wrapped = nn.parallel.DistributedDataParallel(net) if world.size > 1 else net  # gives all the first one's
        self.average = copy.deepcopy(net) if recipe.ema_decay is not None else None
        self._forward = loss_function(wrapped, recipe, settings, class_weights)

    def train_mode(self) -> None:
        """Training mode, except for batch norms that the recipe freezes."""
        self.net.train()
        if self.recipe.freeze_bn:
            for layer in norms(self.net):
                layer.eval()

    def __call__(self, batch: Batch, lr: float, done: float) -> tuple[float, int]:
        """Take the step at rate `lr`, the fraction `done` of the budget having passed; (mean loss, wrong guesses).

        Loss and count are this process's own; gradients are averaged over processes by DDP.
        """
        recipe, read = self.recipe, []
        set_learning_rate(self.optimiser, lr, recipe)
        self.optimiser.zero_grad(set_to_none=True)
        parts = split(batch, recipe.accumulate)
        for part in parts:
            loss, misses = self._forward(self._sized(part, done))
            self.scaler.scale(loss / len(parts)).backward()  # type: ignore[no-untyped-call]
            read.append(torch.stack((loss.detach().double(), misses.double())))
        self.scaler.unscale_(self.optimiser)
        for parameter in frozen_parameters(self.net, recipe, done):
            parameter.grad = None
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), recipe.clip_norm)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self._follow()
        told = torch.stack(read).tolist()  # the one moment that waits for a GPU, when it has all its work
        return sum(loss / len(parts) for loss, _ in told), int(sum(misses for _, misses in told))

    @property
    def evaluated(self) -> nn.Module:
        """The network that validation looks at: the moving average where the recipe seals it."""
        return self.average if self.recipe.select == "ema" and self.average is not None else self.net

    def gradient_norms(self) -> dict[str, float]:
        """L2 norm of the last gradient of every parameter that moved."""
        named = self.net.named_parameters()
        return {name: float(p.grad.norm()) for name, p in named if p.grad is not None}

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the average towards the weights; running statistics and counters are copied."""
        if self.average is None:
            return
        weight = 1 - (self.recipe.ema_decay or 0.0)
        torch._foreach_lerp_([*self.average.parameters()], [*self.net.parameters()], weight)
        torch._foreach_copy_([*self.average.buffers()], [*self.net.buffers()])

    def _sized(self, batch: Batch, done: float) -> Batch:
        """Smaller pictures early on, where the recipe says so."""
        size = self.recipe.small_size
        if size is None or done >= self.recipe.small_part:
            return batch
        images = F.interpolate(batch.images, size=(size, size), mode="bilinear", antialias=True)
        return replace(batch, images=images)


def loss_function(
    net: nn.Module, recipe: Recipe, settings: Settings, class_weights: Tensor | None = None
) -> Callable[[Batch], tuple[Tensor, Tensor]]:
    """Batch -> (mean loss, number of wrong first guesses); compiled where the settings say so."""
    layout = memory_format(settings)

    def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
        smoothing = recipe.label_smoothing
        return F.cross_entropy(logits, labels, weight=class_weights, label_smoothing=smoothing, reduction="none")

    def forward(images: Tensor, labels: Tensor, partner: Tensor | None, share: Tensor | None) -> tuple[Tensor, Tensor]:
        with autocast(settings):
            logits = net(images)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        losses = cross_entropy(logits, labels)
        if partner is not None and share is not None:  # MixUp, CutMix: two labels, weighted
            losses = share * losses + (1 - share) * cross_entropy(logits, partner)
        return losses.mean(), (logits.argmax(1) != labels).sum()

    run = torch.compile(forward, dynamic=False) if settings.compile else forward
    return lambda batch: run(batch.images.to(memory_format=layout), batch.labels, batch.partner, batch.share)


def split(batch: Batch, parts: int) -> list[Batch]:
    """A batch in `parts` consecutive pieces of one size."""
    if parts == 1:
        return [batch]
    each = len(batch.labels) // parts
    pieces = [slice(i * each, (i + 1) * each) for i in range(parts)]
    columns = {name: column for name, column in vars(batch).items() if column is not None}
    return [replace(batch, **{name: column[piece] for name, column in columns.items()}) for piece in pieces]
