"""Each part of an optimiser step against something written down elsewhere: the papers' formulas, torch's own."""

from __future__ import annotations

import copy
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image as Pillow
from torch import nn

from reslearn.data.loaders import Batch
from reslearn.data.memory import Subset
from reslearn.data.sources import open_data
from reslearn.nets.batchnorm import BatchNorm
from reslearn.nets.build import create_model
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError
from reslearn.spec.recipe import Recipe
from reslearn.train import schedule
from reslearn.train.fit import fit
from reslearn.train.optimiser import SGD, AdamW, _orthogonal, build_optimiser, frozen_parameters, set_learning_rate
from reslearn.train.update import Update

RATES = [0.1, 0.1, 0.01, 0.01, 0.05]


def quadratic_path(recipe, rates):
    """Positions of one weight that descends w^2 / 2 under the recipe's optimiser."""
    net = nn.Linear(1, 1, bias=False)
    nn.init.ones_(net.weight)
    optimiser, path = build_optimiser(net, recipe), []
    for rate in rates:
        set_learning_rate(optimiser, rate, recipe)
        optimiser.zero_grad()
        (net.weight**2 / 2).sum().backward()
        optimiser.step()
        path.append(net.weight.item())
    return path


def test_caffes_momentum_keeps_the_rate_inside_the_velocity():
    """v = m v + lr (g + decay w), w -= v, written out."""
    recipe = Recipe("x", "test", iterations=9, optimizer="caffe-sgd", momentum=0.9, weight_decay=0.01)
    w, v, expected = 1.0, 0.0, []
    for rate in RATES:
        v = 0.9 * v + rate * (w + 0.01 * w)
        w -= v
        expected.append(w)
    assert quadratic_path(recipe, RATES) == pytest.approx(expected, rel=1e-5)
    pytorch = quadratic_path(replace(recipe, optimizer="sgd"), RATES)
    assert pytorch[:2] == pytest.approx(expected[:2], rel=1e-5), "the same while the rate is constant"
    assert pytorch[2] != pytest.approx(expected[2], rel=1e-3), "different after a drop"


def test_muons_update_is_orthogonal_and_scaled():
    for rows, columns in ((16, 27), (64, 16), (32, 32)):
        update = _orthogonal(torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)), steps=5)
        values = torch.linalg.svdvals(update) / max(1.0, rows / columns) ** 0.5
        assert values.min() > 0.3
        assert values.max() < 1.3


def test_muons_three_steps_stretch_no_direction_beyond_the_others():
    for rows, columns in ((16, 256), (128, 16), (32, 32)):
        update = _orthogonal(torch.randn(rows, columns, generator=torch.Generator().manual_seed(0)))
        values = torch.linalg.svdvals(update) / max(1.0, rows / columns) ** 0.5
        assert values.max() < 1.3
        assert rows == columns or values.min() > 0.6  # a square matrix keeps its near-null directions


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_kernel_of_fixed_norm_is_replaced_by_the_share_that_the_rate_says(precision):
    torch.manual_seed(0)
    kernel = nn.Conv2d(24, 8, 3, bias=False)
    with torch.no_grad():
        kernel.weight.mul_(7.0)  # the scale that it starts from is forgotten
    before, gradient = kernel.weight.detach().clone(), torch.randn_like(kernel.weight)
    kernel.weight.grad = gradient.clone()
    recipe = Recipe("x", "test", iterations=1, optimizer="muon", fixed_norm=True, lr=0.25, weight_decay=0.0)
    build_optimiser(kernel, recipe, precision=precision).step()

    rescaled = before * 8**0.5 / before.norm()
    u, _, v = torch.linalg.svd(gradient.flatten(1), full_matrices=False)  # what Newton-Schulz comes near to
    moved = ((rescaled - kernel.weight.detach()) / 0.25).flatten(1)
    assert torch.nn.functional.cosine_similarity(moved.flatten(), (u @ v).flatten(), dim=0) > 0.95
    assert moved.norm() == pytest.approx(8**0.5, rel=0.3)


def batch_of(count, generator):
    images = torch.randn(count, 3, 8, 8, generator=generator)
    labels = torch.randint(0, 10, (count,), generator=generator)
    return Batch(images, labels, np.arange(count), np.arange(count))


def frozen_norm_net(spec):
    torch.manual_seed(0)
    return create_model(spec, num_classes=10)


