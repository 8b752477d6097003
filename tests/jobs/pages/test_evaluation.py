"""The page of an evaluation: several protocols of one model, and a model that saw test pictures."""

import dataclasses
import html
import json

import pytest

from reslearn.cli.app import main
from reslearn.jobs.evaluation import Result, evaluate_protocols
from reslearn.jobs.pages.evaluation import evaluation_report, write_evaluation_report
from reslearn.jobs.pages.run import write_report
from reslearn.jobs.pages.tables import SELECTED_ON_TEST
from reslearn.measure.calibration import reliability
from reslearn.measure.scoring import Scoring


@pytest.fixture
def scored(short_run):
    return evaluate_protocols(str(short_run), "digits", ["1-crop", "1-crop+flip"], Scoring())


def test_protocols_stand_side_by_side_with_gain_and_cost(scored):
    first, second = (result.evaluation for result in scored.results)
    report = evaluation_report(scored)
    assert [row[4] for row in report.grids[0].rows] == ["1.0 ×", "2.0 ×"]
    assert float(report.grids[0].rows[1][2]) == pytest.approx(first.top1_error - second.top1_error, abs=0.006)
    assert report.details[0].confusion.sum() == 360 and report.scores[1].top1 == second.top1
    assert report.notes == ()
    assert [row.ece for row in report.scores] == [
        reliability(result.evaluation.logits, result.evaluation.labels).ece for result in scored.results
    ]


def test_the_page_says_how_many_pictures_were_left_out(scored):
    [note] = evaluation_report(dataclasses.replace(scored, left_out=8)).notes
    assert note.startswith("8 pictures") and "left out" in note
    assert evaluation_report(dataclasses.replace(scored, left_out=0)).notes == ()


def test_one_protocol_needs_no_comparison(scored):
    assert evaluation_report(dataclasses.replace(scored, results=scored.results[:1])).grids == ()


def test_a_model_that_was_chosen_on_test_pictures_says_so(scored):
    marked = Result(dataclasses.replace(scored.results[0].evaluation, selected_on_test=True), 1.0)
    report = evaluation_report(dataclasses.replace(scored, results=(marked,)))
    assert report.notes == (SELECTED_ON_TEST,) and "selected on test" in report.scores[0].remark


def test_the_page_names_file_data_and_checksum(scored, tmp_path):
    text = html.unescape(write_evaluation_report(tmp_path / "page.html", scored).read_text())
    loaded, digits = scored.loaded, scored.dataset
    for expected in (loaded.bundle.sha256, digits.fingerprint(), str(loaded.path), "A closer look: test", "1-crop"):
        assert expected in text


def test_the_command_line_writes_the_page(short_run, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["evaluate", str(short_run), "digits", "--split", "val", "--report", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 144 and "A closer look: val" in page.read_text()


def test_a_run_whose_page_is_of_before_says_so(short_run, capsys):
    assert (
        main(["evaluate", str(short_run), "digits"]) == 0 and "report" not in capsys.readouterr().err.split("\n", 1)[1]
    )
    write_report(short_run)
    assert main(["evaluate", str(short_run), "digits"]) == 0
    assert f"the run's page is of before: reslearn report {short_run}" in capsys.readouterr().err
    for quiet in (["--split", "val"], ["--json"]):
        assert main(["evaluate", str(short_run), "digits", *quiet]) == 0
        assert "of before" not in capsys.readouterr().err
