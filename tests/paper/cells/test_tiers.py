"""Cells: what a tier makes of a recipe, which trainings are the same, and how they are shared out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reslearn.paper.cells.tiers import Cell, cells, identity, shard, too_large
from reslearn.paper.entry import Entry
from reslearn.paper.experiments import experiments, get_experiment
from reslearn.paper.recipes import P1_CIFAR, P2_CIFAR
from reslearn.spec.errors import UserError


def test_short_compresses_the_budget_and_keeps_the_milestones():
    cell = cells(get_experiment("p1-fig1"), "short")[0]
    assert (cell.recipe.iterations, cell.recipe.milestones) == (6400, P1_CIFAR.milestones)
    assert cell.recipe.departures[-1] == "1/10 of the published budget" and cell.tier_label == "short (1/10)"
    quarter = cells(get_experiment("p3-table7"), "short", fraction=0.25)[0]
    assert quarter.recipe.epochs == quarter.entry.recipe.epochs / 4
    warm = Cell(Entry("x", "resnet110_cifar", recipe=P2_CIFAR), "short", 0.1, 0)
    assert warm.recipe.hold_steps == P2_CIFAR.hold_steps // 10


def test_full_is_the_recipe_itself_with_as_many_seeds_as_published():
    found = cells(get_experiment("p1-table6"), "full")
    assert all(cell.recipe is cell.entry.recipe for cell in found)
    assert [cell.seed for cell in found if cell.entry.label == "ResNet-110"] == [0, 1, 2, 3, 4]
    assert [cell.seed for cell in found if cell.entry.label == "ResNet-20"] == [0]
    assert len(cells(get_experiment("p1-table6"), "full", seeds=2)) == 12


def test_smoke_leaves_the_large_nets_to_those_who_name_them():
    experiment = get_experiment("p1-fig6")
    labels = [cell.entry.label for cell in cells(experiment, "smoke")]
    assert "ResNet-110" in labels and "ResNet-1202" not in labels
    assert [c.entry.label for c in cells(experiment, "smoke", rows=["ResNet-1202"])] == ["ResNet-1202"]
    assert too_large(experiment.entry("ResNet-1202"))


def test_the_same_training_is_one_cell_wherever_it_appears():
    fig6, table6, depth = (get_experiment(n) for n in ("p1-fig6", "p1-table6", "study-depth"))
    assert len({identity(e.entry("ResNet-56")) for e in (fig6, table6, depth)}) == 1
    table2, table3 = get_experiment("p2-table2"), get_experiment("p2-table3")
    assert identity(table2.entry("full pre-activation, ResNet-164")) == identity(
        table3.entry("CIFAR-10, 164, pre-activation")
    )
    # and different ones are not
    a = get_experiment("study-bn")
    assert len({identity(entry) for entry in a.entries}) == len(a.entries)
    built = get_experiment("study-constructed").entry("ResNet-56 built from ResNet-20")
    assert identity(built, "x") != identity(built)


def test_shards_partition_the_cells():
    everything = cells(get_experiment("p1-table6"), "full")
    parts = [list(shard(everything, f"{i}/3")) for i in (1, 2, 3)]
    assert sorted(map(id, everything)) == sorted(id(cell) for part in parts for cell in part)
    for wrong in ("0/3", "4/3", "a/b", "2", "1/0"):
        with pytest.raises(UserError, match="--shard"):
            shard(everything, wrong)


def test_a_recipe_that_decides_on_validation_is_refused():
    for change in ({"select": "best"}, {"schedule": "plateau"}, {"early_stop": 3.0}):
        entry = Entry("x", "resnet20_cifar", recipe=replace(P1_CIFAR, **change))
        with pytest.raises(UserError, match="only watches"):
            _ = Cell(entry, "full", 1.0, 0).recipe


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tier": "tiny"}, "smoke"),
        ({"tier": "short", "fraction": 2.0}, "share"),
        ({"tier": "full", "fraction": 0.5}, "short"),
        ({"tier": "smoke", "rows": ["ResNet-21"]}, "ResNet-20"),
    ],
)
def test_wrong_choices_say_what_would_be_right(arguments, message):
    with pytest.raises(UserError, match=message):
        cells(get_experiment("p1-fig6"), **arguments)


@pytest.mark.parametrize("name", experiments())
def test_every_row_that_has_a_network_gives_a_cell_at_every_tier(name):
    experiment = get_experiment(name)
    for entry in experiment.entries:
        if entry.net:
            for tier in ("smoke", "short", "full"):
                cell = cells(experiment, tier, rows=[entry.label], seeds=1)[0]
                assert cell.recipe.total_steps(50_000) > 0 and cell.macs > 0
