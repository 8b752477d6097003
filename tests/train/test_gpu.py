"""What differs on a GPU (`pytest -m gpu`): where pictures lie, layouts, precisions, the scaler, compilation, ranks."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from reslearn.bundle.file import load
from reslearn.data.loaders import train_loader
from reslearn.data.memory import Subset
from reslearn.data.preprocess import Normalise
from reslearn.data.sources import open_data
from reslearn.engine.scorer import TorchScorer
from reslearn.measure.evaluate import evaluate_net
from reslearn.nets.build import create_model
from reslearn.runtime.choice import Workload, decide
from reslearn.runtime.settings import Settings
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipe import Augment
from reslearn.spec.recipes import RECIPES, get_recipe
from reslearn.train import checkpoint
from reslearn.train.checkpoint import Progress
from reslearn.train.fit import fit, resume
from reslearn.train.records.journal import read_journal
from reslearn.train.records.run import read_record
from reslearn.train.update import Update

pytestmark = pytest.mark.gpu
STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def _gpu():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device, and -m gpu")


@pytest.fixture(scope="module")
def digits():
    data = open_data("digits")
    return Subset(data, np.arange(640)), Subset(data, np.arange(640, 800))


def device_of(tensor):
    return tensor.device.type


@pytest.mark.parametrize(
    "augment",
    [
        get_recipe("fast-cifar").augment,
        Augment(crop="pad", policy="trivial", erase=0.5),
        Augment(crop="pad", mixup=0.5, cutmix=1.0),
        Augment(policy="rand", jitter=0.4, pca=0.1),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["resident", "streaming"])
def test_both_loaders_put_the_cpu_s_pictures_on_the_gpu(digits, augment, kind):
    made = {}
    for device in ("cpu", "cuda"):
        loader = train_loader(
            digits[0],
            normalise=Normalise(default_preprocess(16)).to(device),
            augment=augment,
            batch_size=32,
            seed=3,
            kind=kind,
        )
        made[device] = list(loader.batches(5, 7))
    for ours, theirs in zip(made["cuda"], made["cpu"], strict=True):
        assert device_of(ours.images) == device_of(ours.labels) == "cuda"
        assert torch.equal(ours.labels.cpu(), theirs.labels)
        # interpolation may round a grey level otherwise; nothing else may differ
        close = torch.isclose(ours.images.cpu(), theirs.images, atol=1e-5)
        assert close.float().mean() > 0.995 and (ours.images.cpu() - theirs.images).abs().max() < 0.1
        if ours.share is not None:
            assert torch.equal(ours.partner.cpu(), theirs.partner) and torch.equal(ours.share.cpu(), theirs.share)


def losses_of(digits, settings, **changes):
    """The losses of the first steps of `demo` on one-block stages, and the trained update."""
    recipe = replace(get_recipe("demo"), lr=0.05, **changes)
    torch.manual_seed(0)
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1))
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    update = Update(net.to(settings.device).to(memory_format=layout), recipe, settings)
    update.train_mode()
    loader = train_loader(
        digits[0],
        normalise=Normalise(default_preprocess(16)).to(settings.device),
        augment=recipe.augment,
        batch_size=recipe.batch_size,
        seed=0,
    )
    return [update(batch, 0.05, 0.0)[0] for batch in loader.batches(0, STEPS)], update


@pytest.fixture(scope="module")
def reference(digits):
    """The same steps on the CPU, in fp64: no processor's rounding is in them."""
    recipe = replace(get_recipe("demo"), lr=0.05)
    torch.manual_seed(0)
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1)).double()
    update = Update(net, recipe, Settings(precision="fp64"))
    update.train_mode()
    loader = train_loader(
        digits[0], normalise=Normalise(default_preprocess(16), dtype=torch.float64),
        augment=recipe.augment, batch_size=recipe.batch_size, seed=0,
    )  # fmt: skip
    return [update(batch, 0.05, 0.0)[0] for batch in loader.batches(0, STEPS)]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 0.01), ("bf16", 0.15), ("fp16", 0.05)])