def test_accumulation_clipping_and_averaging_against_plain_torch(tiny_spec):
    recipe = Recipe(
        "x", "test", iterations=9, batch_size=32, accumulate=4, lr=0.1, clip_norm=0.5, ema_decay=0.9, freeze_bn=True,
        label_smoothing=0.1, decay="weights", weight_decay=0.01,
    )  # fmt: skip
    net, theirs = frozen_norm_net(tiny_spec), frozen_norm_net(tiny_spec)
    update = Update(net, recipe, Settings(channels_last=False))
    update.train_mode()
    theirs.eval()  # frozen batch norm: the loss does not depend on how the batch is cut
    moving = [p for n, p in theirs.named_parameters() if "norm" not in n]
    groups = [
        {"params": [p for p in moving if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in moving if p.ndim == 1]},
    ]
    reference = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
    average = [p.detach().clone() for p in moving]
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        batch = batch_of(32, generator)
        loss, wrong = update(batch, 0.1, 0.0)
        reference.zero_grad()
        logits = theirs(batch.images)
        expected = F.cross_entropy(logits, batch.labels, label_smoothing=0.1)
        expected.backward()
        nn.utils.clip_grad_norm_(moving, 0.5)
        reference.step()
        average = [0.9 * a + 0.1 * p.detach() for a, p in zip(average, moving, strict=True)]
        assert loss == pytest.approx(expected.item(), rel=1e-5)
        assert wrong == int((logits.argmax(1) != batch.labels).sum())
    ours = [p for n, p in net.named_parameters() if "norm" not in n]
    followed = [p for n, p in update.average.named_parameters() if "norm" not in n]
    for a, b, c, d in zip(ours, moving, followed, average, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(c, d, rtol=1e-4, atol=1e-6)
    assert all(p.grad is None for n, p in net.named_parameters() if "norm" in n)


def test_early_pictures_are_shrunk_as_pillow_does_it(tiny_spec):
    """Antialiased: one pixel in four would show a stripe where there is a grey."""
    recipe = Recipe("x", "test", iterations=10, small_size=8, small_part=0.4)
    update = Update(frozen_norm_net(tiny_spec), recipe, Settings())
    plain = np.random.default_rng(0).random((20, 20), dtype=np.float32)
    batch = Batch(torch.from_numpy(plain)[None, None].repeat(2, 3, 1, 1), torch.zeros(2), np.arange(2), np.arange(2))
    small = update._sized(batch, 0.39).images
    expected = np.asarray(Pillow.fromarray(plain).resize((8, 8), Pillow.Resampling.BILINEAR))
    assert small.shape == (2, 3, 8, 8)
    np.testing.assert_allclose(small[1, 2].numpy(), expected, atol=1e-5)
    assert update._sized(batch, 0.4) is batch, "from then on they are as they are"


def test_class_weights_and_mixed_labels_enter_the_loss(tiny_spec):
    recipe = Recipe("x", "test", iterations=9, lr=1e-9)
    weights = torch.linspace(0.5, 1.5, 10)
    update = Update(frozen_norm_net(tiny_spec), recipe, Settings(), class_weights=weights)
    update.net.eval()
    batch = batch_of(8, torch.Generator().manual_seed(2))
    partner, share = batch.labels.flip(0), torch.linspace(0, 1, 8)
    mixed = Batch(batch.images, batch.labels, batch.positions, batch.samples, partner, share)
    logits = update.net(batch.images)
    first, second = (F.cross_entropy(logits, labels, weights, reduction="none") for labels in (batch.labels, partner))
    loss, _ = update(mixed, 1e-9, 0.0)
    assert loss == pytest.approx((share * first + (1 - share) * second).mean().item(), rel=1e-5)


def test_stages_thaw_from_the_head_backwards(tiny_spec):
    net = frozen_norm_net(tiny_spec)
    recipe = Recipe("x", "test", iterations=9, unfreeze=(0.2, 0.4, 0.6))
    names = {id(p): n for n, p in net.named_parameters()}
    parts = {name: ".".join(name.split(".")[:2]) for name in names.values()}
    held = {at: {parts[names[id(p)]] for p in frozen_parameters(net, recipe, at)} for at in (0.0, 0.2, 0.4, 0.6)}
    assert held[0.0] == {"stem.conv", "stem.norm", "stages.0", "stages.1"}
    assert held[0.2] == {"stem.conv", "stem.norm", "stages.0"}
    assert held[0.4] == {"stem.conv", "stem.norm"}
    assert held[0.6] == set()


def test_a_plateau_drops_the_rate_as_torchs_scheduler_does():
    recipe = Recipe("x", "test", iterations=100, lr=1.0, schedule="plateau", patience=3, gamma=0.1)
    errors = [9, 8, 8, 8.5, 8, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6]
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimiser, factor=0.1, patience=2, threshold=0)
    seen = schedule.RateState()
    for epoch, error in enumerate(errors, 1):
        schedule.after_validation(recipe, seen, epoch, error)
        theirs.step(error)
        assert schedule.learning_rate(recipe, 0, 100, seen) == pytest.approx(optimiser.param_groups[0]["lr"])
    assert seen.drops == 4


