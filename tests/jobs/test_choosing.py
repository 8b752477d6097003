"""What nobody named is chosen by a table of facts: rows of the table, and what it does not touch."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reslearn.data.memory import ArrayDataset
from reslearn.jobs.choosing import (
    FROM_WEIGHTS,
    MOST_EPOCHS,
    PATIENCE,
    TABLE,
    Choice,
    Facts,
    about,
    choose,
    facts_of,
    shorter_side,
    timed,
)
from reslearn.jobs.crossval import plan_crossval
from reslearn.jobs.resolve import TrainRequest, resolve
from reslearn.runtime.choice import Machine
from reslearn.runtime.machine import Rates
from reslearn.runtime.processor import Processor
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.recipes import get_recipe

from .noise import noise

LAPTOP, GPU = 300.0, 20_000.0  # GFLOP/s


@pytest.mark.parametrize(
    ("pictures", "side", "gigaflops", "model", "recipe", "size"),
    [
        (1_437, 8, LAPTOP, "resnet20_cifar", "demo", 16),  # digits
        (50_000, 32, LAPTOP, "resnet20_cifar", "fast-cifar", 32),  # CIFAR on two cores
        (50_000, 32, GPU, "resnet18_w64_cifar", "fast-cifar", 32),
        (270, 32, LAPTOP, "resnet18_w64_cifar", "fast-cifar", 32),
        (5_000, 96, LAPTOP, "resnet18", "folder", 96),
        (50_000, 96, LAPTOP, "resnet20_cifar", "folder", 64),
        (5_000, 96, GPU, "resnet18", "folder", 96),
        (270, 375, LAPTOP, "resnet18", "folder", 128),  # photographs
        (270, 375, GPU, "resnet18", "folder", 224),
        (20_000, 375, GPU, "resnet50", "folder", 224),
        (12, 375, LAPTOP, "resnet20_cifar", "folder", 64),  # from nothing, on so few, nothing larger is worth its time
        (12, 375, GPU, "resnet20_cifar", "folder", 64),
        (12, 32, LAPTOP, "resnet20_cifar", "fast-cifar", 32),
        (1_000_000, 375, LAPTOP, "resnet20_cifar", "folder", 64),  # nothing is quick: the smallest
        (10, 8, LAPTOP, "resnet20_cifar", "demo", 16),
    ],
)
def test_the_table_row_by_row(pictures, side, gigaflops, model, recipe, size):
    choice = choose(Facts(pictures, 10, side, gigaflops))
    assert (choice.model, choice.recipe, choice.image_size) == (model, recipe, size)


@pytest.mark.parametrize(
    ("pictures", "epochs", "batch"), [(10, 100, 8), (270, 74, 16), (1_000, 20, 64), (50_000, 15, 128)]
)
def test_few_pictures_are_looked_at_more_often_in_smaller_batches(pictures, epochs, batch):
    choice = choose(Facts(pictures, 10, 375, LAPTOP))
    recipe = get_recipe("folder")
    assert float(choice.changes.get("epochs", recipe.epochs)) == epochs <= MOST_EPOCHS
    assert int(choice.changes.get("batch_size", recipe.batch_size)) == batch
    rate = float(choice.changes.get("lr", recipe.lr))
    assert rate == pytest.approx(recipe.lr * batch / recipe.batch_size)  # the rate goes with the batch
    assert (f"lr {rate:g} (0.1 at batches of 128)" in choice.lines()[0]) == (batch != recipe.batch_size)
    named = choose(Facts(pictures, 10, 375, LAPTOP), fixed=frozenset({"batch_size"}), batch_size=32)
    assert named.changes["lr"] == "0.025" and "batch_size" not in named.changes
    for own in ("lr", "lr_batch"):
        assert "lr" not in choose(Facts(pictures, 10, 375, LAPTOP), fixed=frozenset({own})).changes


def test_how_long_it_takes_is_said_where_the_machine_s_rates_are_known():
    spec, recipe = get_spec("resnet20_cifar"), get_recipe("fast-cifar")
    facts = Facts(50_000, 10, 32, LAPTOP, rates_known=True)
    known = timed(choose(facts), spec, recipe, 50_000)
    assert known.seconds == pytest.approx(6 * 8 * 50_000 * 40.8e6 / (LAPTOP * 1e9), rel=0.02)  # 40.8 M multiply-adds
    assert known.lines()[0].endswith(
        "; by that a training takes about 5 min (an estimate, which reslearn plan measures)"
    )
    assert "a fold takes" in known.lines(each="fold")[0] and known.to_json()["estimated_seconds"] > 300
    for unknown in (replace(facts, rates_known=False), replace(facts, world=2)):
        silent = timed(choose(unknown), spec, recipe, 50_000)
        assert (
            silent.seconds is None
            and "takes" not in " ".join(silent.lines())
            and "estimated_seconds" not in silent.to_json()
        )
    assert [about(seconds) for seconds in (20, 70, 500, 3 * 3600)] == ["under a minute", *(
        f"about {text}" for text in ("1 min", "8 min", "3 h"))]  # fmt: skip


def test_the_network_fits_the_budget_that_is_named(tmp_path):
    facts = Facts(20_000, 10, 375, LAPTOP)
    sizes = [choose(facts, fixed=frozenset({"epochs"}), epochs=epochs).image_size for epochs in (0.1, 0.5, 2.0, 200.0)]
    assert sizes == [224, 224, 128, 64] and choose(facts, epochs=0.1).model == "resnet50"
    data = str(noise(tmp_path / "data", count=60, side=40))
    for options, model in (
        ({}, "resnet18_w64_cifar"),
        ({"epochs": 1e6}, "resnet20_cifar"),
        ({"changes": {"iterations": "10000000"}}, "resnet20_cifar"),
        ({"changes": {"images": "1000"}}, "resnet18_w64_cifar"),
    ):
        assert resolve(TrainRequest(data, **options)).start.spec.name == model, options


def test_the_rate_that_is_set_is_the_rate_that_steps_are_taken_with(tmp_path):
    data = str(noise(tmp_path / "data", count=60, side=40))

    def peak(**changes):
        plan = resolve(TrainRequest(data, "resnet20_cifar", epochs=3, changes=changes))
        return plan.start.recipe.batch_size, plan.start.recipe.peak_lr, " ".join(plan.advice())

    assert peak()[:2] == (8, 0.025)  # of fast-cifar's 0.4 at 128
    assert peak(batch_size="16")[:2] == (16, 0.05) and "is high" not in peak(batch_size="16")[2]
    assert peak(lr="0.03")[:2] == (8, 0.03)
    assert peak(lr="0.4", lr_batch="64")[:2] == (8, 0.05)


def test_what_is_named_is_left_alone():
    facts = Facts(270, 10, 375, LAPTOP)
    assert not choose(facts, model="resnet50", recipe="folder")
    only_recipe = choose(facts, model="resnet50")
    assert only_recipe.model is None and only_recipe.recipe == "folder" and only_recipe.image_size is None
    only_model = choose(facts, recipe="paper-cifar")
    assert only_model.recipe is None and not only_model.changes and only_model.model
    assert choose(facts, image_size=64).image_size is None
    fixed = choose(facts, fixed=frozenset({"epochs", "batch_size"}))
    assert not {"epochs", "batch_size", "lr"} & fixed.changes.keys()
    assert choose(facts, from_weights=True).recipe == "finetune"


def test_every_process_gets_an_equal_part_of_a_batch():
    for world in (1, 2, 3, 5):
        batch = int(choose(Facts(100, 2, 375, LAPTOP, world)).changes["batch_size"])
        assert batch % world == 0 and batch >= 8


def test_each_band_ends_with_the_cheapest_and_says_what_it_costs():
    from reslearn.jobs.choosing import _seconds

    for band in TABLE:
        seconds = [_seconds(Facts(20_000, 10, 32, LAPTOP), net, 1.0) for net in band.nets]
        assert seconds == sorted(seconds, reverse=True)
    assert PATIENCE <= 3600


def test_the_table_in_the_docs_is_the_one_that_chooses():
    page = (Path(__file__).parents[2] / "docs/en/guide/training.md").read_text()
    rows = [
        line.split("|")[1:4] for line in page.splitlines() if re.match(r"\| (up to \d+|more|with `--weights`)", line)
    ]
    assert len(rows) == len(TABLE) + 1
    for (side, recipe, nets), band in zip(rows, (*TABLE, FROM_WEIGHTS), strict=True):
        assert recipe.strip() == f"`{band.recipe}`"
        assert band.side == float("inf") or str(int(band.side)) in side
        sizes = [net.size for net in band.nets] if band is not FROM_WEIGHTS else [224]  # which is the weights' to say
        assert [int(text) for text in re.findall(r"at (\d+)", nets)] == sizes
        named = re.findall(r"`(resnet\w+)`", nets)
        assert named == [*dict.fromkeys(net.model for net in band.nets)]
        told = {int(text.replace(",", "")) for text in re.findall(r"from ([\d,]+\d)", nets)}
        assert told == {net.least for net in band.nets} - {0}


def test_facts_are_read_off_headers_and_rates(tmp_path):
    sizes = {"a": (64, 200), "b": (64, 90)}
    from PIL import Image

    for name, size in sizes.items():
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("RGB", size).save(tmp_path / name / f"{i}.jpg")
    (tmp_path / "a" / "3.jpg").write_bytes(b"\xff\xd8 no more than a beginning")
    from reslearn.data.sources import open_data

    data = open_data(tmp_path)
    assert shorter_side(data) == 64
    processor = Processor("X", 1, 1, "X", frozenset())
    machine = Machine(processor, 2, rates=Rates(2, {"fp32": 100.0, "bf16": 200.0}))
    facts = facts_of(data, machine=machine, device="cpu")
    assert (facts.pictures, facts.classes, facts.gigaflops) == (7, 2, 180.0)
    assert facts_of(data, device="cuda").gigaflops > 10 * facts.gigaflops
    memory = ArrayDataset(np.zeros((4, 20, 30, 3), np.uint8), np.zeros(4), classes=["a"], ids=list("abcd"))
    assert shorter_side(memory) == 20


def test_train_plan_and_crossval_choose_alike(tmp_path):
    request = TrainRequest(str(noise(tmp_path / "data")))
    plan, folds = resolve(request), plan_crossval(request, folds=2)
    for one in (plan.start, folds.start):
        assert (one.spec.name, one.recipe.name, one.preprocess.size) == ("resnet20_cifar", "demo", 16)
    assert plan.start.recipe == folds.start.recipe
    for known in (plan.to_json()["advice"], folds.to_json()["advice"]):
        assert any("to learn from nothing" in line for line in known)
    assert any("reslearn crossval" in line for line in plan.advice())
    assert not any("crossval" in line for line in folds.advice())  # it does score every picture
    told = plan.to_json()["chosen"]
    assert told["model"] == "resnet20_cifar" and told["facts"]["pictures"] == 18 and told["epochs"] == "100"
    assert "--model" in " ".join(plan.choice.lines()) and "8 pixels" in plan.choice.lines()[0]
    named = resolve(TrainRequest(str(tmp_path / "data"), "resnet20_cifar", "demo"))
    assert named.to_json()["chosen"] is None and named.choice.lines() == [] and not named.choice


def test_a_request_that_is_wrong_whatever_the_data_are_is_refused_before_they_are_read(tmp_path):
    for change, words in (
        ({"epochs": 0.0}, "--epochs is 0"),
        ({"recipe": "demoo"}, "did you mean demo"),
        ({"model": "resnet5"}, "did you mean resnet5"),
        ({"changes": {"lrr": "1"}}, "did you mean lr"),
    ):
        with pytest.raises(UserError, match=words):
            resolve(TrainRequest(str(tmp_path / "nowhere"), **change))


def test_the_network_of_sealed_weights_is_theirs(run, flat):
    plan = resolve(TrainRequest(str(flat), weights=str(run)))
    assert plan.start.spec.stage_channels == (4, 4, 4) and plan.start.recipe.name == "finetune"


def test_nothing_chosen_is_no_choice():
    assert not Choice() and Choice().to_json() is None
