"""study-gradients for real, in seconds: the order of the five cases that the study is about; times in their form."""

from __future__ import annotations

import json

import pytest
import torch

from reslearn.cli.app import main
from reslearn.interpret.gradients import path_factors
from reslearn.nets.build import create_model
from reslearn.paper.cells import measured
from reslearn.paper.cells.measured import batch
from reslearn.paper.cells.store import Store
from reslearn.paper.cells.thirds import fate, first_over_last, plain
from reslearn.paper.experiments import get_experiment
from reslearn.paper.findings.conclusions import SMOKE_ONLY
from reslearn.paper.findings.part_conclusions import times
from reslearn.paper.findings.sections import make_section


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("measured"))
    return store, measured.measure(get_experiment("study-gradients"), "smoke", store)


def test_the_five_cases_stand_in_their_order(found):
    ratio = {(row["net"], row["norm"], row["init"]): row["ratio"] for row in found[1]["rows"]}
    assert len(ratio) == 16
    cases = [
        ratio["plain-20", "no BN", "std 0.01"],  # vanishes altogether
        ratio["plain-56", "no BN", "He"],
        ratio["ResNet-56", "no BN", "std 0.01"],  # the shortcuts keep it
        ratio["ResNet-56", "BN", "He"],
        ratio["plain-56", "BN", "He"],  # explodes towards the front
    ]
    assert cases == sorted(cases)
    assert cases[0] < 1e-6 < cases[1] < 1 < cases[3] < 50 < cases[4]


def test_a_block_multiplies_the_gradient_by_one_plus_f_prime(found):
    path = found[1]["path"]
    assert len(path) == 25 and path[0]["block"] == "stages.2.8"  # from the last block to the first
    assert all(factor["along"] > 0 for factor in path)


def test_the_factor_is_that_of_the_residual_function_alone():
    torch.manual_seed(0)
    net = create_model("resnet20_cifar", activation="pre", projection_norm=False).train()
    images, labels = batch(4)
    last, *_ = path_factors(net, images, labels)
    block, kept = net.blocks()[-1], {}
    handle = block.register_forward_hook(lambda _, args, y: kept.update(x=args[0].detach(), y=y))
    loss = torch.nn.functional.cross_entropy(net(images), labels)
    handle.remove()
    (g,) = torch.autograd.grad(loss, kept["y"])
    _, of_residual = torch.autograd.functional.vjp(lambda x: block(x) - x, kept["x"], g)
    assert last.block == block.spec.name
    assert last.along == pytest.approx(1 + float((of_residual * g).sum() / g.square().sum()), rel=1e-4)


def test_what_is_in_the_store_is_not_measured_again(found, monkeypatch):
    store, value = found
    monkeypatch.setattr(measured, "MEASURES", {})
    for tier in ("smoke", "full"):  # which changes nothing of it
        assert measured.measure(get_experiment("study-gradients"), tier, store)["rows"] == value["rows"]


def test_the_section_tells_and_draws_what_was_measured(found):
    section = make_section(get_experiment("study-gradients"), [], found[0])
    told = " ".join(section.conclusion)
    assert section.shown.startswith("measured on") and "it explodes towards the front" in told and "1 + F'" in told
    section.draw().draw_without_rendering()


def test_without_a_measurement_the_section_says_what_to_run(tmp_path):
    section = make_section(get_experiment("p5-fig4"), [], Store(tmp_path))
    assert not section.has_results and section.idle == "Not run: `reslearn paper run p5-fig4 --tier short`."