def test_the_papers_warm_up_ends_when_the_training_error_is_low():
    recipe = Recipe("x", "test", iterations=100, lr=0.1, hold_lr=0.01, hold_error=80.0, hold_depth=110)
    assert not schedule.start(recipe, 56).holding
    seen, rates = schedule.start(recipe, 110), []
    for step, error in enumerate([95, 90, 81, 79, 85], 1):
        rates.append(schedule.learning_rate(recipe, step, 100, seen))
        schedule.after_step(recipe, seen, step, error)
    assert rates == [0.01, 0.01, 0.01, 0.01, 0.1]


@pytest.fixture
def digits():
    data = open_data("digits")
    return Subset(data, np.arange(320)), Subset(data, np.arange(320, 420))


def test_a_loss_that_explodes_stops_at_once_and_keeps_the_last_checkpoint(tiny_spec, tiny_recipe, digits, tmp_path):
    recipe = replace(tiny_recipe, lr=1e25, schedule="constant", iterations=40)
    with pytest.raises(UserError, match=r"loss became (nan|inf) at step \d+ with learning rate \d") as told:
        fit(tiny_spec, *digits, recipe, out=tmp_path / "run", settings=Settings())
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert len([line for line in lines if line["kind"] == "step"]) < 10
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert "; no checkpoint was written before; " in str(told.value)
    tried = float(re.search(r"--set lr=(\S+)$", str(told.value))[1])
    assert 0 < tried <= Recipe.lr  # a rate that can be meant, not 2.5e+24
    every = replace(recipe, lr=1e4, checkpoint_every=1e-9)
    with pytest.raises(UserError, match=r"the checkpoint of step [1-9]\d* is kept"):
        fit(tiny_spec, *digits, every, out=tmp_path / "kept", settings=Settings())


@pytest.mark.parametrize(
    "changes",
    [
        {"select": "best"},
        {"ema_decay": 0.9, "select": "ema"},
        {"bn_statistics": "exact"},
        {"input_mean": "pixel"},
        {"bn_batch": 16},
        {"small_size": 6, "small_part": 0.5},
        {"optimizer": "muon", "lr": 0.02, "fixed_norm": True},
        {"optimizer": "adamw", "lr": 0.002},
        {"early_stop": 4.0},
        {"log_gradients": True},
        {"augment.mixup": 0.2, "class_weights": "balanced"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_every_option_trains_and_is_sealed_as_it_scored(changes, tiny_spec, tiny_recipe, digits, tmp_path):
    from reslearn.bundle.file import load
    from reslearn.measure.evaluate import evaluate
    from reslearn.spec.codec import set_fields

    recipe = set_fields(tiny_recipe, {name: json.dumps(value) for name, value in changes.items()})
    run = fit(tiny_spec, *digits, recipe, out=tmp_path / "run", settings=Settings())
    again = evaluate(load(run.path), digits[1]).to_json()
    assert again["top1"] == run.val["top1"] > 0.25
    assert again["loss"] == run.val["loss"]
    if "log_gradients" in changes:
        assert '"kind": "gradients"' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_without_validation_the_last_weights_are_kept(tiny_spec, tiny_recipe, digits, tmp_path):
    run = fit(tiny_spec, digits[0], None, tiny_recipe, out=tmp_path / "run", settings=Settings())
    assert run.val is None
    assert run.best_epoch is None
    assert run.model.exists()


def test_running_out_of_memory_says_what_to_set(tiny_recipe):
    from reslearn.train.batch_size import memory_advice

    with (
        pytest.raises(UserError, match=r"64 pictures at once; --set accumulate=2 .* batch of 64"),
        memory_advice(tiny_recipe),
    ):
        torch.empty(2**58)
    with pytest.raises(RuntimeError, match="shape"), memory_advice(tiny_recipe):
        torch.zeros(2, 3) @ torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-3}),
        (SGD, torch.optim.SGD, {"momentum": 0.9}),
        (AdamW, torch.optim.AdamW, {"betas": (0.8, 0.99), "weight_decay": 0.1}),
    ],
)
def test_the_optimisers_are_torch_s_to_the_bit(ours, theirs, options):
    weights = {}
    for kind in (ours, theirs):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))
        optimiser = kind(net.parameters(), lr=0.1, **options)
        for _ in range(5):
            optimiser.zero_grad(set_to_none=True)
            net(torch.randn(4, 7)).square().sum().backward()
            optimiser.step()
        state = optimiser.state_dict()["state"]
        weights[kind] = [*net.parameters(), *(torch.as_tensor(v) for slots in state.values() for v in slots.values())]
    assert all(torch.equal(a, b) for a, b in zip(weights[ours], weights[theirs], strict=True))


