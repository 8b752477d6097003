"""How each table is trained, held against what the papers and their code say; every departure that is told is true."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

import pytest

from reslearn.paper import recipes as r
from reslearn.paper.cells.tiers import identity
from reslearn.paper.experiments import experiments, get_experiment
from reslearn.spec.codec import set_fields
from reslearn.spec.departures import CHANNEL_MEAN, CURES
from reslearn.spec.recipe import Recipe
from reslearn.spec.recipes import RECIPES, get_recipe

NONE = {"crop": "none", "flip": "none"}
PAD = {"crop": "pad", "pad": 4, "flip": "random"}
# experiment, row -> fields of the recipe with which it is trained; sources stand beside each
TRAINED = [
    # P1 4.2; fig. 6
    ("p1-table6", "ResNet-110", {"optimizer": "caffe-sgd", "lr": 0.1, "iterations": 64_000, "milestones": (0.5, 0.75),
                                 "decay": "weights", "hold_error": 80.0, "bn_batch": 64, "input_mean": "pixel"}, PAD),
    # 1409.1556 3.1
    ("p1-table3", "VGG-16", {"lr": 0.01, "weight_decay": 5e-4, "bn_batch": None, "epochs": 74}, {"scale": (256, 512)}),
    ("p1-table4", "VGG (v5)", {"lr": 0.01, "weight_decay": 5e-4}, {}),
    # P2 appendix: the paper, not its code
    ("p2-table2", "original, ResNet-110", {"optimizer": "caffe-sgd", "nesterov": False, "decay": "weights",
                                           "input_mean": "pixel", "hold_steps": 400, "hold_depth": 0,
                                           "bn_batch": 64}, PAD),
    # resnet-1k-layers: batch 64 on two GPUs, -nEpochs 200, fb.resnet.torch's drops
    ("p2-table4", "ResNet-1001 pre-act, batch 64", {"batch_size": 64, "bn_batch": 32, "nesterov": True, "decay": "all",
                                                    "epochs": 200, "milestones": (81 / 200, 122 / 200),
                                                    "input_mean": "channel"}, PAD),
    # P3 5.3
    ("p3-table7", "ResNeXt-29 8x64d, CIFAR-10", {"epochs": 300, "weight_decay": 5e-4, "batch_size": 128,
                                                 "milestones": (0.5, 0.75)}, PAD),
    ("p3-table7", "Wide ResNet, CIFAR-10", {"gamma": 0.2, "epochs": 200}, {"border": "reflect"}),
    # P4 5.2: the base papers' hyper-parameters, mean and std
    ("p4-table4", "SE-ResNet-110", {"input_mean": "channel", "iterations": 64_000, "hold_steps": 400}, PAD),
    ("p4-table5", "SE-WRN-16-8", {"epochs": 200, "gamma": 0.2, "input_mean": "channel"}, {"border": "reflect"}),
    ("p4-table2", "SE-ResNet-50", {"lr": 0.6, "batch_size": 1024, "epochs": 100}, {}),
    # P4 6: one machine, about 300 epochs; the footnote's 270 epochs are other rows
    *[(f"p4-table{n}", row, {"lr": 0.1, "epochs": 300, "label_smoothing": 0.1}, {})
      for n, row in ((10, "r=2"), (11, "max"), (12, "tanh"), (13, "SE stage 2"), (14, "SE-PRE"), (15, "SE_3x3"))],
    ("p4-270-epochs", "SE-ResNet-50", {"lr": 0.1, "epochs": 270, "milestones": (125 / 270, 200 / 270, 250 / 270)}, {}),
    # P5 3 and its code
    ("p5-table4", "WRN-40-4, CIFAR-10", {"nesterov": True, "lr": 0.1, "gamma": 0.2, "milestones": (0.3, 0.6, 0.8),
                                         "weight_decay": 5e-4, "epochs": 200}, {"border": "reflect"}),
    ("p5-table6", "WRN-16-4, SVHN", {"lr": 0.01, "gamma": 0.1, "epochs": 160, "milestones": (80 / 160, 120 / 160)},
     NONE),
    # 1603.09382 4
    ("p5-table5", "stoc-depth-110, CIFAR-10", {"epochs": 500, "milestones": (250 / 500, 375 / 500), "lr": 0.1}, PAD),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "fields", "augment"), TRAINED, ids=[f"{n}/{row}" for n, row, *_ in TRAINED])
def test_a_row_is_trained_as_its_paper_says(name, row, fields, augment):
    recipe = get_experiment(name).entry(row).recipe
    assert {key: getattr(recipe, key) for key in fields} == fields
    assert {key: getattr(recipe.augment, key) for key in augment} == augment


def test_dropout_is_another_on_svhn():
    table = get_experiment("p5-table6")
    of = {entry.label: entry.changes.get("dropout") for entry in table.entries}
    assert of["WRN-16-4, dropout, SVHN"] == 0.4 and of["WRN-16-4, dropout, CIFAR-10"] == 0.3
    assert of["WRN-16-4, SVHN"] is None


def test_svhn_is_divided_by_255_and_no_more():
    made = r.preprocess_for("svhn", 32)
    assert (made.mean, made.std) == ((0, 0, 0), (1, 1, 1))


def test_nets_of_width_1_read_the_stems_raw_output():
    narrow, wide = (get_experiment("p5-table4").entry(f"WRN-40-{k}, CIFAR-10").spec for k in (1, 2))
    first = narrow.blocks()[0]
    assert first.shortcut == "identity" and not first.shared_preactivation and first.norms[0] == 16
    assert narrow.resolved_stem.norms == (None,) and wide.blocks()[0].shared_preactivation


# What a departure says -> what must hold of a recipe that tells it.
TRUE = {
    CHANNEL_MEAN: lambda x: x.input_mean == "channel",
    "x0.1 at 30 and 60 epochs (1603.05027) instead of at plateaus": lambda x: (
        x.schedule == "step" and [round(m * x.iterations * x.batch_size / 1_281_167) for m in x.milestones] == [30, 60]
    ),
    "drops at 150 and 225 as the paper says; its code drops at 148 and 223": lambda x: (
        [m * x.epochs for m in x.milestones] == [150, 225]
    ),
    "bilinear crops instead of bicubic": lambda x: x.augment.crop == "random-resized",
    "weight decay 1e-4, which the paper does not give": lambda x: x.weight_decay == 1e-4,
    "pictures divided by each channel's std, too": lambda x: x.input_mean == "channel",
    "no rotation and no pixel jitter, which its code's README names": lambda x: (
        x.augment.policy == "none" and x.augment.jitter == 0
    ),
    "batch 256 on one machine, which the paper does not give": lambda x: x.batch_size == 256 and x.bn_batch == 32,
    "x0.1 at 150, 220 and 270 of 300 epochs instead of at plateaus": lambda x: (
        [round(m * x.epochs) for m in x.milestones] == [150, 220, 270] and x.epochs == 300
    ),
    "x0.1 at 1/4, 1/2 and 3/4 of 74 epochs instead of at plateaus": lambda x: (
        x.milestones == (0.25, 0.5, 0.75) and x.epochs == 74
    ),
    "first weights drawn for this depth instead of taken from a shallower net": lambda x: True,
    "trains on all 50,000 pictures; the paper holds 5,000 of them out": lambda x: True,
    "batch statistics over 8 pictures instead of 64": lambda x: x.bn_batch == 8,
    "batch statistics over 128 pictures instead of 64": lambda x: x.bn_batch == 128,
    "lr 0.01 instead of 0.1": lambda x: x.lr == 0.01,
    "three times the budget: 192,000 iterations": lambda x: x.iterations == 192_000 == 3 * r.P1_CIFAR.iterations,
    "a quarter of the budget, at the second learning rate: 16,000 iterations at 0.01": lambda x: (
        x.iterations == 16_000 == r.P1_CIFAR.iterations / 4 and (x.lr, x.schedule) == (0.01, "constant")
    ),
}
RESNEXT = "post-activation blocks and batch 128"


def used():
    found = {e.recipe.name: e.recipe for x in experiments().values() for e in x.entries if e.net}
    return list(found.values())


@pytest.mark.parametrize("recipe", used(), ids=lambda recipe: recipe.name)
def test_every_departure_that_is_told_is_true(recipe):
    for text in recipe.departures:
        if text.startswith(RESNEXT):
            assert recipe.batch_size == 128
        else:
            assert TRUE[text](recipe), text


@pytest.mark.parametrize("recipe", used(), ids=lambda recipe: recipe.name)
def test_a_recipe_that_names_the_same_source_says_in_what_it_differs(recipe):
    named = [known for known in RECIPES.values() if known.source == recipe.source and known.name != recipe.name]
    assert recipe.departures or not named


@pytest.mark.parametrize("recipe", used(), ids=lambda recipe: recipe.name)
def test_who_crops_as_fb_resnet_torch_tells_of_its_crops(recipe):
    told = set(r.FB_IMAGENET.departures) <= set(recipe.departures)
    assert told == (recipe.augment == r.FB_IMAGENET.augment)


def test_resnext_declares_its_readmes_blocks_and_batch():
    assert any("pre-activation blocks and batch 256" in text for text in get_recipe("resnext-cifar").departures)
    assert get_experiment("p3-table7").entry("ResNeXt-29 8x64d, CIFAR-10").spec.activation == "post"


@pytest.mark.parametrize("text", CURES)
def test_a_cured_departure_is_not_told(text):
    name, value = CURES[text]
    sick = [recipe for recipe in RECIPES.values() if text in recipe.departures]
    assert sick
    for recipe in sick:
        assert text not in replace(recipe, **{name: value}).departures


def test_set_on_the_command_line_cures_it():
    pixel = set_fields(get_recipe("paper-imagenet"), {"input_mean": "pixel"})
    assert CHANNEL_MEAN in get_recipe("paper-imagenet").departures and CHANNEL_MEAN not in pixel.departures
    assert len(pixel.departures) == len(get_recipe("paper-imagenet").departures) - 1


def own(value, usual):
    """Of a nested value the fields that are not as usual."""
    return {k: v for k, v in value.items() if v != usual[k]} if isinstance(value, dict) else value


def digest(recipe):
    usual = asdict(Recipe("", "", epochs=1))  # a field that a recipe leaves alone may be added at any time
    fields = {key: own(value, usual[key]) for key, value in asdict(recipe).items() if value != usual[key]}
    fields = {key: value for key, value in fields.items() if key not in ("name", "source", "departures")}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:8]


# A result in a store is found by its recipe's name and revision. One that means something else needs a higher
# revision in `paper.recipes.REVISIONS` (and then this line anew), or results of both would be mixed.
DIGESTS = {
    "paper-imagenet-steps": (1, "765850e6"),
    "vgg-imagenet": (1, "e786cb50"),
    "paper-cifar": (1, "a61c46c6"),
    "preact-cifar": (2, "c0eb7009"),
    "preact-cifar-b64": (2, "215510ca"),
    "paper-imagenet-aspect": (1, "050cf32b"),
    "resnext-imagenet": (1, "2d45c9c9"),
    "wrn-cifar": (1, "af0976f4"),
    "resnext-cifar": (1, "0c479b80"),
    "se-imagenet": (1, "a1fb9611"),
    "se-cifar": (1, "1eceddba"),
    "se-imagenet-ablation": (2, "bfc726a9"),
    "se-imagenet-270": (1, "c1a1f325"),
    "stochastic-depth-cifar": (1, "c985cb33"),
    "wrn-svhn": (1, "d2767aa3"),
    "fb-imagenet": (1, "22187df8"),
    "paper-cifar-continued": (1, "a882a970"),
    "paper-cifar-lr0.01": (1, "99202981"),
    "paper-cifar-x3": (1, "6edbbb70"),
    "paper-cifar-bn8": (1, "8a0e12d0"),
    "paper-cifar-bn128": (1, "ef27d917"),
}


@pytest.mark.parametrize("recipe", used(), ids=lambda recipe: recipe.name)
def test_a_recipe_that_means_something_else_has_another_revision(recipe):
    assert DIGESTS[recipe.name] == (r.REVISIONS.get(recipe.name, 1), digest(recipe))


def test_results_of_an_older_recipe_are_other_cells():
    entry = get_experiment("p2-table2").entry("original, ResNet-110")
    assert identity(entry) != identity(entry, revision=1)
    unchanged = get_experiment("p1-table6").entry("ResNet-20")
    assert identity(unchanged) == identity(unchanged, revision=1)
