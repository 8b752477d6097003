"""The stated rules, number by number."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reslearn.paper.cells.store import Store
from reslearn.paper.cells.tiers import cells, identity
from reslearn.paper.experiments import experiments, get_experiment
from reslearn.paper.findings.groups import checked_orders, groups_of, judged, of_older_recipes
from reslearn.paper.findings.sections import make_section
from reslearn.paper.findings.verdicts import tolerance


@pytest.fixture
def verdicts(tmp_path):
    """verdicts(experiment) -> {(row, column or statistic): (verdict, our value, n)}"""

    def read(name):
        experiment = get_experiment(name)
        found = judged(experiment, groups_of(experiment, list(Store(tmp_path / "store").results())))
        return {
            (entry.label, one.claim.statistic): (one.verdict, one.ours and one.ours.value, one.ours and one.ours.n)
            for entry, ones in found
            for one in ones
        }

    return read


def test_nothing_is_run_until_there_is_a_result(verdicts):
    assert {verdict for verdict, *_ in verdicts("p1-table6").values()} == {"not run"}


@pytest.mark.parametrize(
    ("error", "verdict"), [(8.75, "agrees"), (9.17, "agrees"), (9.19, "differs"), (8.33, "agrees"), (8.31, "differs")]
)
def test_one_full_run_may_differ_by_twice_the_typical_spread(add_result, verdicts, error, verdict):
    # 2 * 0.15 * sqrt(1/1 + 1/1) + 0.005 = 0.429
    add_result("p1-table6", "ResNet-20", error)
    assert verdicts("p1-table6")["ResNet-20", "single"][0] == verdict


def test_a_short_run_or_other_pictures_settle_nothing(add_result, verdicts):
    add_result("p1-table6", "ResNet-20", 8.75, tier="short", fraction=0.1)
    add_result("p1-table6", "ResNet-32", 7.51, sizes=(50_000, 5_000), data="cifar10-jpeg")
    found = verdicts("p1-table6")
    assert found["ResNet-20", "single"][0] == found["ResNet-32", "single"][0] == "partial"


def test_the_run_that_says_more_counts(add_result, verdicts):
    add_result("p1-table6", "ResNet-20", 30.0, tier="smoke", fraction=0.0, data="digits")
    assert verdicts("p1-table6")["ResNet-20", "single"] == ("not judged", 30.0, 1)
    add_result("p1-table6", "ResNet-20", 12.0, tier="short", fraction=0.1)
    assert verdicts("p1-table6")["ResNet-20", "single"] == ("partial", 12.0, 1)
    add_result("p1-table6", "ResNet-20", 8.7)
    assert verdicts("p1-table6")["ResNet-20", "single"] == ("agrees", 8.7, 1)


def test_best_and_mean_of_five_are_judged_by_their_own_statistic(add_result, verdicts):
    for seed, error in enumerate((6.50, 6.60, 6.70, 6.45)):
        add_result("p1-table6", "ResNet-110", error, seed=seed)
    found = verdicts("p1-table6")
    assert found["ResNet-110", "best"][0] == "partial"  # four runs cannot have the best of five
    assert found["ResNet-110", "mean"] == ("agrees", pytest.approx(6.5625), 4)
    add_result("p1-table6", "ResNet-110", 6.44, seed=4)
    assert verdicts("p1-table6")["ResNet-110", "best"] == ("agrees", 6.44, 5)


def test_a_median_is_a_median(add_result, verdicts):
    for seed, error in enumerate((5.4, 5.5, 9.0)):
        add_result("p2-table3", "CIFAR-10, 164, pre-activation", error, seed=seed)  # the same training as table 4's
    assert verdicts("p2-table4")["ResNet-164 pre-act, CIFAR-10", "median"][1:] == (5.5, 3)


def test_fail_means_above_twenty_percent_or_no_number_at_all(add_result, verdicts):
    row, key = "dropout shortcut", ("dropout shortcut", "median")
    add_result("p2-table1", row, 15.0)
    assert verdicts("p2-table1")[key][0] == "differs"
    add_result("p2-table1", row, 25.0)
    assert verdicts("p2-table1")[key][0] == "agrees"
    add_result("p2-table1", row, 0.0, diverged=120)
    assert verdicts("p2-table1")[key][0] == "agrees"


def test_results_on_cifar_100_are_no_results_on_cifar_10(add_result, verdicts):
    add_result("p2-table3", "CIFAR-100, 164, original", 25.0)
    found = verdicts("p2-table3")
    assert found["CIFAR-100, 164, original", "median"][0] == "agrees"
    assert found["CIFAR-10, 164, original", "median"][0] == "not run"


def test_tolerance_shrinks_with_runs_and_grows_with_spread(add_result, tmp_path):
    experiment = get_experiment("p1-table6")
    entry = experiment.entry("ResNet-20")
    for seed, error in enumerate((8.0, 9.0, 10.0, 9.0)):
        add_result("p1-table6", "ResNet-20", error, seed=seed)
    groups = groups_of(experiment, list(Store(tmp_path / "store").results()))
    one = judged(experiment, groups)[[e.label for e in experiment.entries].index("ResNet-20")][1][0]
    assert tolerance(entry.claims[0], one.ours) == pytest.approx(2 * one.ours.std * (1 / 4 + 1) ** 0.5 + 0.005)


@pytest.mark.parametrize(
    ("deep", "shallow", "holds"), [(9.0, 8.0, "holds"), (8.0, 9.0, "contrary"), (8.2, 8.0, "unclear")]
)
def test_an_order_holds_beyond_the_noise_of_counting(add_result, tmp_path, deep, shallow, holds):
    add_result("p1-fig1", "plain-56", deep, train=9.0)
    add_result("p1-fig1", "plain-20", shallow, train=5.0)
    experiment = get_experiment("p1-fig1")
    train, test = checked_orders(experiment, groups_of(experiment, list(Store(tmp_path / "store").results()))[0])
    assert (train.order.metric, train.holds, test.holds) == ("train_error", "holds", holds)


def test_not_worse_allows_a_tie(add_result, tmp_path):
    experiment = get_experiment("study-depth")
    for shallow, wanted in ((8.0, "holds"), (7.9, "holds"), (5.0, "contrary")):
        add_result("study-depth", "ResNet-56", 8.0, train=8.0)
        add_result("study-depth", "ResNet-20", 8.0, train=shallow)
        found = checked_orders(experiment, groups_of(experiment, list(Store(tmp_path / "store").results()))[0])
        assert next(o.holds for o in found if o.order.relation == "not worse") == wanted


@pytest.mark.parametrize("name", [e.name for e in experiments().values() if any(x.claims and x.net for x in e.entries)])
def test_simulated_full_results_judge_the_papers_own_numbers_and_no_other(add_result, tmp_path, name):
    """Every runnable row of every table at exactly its published value, then at the smoke tier."""
    experiment = get_experiment(name)
    protocols = {p for entry in experiment.entries for p in entry.protocols}  # rows may share one training
    for entry in experiment.entries:
        for seed in range(entry.runs if entry.net else 0):
            value = next((c.value for c in entry.claims if c.quantity == "top1_error"), 5.0)
            add_result(name, entry.label, 30.0 if value is None else value, seed=seed, top5=value,
                       data=f"{entry.data}-binary", protocols=protocols)  # fmt: skip
    results = list(Store(tmp_path / "store").results())
    seen = 0
    for entry, ones in judged(experiment, groups_of(experiment, results)):
        for one in ones:
            wanted = {"not run"} if not entry.net else {"not judged"} if one.claim.context else {"agrees", "differs"}
            assert one.verdict in wanted, (entry.label, one.claim.column, one.verdict, one.why)
            assert one.why
            seen += one.claim.quantity == "top1_error" and one.verdict == "agrees"
    own = [c for e in experiment.entries if e.net for c in e.claims if not c.context and c.value]
    assert seen or not own
    smoke = [replace(result, tier="smoke", fraction=0.0) for result in results]
    found = [one.verdict for _, ones in judged(experiment, groups_of(experiment, smoke)) for one in ones]
    assert set(found) <= {"not judged", "not run"} and "not judged" in found
    orders = [o.holds for group in groups_of(experiment, smoke)[:1] for o in checked_orders(experiment, group)]
    assert set(orders) <= {"not judged", "not run"}


def test_another_pipelines_number_is_never_met_nor_missed(add_result, verdicts):
    add_result("p5-table4", "WRN-28-10, CIFAR-10", 4.0)
    assert verdicts("p5-table4")["WRN-28-10, CIFAR-10", "median"] == ("not judged", 4.0, 1)
    assert verdicts("p5-table5")["WRN-28-10, CIFAR-10", "median"][0] == "agrees"
    add_result("p5-table5", "original-ResNet-1202, CIFAR-100", 28.9)
    assert verdicts("p5-table5")["original-ResNet-1202, CIFAR-100", "median"][0] == "not judged"


def test_on_digits_a_row_of_several_data_sets_is_one_number(add_result, tmp_path):
    experiment = get_experiment("p5-table6")
    labels = [cell.entry.label for cell in cells(experiment, "smoke")]
    assert "WRN-16-4, CIFAR-10" in labels and not [x for x in labels if x.endswith(("CIFAR-100", "SVHN"))]
    add_result("p5-table6", "WRN-16-4, CIFAR-10", 30.0, tier="smoke", fraction=0.0, data="digits")
    groups = groups_of(experiment, list(Store(tmp_path / "store").results()))
    ones = [(e.label, o) for e, found in judged(experiment, groups)
            for o in found if e.label.startswith("WRN-16-4, ") and "dropout" not in e.label]  # fmt: skip
    assert [(label, o.ours is not None) for label, o in ones] == [
        ("WRN-16-4, CIFAR-10", True), ("WRN-16-4, CIFAR-100", False), ("WRN-16-4, SVHN", False)]  # fmt: skip


def test_results_of_an_older_recipe_are_counted_and_left_out(add_result, tmp_path):
    experiment = get_experiment("p2-table2")
    entry = experiment.entry("original, ResNet-110")
    folder = add_result("p2-table2", entry.label, 6.6)
    path = folder / "result.json"
    value = json.loads(path.read_text()) | {"identity": identity(entry, revision=1)}
    path.write_text(json.dumps(value))
    results = list(Store(tmp_path / "store").results())
    assert groups_of(experiment, results) == [] and of_older_recipes(experiment, results) == 1
    section = make_section(experiment, results, Store(tmp_path / "store"))
    assert not section.has_results and section.missing == "Left out: 1 results of an earlier form of these recipes"


def test_a_net_trained_longer_hides_no_comparison_and_keeps_its_own_verdict(add_result, tmp_path):
    for row in ("plain-20", "plain-56", "ResNet-20", "ResNet-56"):
        add_result("p1-fig6", row, 20.0, tier="short", fraction=0.05)
    add_result("p1-fig6", "ResNet-20", 13.88, tier="short", fraction=0.2)
    add_result("p1-fig6", "plain-20", 40.0, tier="smoke", fraction=0.0)
    store = Store(tmp_path / "store")
    section = make_section(get_experiment("p1-fig6"), list(store.results()), store)
    assert section.shown.startswith("short (1/20) on ")
    assert section.shown.endswith("; besides, short (1/5) of ResNet-20 13.88 % test error")
    assert [order.subject for order in section.orders].count("20.00 %") >= 2
    table = make_section(get_experiment("p1-table6"), list(store.results()), store)
    assert {line.row: line.ours for line in table.lines}["ResNet-20"] == "13.88"