def test_rates_fall_towards_the_stem(tiny_spec):
    net = create_model(tiny_spec)
    recipe = Recipe("r", "s", epochs=1, lr=0.1, layer_decay=0.5, decay="weights", schedule="constant")
    optimiser = build_optimiser(net, recipe)
    set_learning_rate(optimiser, 0.1, recipe)
    rate = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert len(rate) == len(list(net.parameters()))
    found = {name.split(".")[0] + name.split(".")[1] * name.startswith("stages"): rate[id(p)]
             for name, p in net.named_parameters()}  # fmt: skip
    assert found == pytest.approx({"head": 0.1, "stages1": 0.05, "stages0": 0.025, "stem": 0.0125})
    decays = {group["weight_decay"] for group in optimiser.param_groups}
    assert decays == {0.0, recipe.weight_decay}


@pytest.mark.parametrize("optimizer", ["sgd", "caffe-sgd", "adamw", "muon"])
def test_a_share_of_the_rate_is_torch_s_own_step_at_that_rate(tiny_spec, optimizer):
    torch.manual_seed(0)
    net = create_model(tiny_spec)
    recipe = Recipe("r", "s", epochs=1, lr=0.1, optimizer=optimizer, schedule="constant")
    slow, plain = copy.deepcopy(net), copy.deepcopy(net)
    falling, alike = (build_optimiser(one, r) for one, r in ((slow, replace(recipe, layer_decay=0.5)), (plain, recipe)))
    for step in range(3):
        for one, optimiser, rate in ((slow, falling, 0.2), (plain, alike, 0.1)):
            set_learning_rate(optimiser, rate / (step + 1), recipe)
            torch.manual_seed(step)
            for _, parameter in sorted(one.named_parameters()):
                parameter.grad = torch.randn_like(parameter)
            optimiser.step()
    last = [name for name, _ in net.named_parameters() if name.startswith("stages.1")]  # at half of 0.2
    ours, theirs = dict(slow.named_parameters()), dict(plain.named_parameters())
    for name in last:
        torch.testing.assert_close(ours[name], theirs[name])


@pytest.mark.parametrize(
    ("fields", "processes", "stands"),
    [
        ({"batch_size": 64}, 1, False),
        ({"batch_size": 16}, 1, True),
        ({"batch_size": 64, "accumulate": 4}, 1, True),
        ({"batch_size": 64}, 4, True),
        ({"batch_size": 64, "bn_sync": True}, 4, False),
        ({"batch_size": 64, "bn_batch": 16}, 1, True),
        ({"batch_size": 16, "freeze_bn_below": None}, 1, False),
        ({"batch_size": 64, "freeze_bn": True}, 1, True),
    ],
)
def test_batch_norm_stands_where_few_pictures_are_normalised_together(tiny_spec, fields, processes, stands):
    recipe = Recipe("r", "s", epochs=1, **{"freeze_bn_below": 32, **fields})
    assert recipe.settled(processes).freeze_bn is stands
    if processes == 1:
        update = Update(create_model(tiny_spec), recipe, Settings())
        update.train_mode()
        assert update.net.stem.norm.training is not stands


@pytest.mark.parametrize("bn_batch", [None, 4])
def test_batch_norm_is_ours_only_where_slices_are_asked_for(bn_batch, tiny_spec):
    update = Update(frozen_norm_net(tiny_spec), Recipe("x", "test", iterations=1, bn_batch=bn_batch), Settings())
    found = [layer.bn_batch for layer in update.net.modules() if isinstance(layer, BatchNorm)]
    assert bool(found) == (bn_batch is not None) and set(found) <= {bn_batch}