def test_a_step_does_what_the_cpu_s_does(digits, reference, precision, tolerance, channels_last, compiled):
    if precision == "bf16" and not torch.cuda.is_bf16_supported():
        pytest.skip("needs a GPU with bf16: Ampere or newer")
    settings = Settings(device="cuda", precision=precision, channels_last=channels_last, compile=compiled)
    losses, update = losses_of(digits, settings)
    torch.compiler.reset()
    assert losses == pytest.approx(reference, rel=tolerance)
    kernels = [p for p in update.net.parameters() if p.ndim == 4 and p.shape[1] > 1 and p.shape[2] > 1]
    assert all(p.is_contiguous(memory_format=torch.channels_last) is channels_last for p in kernels)
    assert all(p.dtype == torch.float32 for p in update.net.parameters())
    assert update.scaler.is_enabled() is (precision == "fp16")


@pytest.mark.parametrize("name", list(RECIPES))
def test_every_recipe_s_step_runs_on_the_gpu(digits, name):
    recipe = RECIPES[name]
    small = {"batch_size": 64, "bn_batch": recipe.bn_batch and 32, "small_size": recipe.small_size and 8}
    recipe = replace(recipe, image_size=16, **small)
    net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1)).cuda()
    update = Update(net, recipe, Settings(device="cuda", precision="fp16"))
    update.train_mode()
    loader = train_loader(
        digits[0],
        normalise=Normalise(default_preprocess(16)).to("cuda"),
        augment=recipe.augment,
        batch_size=64,
        seed=0,
    )
    for batch in loader.batches(0, 2):
        loss, wrong = update(batch, recipe.peak_lr / 100, 0.0)
        assert np.isfinite(loss) and 0 <= wrong <= 64


def test_a_step_that_overflows_in_fp16_is_left_out_and_the_scale_halved(digits):
    update = losses_of(digits, Settings(device="cuda", precision="fp16"))[1]
    update.scaler = torch.amp.GradScaler("cuda", init_scale=2.0**40)
    before = copy.deepcopy(update.net.state_dict())
    loader = train_loader(
        digits[0], normalise=Normalise(default_preprocess(16)).to("cuda"), augment=Augment(), batch_size=64, seed=0
    )
    update(next(iter(loader.batches(0, 1))), 0.05, 0.0)
    kernels = [name for name, tensor in before.items() if tensor.ndim == 4]
    assert all(torch.equal(update.net.state_dict()[name], before[name]) for name in kernels)
    assert update.scaler.get_scale() == 2.0**39


@pytest.mark.parametrize("optimizer", ["sgd", "muon", "adamw"])
def test_a_checkpoint_brings_everything_back_to_the_gpu(digits, tmp_path, optimizer):
    settings = Settings(device="cuda", precision="fp16")
    _, update = losses_of(digits, settings, optimizer=optimizer, ema_decay=0.9)
    checkpoint.save(tmp_path, update, Progress(step=STEPS))
    _, other = losses_of(digits, settings, optimizer=optimizer, ema_decay=0.9, weight_decay=0.1)
    assert checkpoint.load_newest(tmp_path, other).step == STEPS
    assert other.scaler.state_dict() == update.scaler.state_dict()
    for mine, theirs in ((update.net, other.net), (update.average, other.average)):
        assert all(torch.equal(a, b) and b.is_cuda for a, b in zip(mine.parameters(), theirs.parameters(), strict=True))
    loader = train_loader(
        digits[0], normalise=Normalise(default_preprocess(16)).to("cuda"), augment=Augment(), batch_size=64, seed=0
    )
    assert np.isfinite(
        other(next(iter(loader.batches(0, 1))), 0.01, 0.5)[0]
    )  # the optimiser's slots are where it steps


