"""`paper show` of everything that there is, and `paper run --tier smoke` of each kind of entry, in a few steps."""

from __future__ import annotations

import json

import pytest

from reslearn.cli.app import main
from reslearn.paper.cells.session import Session
from reslearn.paper.cells.store import Store
from reslearn.paper.experiments import experiments
from reslearn.paper.findings.sections import make_section
from reslearn.paper.overview import details, listing

# Each kind of entry once: experiment, row, what it measures on the trained net.
KINDS = [
    ("p2-table2", "full pre-activation, ResNet-110", ()),  # P2's recipe, pre-activation
    ("p5-table2", "B(3,1,1)", ()),  # P5's recipe, blocks of other kernels
    ("p5-table4", "WRN-40-1, CIFAR-10", ()),  # width 1
    ("p5-table6", "WRN-16-4, dropout, SVHN", ()),  # SVHN's recipe and preprocessing
    ("study-convergence", "plain-56, three times the budget", ()),
    ("study-responses", "ResNet-20", ("branches",)),
    ("study-size", "more paths: 8x6d, 29 layers", ()),
    ("study-bn-noise", "BN over 8", ()),
    ("study-bn-affine", "plain-20, neither", ("cut",)),
    ("study-se-forms", "no squeeze", ()),
    ("study-se-forms", "after the 3x3", ()),
    ("study-excitations", "SE-ResNet-20, r = 4", ("excitations",)),
]


@pytest.mark.parametrize("name", [line["name"] for line in listing()])
def test_everything_that_is_listed_can_be_shown(name, capsys):
    assert json.loads(json.dumps(details(name)))["name"] == name
    assert main(["paper", "show", name]) == 0
    assert capsys.readouterr().out.strip()


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize(("name", "row", "probes"), KINDS, ids=[f"{name}/{row}" for name, row, _ in KINDS])
def test_each_kind_of_entry_runs_and_is_told_of(name, row, probes, tmp_path):
    found = Session(name, store=tmp_path, rows=[row]).run()
    assert [cell["state"] for cell in found["cells"]] == ["done"]
    store = Store(tmp_path)
    (result,) = store.results()
    assert result.recipe["name"] == experiments()[name].entry(row).recipe.name
    assert all(result.probes[probe] for probe in probes)
    section = make_section(experiments()[name], list(store.results()), store)
    assert {line.verdict for line in section.lines} <= {"not judged", "not run"}


@pytest.mark.usefixtures("few_steps")
def test_a_protocol_that_another_row_wants_is_measured_later(tmp_path, monkeypatch):
    first = Session("study-depth", store=tmp_path, rows=["plain-20"]).run()
    cell = Session("p1-fig1", store=tmp_path, rows=["plain-20"]).all_cells[0]
    monkeypatch.setattr(type(cell), "protocols", property(lambda self: ("1-crop", "10-crop")))
    again = Session("p1-fig1", store=tmp_path, rows=["plain-20"]).run()
    (result,) = Store(tmp_path).results()
    assert set(result.test) == {"1-crop", "10-crop"}
    assert again["cells"][0]["test_error"] == first["cells"][0]["test_error"]


def test_a_figure_that_cannot_be_drawn_says_why_and_what_to_run(add_result, tmp_path):
    for row in ("ResNet-20", "ResNet-56"):
        add_result("study-ensemble", row, 9.0)
    store = Store(tmp_path / "store")
    section = make_section(experiments()["study-ensemble"], list(store.results()), store)
    assert section.draw is None
    assert (
        section.missing.startswith("Its figure needs all its rows")
        and "not run: ResNet-32, ResNet-44" in section.missing
    )
    assert "reslearn paper run study-ensemble" in section.missing
    add_result("study-lesion", "plain-56", 9.0)
    add_result("study-lesion", "ResNet-56", 9.0)
    section = make_section(experiments()["study-lesion"], list(store.results()), store)
    assert section.draw is None and "needs errors with one block dropped, measured on the tr" in section.missing