def test_times_of_a_minibatch(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(measured, "TIMED", (("a", "plain20_cifar", {}), ("b", "resnet20_cifar", {})))
    assert main(["paper", "run", "p5-fig4", "--store", str(tmp_path), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)["measured"]
    assert value["batch"] == 2 and [row["net"] for row in value["rows"]] == ["a", "b"]
    assert all(row["seconds"] > 0 for row in value["rows"])


def test_what_was_measured_is_printed_with_its_units(tmp_path, capsys):
    rows = [{"net": "thin, 1001", "seconds": 4.19, "spread": 1.65, "macs": 1_487_849_984}]
    (tmp_path / "measured").mkdir()
    value = {"tier": "smoke", "rows": rows, "batch": 2, "repeats": 1, "threads": 1, "machine": {"cpu": "a CPU"}}
    (tmp_path / "measured" / "p5-fig4.json").write_text(json.dumps(value))
    assert main(["paper", "run", "p5-fig4", "--store", str(tmp_path)]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert "median (s)" in head and "multiply-adds" in head
    assert row.split() == ["thin,", "1001", "4.19", "1.65", "1.49", "G"]


FIVE = ("thin, 164", "thin, 1001", "WRN-40-4", "WRN-16-10", "WRN-28-10")


def test_a_trial_of_times_is_told_as_one_and_replaces_nothing(monkeypatch, tmp_path):
    experiment, store = get_experiment("p5-fig4"), Store(tmp_path)
    monkeypatch.setattr(measured, "TIMED", tuple((label, "plain20_cifar", {}) for label in FIVE))
    trial = make_section(experiment, [], _with(store, experiment, "smoke"))
    assert trial.shown.startswith("smoke, measured on") and trial.conclusion[-1] == SMOKE_ONLY
    monkeypatch.setattr(measured, "TIMED_BATCH", {"smoke": 2, "short": 3, "full": 3})
    found = make_section(experiment, [], _with(store, experiment, "short"))
    assert found.shown.startswith("measured on") and SMOKE_ONLY not in found.conclusion
    assert measured.measure(experiment, "smoke", store)["batch"] == 3


def _with(store, experiment, tier):
    measured.measure(experiment, tier, store)
    return store


def test_thirds_and_their_words():
    layers = [{"layer": f"l{i}", "signal": s} for i, s in enumerate((8.0, 8.0, 5.0, 1.0, 2.0, 2.0))]
    layers.append({"layer": "stages.1.0.shortcut.conv", "signal": 1e9})
    assert first_over_last(layers) == 4.0
    assert [plain(x) for x in (861.4, 6.42, 6.29e-13, 1320.0)] == ["861", "6.4", "6.3e-13", "1,320"]
    assert [fate(x)[:11] for x in (100, 1, 0.001)] == ["it explodes", "it stays wi", "it vanishes"]


def test_times_are_told_with_what_they_were_measured_on():
    rows = [{"net": net, "seconds": 1.0 + i, "spread": 0.1, "macs": 1e9 + i * 1e9} for i, net in enumerate(FIVE)]
    found = {"rows": rows, "batch": 32, "repeats": 3, "threads": 2, "machine": {"cpu": "a CPU", "gpus": ["a GPU"]}}
    on_cpu, on_gpu = (list(times(found | {"device": device})) for device in ("cpu", "cuda"))
    assert on_cpu[0].startswith("On a CPU with 2 threads, minibatches of 32") and "1.00 times as long as" in on_cpu[2]
    assert on_gpu[0].startswith("On a GPU, minibatches of 32") and on_gpu[1:] == on_cpu[1:2]
    assert list(times(found)) == on_cpu  # stored before the device was
    assert next(times(found | {"threads": 1})).startswith("On a CPU with 1 thread, ")


def test_times_that_scatter_more_than_they_differ_say_so():
    rows = [{"net": net, "seconds": 1.0 + i, "spread": 0.1, "macs": 10**9} for i, net in enumerate(FIVE)]
    found = {"rows": rows, "batch": 32, "repeats": 3, "threads": 2, "machine": {"cpu": "a CPU", "gpus": []}}
    assert "scatter" not in list(times(found))[1]
    rows[1]["spread"] = 2.5  # of the thin net: 2 s, against 4 and 5 of the wide ones
    told = list(times(found))[1].split(" and ")
    assert [("scatter" in part) for part in told] == [False, True]