def test_a_run_learns_seals_and_is_read_alike_on_both(digits, tmp_path):
    """On the settings that a GPU chooses by itself; the sealed scores are fp32, without TF32, as the CPU's."""
    recipe = replace(get_recipe("demo"), epochs=12)
    run = fit("resnet20_cifar", *digits, recipe, out=tmp_path / "run")
    settings = read_record(run.path).settings
    assert settings.device == "cuda" and settings.precision in ("bf16", "fp16") and "capability" in settings.source
    assert run.val["top1"] > 0.85
    on = {device: load(run.path, device=device) for device in ("cpu", "cuda")}
    scores = {
        device: evaluate_net(TorchScorer(loaded.net, loaded.normalise), digits[1], loaded.bundle.preprocess)
        for device, loaded in on.items()
    }
    assert np.allclose(scores["cpu"].logits, scores["cuda"].logits, rtol=1e-3, atol=1e-3)
    pictures = [digits[1].read(i)[0] for i in range(5)]
    answers = [TorchScorer(one.net, one.normalise).whole(pictures) for one in on.values()]
    assert np.allclose(*answers, rtol=1e-3, atol=1e-3)


def test_a_stopped_run_goes_on(digits, tmp_path):
    recipe = replace(get_recipe("demo"), epochs=2, checkpoint_every=1e-9)
    run = fit("resnet20_cifar", *digits, recipe, out=tmp_path / "run", settings=Settings(device="cuda"))
    whole = [line["loss"] for line in read_journal(run.path / "metrics.jsonl") if line["kind"] == "step"]
    run.model.unlink()
    newest = sorted((run.path / "checkpoints").glob("step-*"))[-1]
    newest.unlink()  # the one before it is left: its last step is taken again
    resume(run.path, train_data=digits[0], val_data=digits[1])
    again = [line["loss"] for line in read_journal(run.path / "metrics.jsonl") if line["kind"] == "step"]
    assert len(again) == len(whole) and again[-1] == pytest.approx(whole[-1], rel=0.05)


def test_settings_follow_from_the_gpu():
    made = decide(Workload(1e18, 1e16), tuned_allocator=True)
    assert made.device == "cuda" and made.compile
    assert made.precision == ("bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp16")


RANKS = """
import json, torch
from reslearn.data.loaders import train_loader
from reslearn.data.preprocess import Normalise
from reslearn.data.sources import open_data
from reslearn.nets.build import create_model
from reslearn.runtime.process_group import process_group
from reslearn.runtime.settings import Settings
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipes import get_recipe
from reslearn.train.update import Update

with process_group("cuda") as world:
    recipe = get_recipe("demo")
    loader = train_loader(open_data("digits"), normalise=Normalise(default_preprocess(16)).to("cuda"),
                          augment=recipe.augment, batch_size=64, seed=0, world=world)
    torch.manual_seed(0)
    settings = Settings(device="cuda", precision="fp16")
    update = Update(create_model("resnet20_cifar").cuda(), recipe, settings, world=world)
    update.train_mode()
    for batch in loader.batches(0, 5):
        update(batch, 0.01, 0.0)
    places = world.gather((batch.images.device.index, next(update.net.parameters()).device.index, len(batch.labels)))
    if world.first:
        print(json.dumps(places))
"""


def torchrun(*arguments):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run([*launcher, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def _two_gpus():
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two CUDA devices")


@pytest.mark.usefixtures("_two_gpus")
def test_each_of_two_ranks_has_its_pictures_and_its_network_on_its_own_gpu(tmp_path):
    (tmp_path / "ranks.py").write_text(RANKS)
    done = torchrun(tmp_path / "ranks.py")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[0, 0, 32], [1, 1, 32]]


@pytest.mark.usefixtures("_two_gpus")
def test_two_ranks_train_one_run(tmp_path):
    words = ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--epochs", "6", "--json"]
    done = torchrun("-m", "reslearn", *words, "--out", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["val"]["top1"] > 0.7
