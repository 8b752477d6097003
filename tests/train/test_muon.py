"""Muon against the iteration as its author writes it down, and its plain part against torch's Nesterov momentum."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from reslearn.spec.recipe import Recipe
from reslearn.train.optimiser import _orthogonal, build_optimiser, set_learning_rate

RECIPE = Recipe("x", "test", iterations=9, optimizer="muon", lr=0.25, momentum=0.9, weight_decay=0.02)


def newton_schulz(matrix):
    """Keller Jordan's quintic: x <- a x + (b (x x') + c (x x')^2) x, three times, of a wide matrix of norm 1."""
    rows, columns = matrix.shape
    x = matrix.T if rows > columns else matrix
    x = x / x.norm()
    for _ in range(3):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.T if rows > columns else x) * max(1.0, rows / columns) ** 0.5


@pytest.mark.parametrize("scale", [0.1, 1.0, 1e4])
@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6), (1, 4)])
def test_a_direction_is_made_orthogonal_whatever_its_length(shape, scale):
    matrix = scale * torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(_orthogonal(matrix, dtype=torch.float64), newton_schulz(matrix), rtol=1e-5, atol=1e-5)


def test_no_direction_is_no_step():
    assert not _orthogonal(torch.zeros(4, 3)).any()


def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))


def test_kernels_follow_the_formula_and_all_else_is_torch_s_nesterov():
    """Kernels: momentum with Nesterov's look ahead, made orthogonal; decay apart from it."""
    ours, theirs = layers(), layers()
    optimiser = build_optimiser(ours, RECIPE, precision="fp64")
    plain = [*theirs[2].parameters(), theirs[0].bias]
    reference = torch.optim.SGD(plain, lr=1.0, momentum=0.9, nesterov=True, weight_decay=0.02)
    kernel, buffer = theirs[0].weight, torch.zeros(4, 27)
    for rate in (0.25, 0.25, 0.1, 0.1):
        gradients = [torch.randn_like(parameter) for parameter in ours.parameters()]
        for net in (ours, theirs):
            for parameter, gradient in zip(net.parameters(), gradients, strict=True):
                parameter.grad = gradient.clone()
        set_learning_rate(optimiser, rate, RECIPE)
        optimiser.step()
        reference.param_groups[0]["lr"] = rate
        reference.step()
        gradient = gradients[0].flatten(1)
        buffer = 0.9 * buffer + gradient
        with torch.no_grad():
            kernel *= 1 - rate * 0.02
            kernel -= rate * newton_schulz((gradient + 0.9 * buffer).double()).float().view_as(kernel)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_decay_spares_what_the_recipe_says():
    net = layers()
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    optimiser = build_optimiser(net, Recipe("x", "t", iterations=1, optimizer="muon", lr=0.5, decay="weights"))
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    moved = {name for name, parameter in net.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {"0.weight", "2.weight"}
