"""The page of an evaluation: several protocols of one model, and a model that saw test pictures."""

import dataclasses
import html
import json

import pytest

from reslearn.bundle.file import load
from reslearn.cli.app import main
from reslearn.data.sources import open_data
from reslearn.jobs.evaluation import evaluate_subject
from reslearn.jobs.pages.evaluation import evaluation_report, write_evaluation_report
from reslearn.jobs.pages.run import SELECTED_ON_TEST
from reslearn.jobs.subject import subject_of, training_of
from reslearn.jobs.unseen import Watched
from reslearn.measure.lookout import Lookout


@pytest.fixture
def scored(short_run):
    loaded, digits = load(short_run), open_data("digits")
    subject = subject_of(training_of(loaded), digits, None)
    watch = Watched(subject, Lookout(subject.pictures, [loaded.known]))
    results = [evaluate_subject(loaded, watch, digits, protocol=name) for name in ("1-crop", "1-crop+flip")]
    return results, subject, digits, loaded


def test_protocols_stand_side_by_side_with_gain_and_cost(scored):
    results = scored[0]
    report = evaluation_report(*scored)
    assert [row[4] for row in report.grids[0].rows] == ["1.0 ×", "2.0 ×"]
    assert float(report.grids[0].rows[1][2]) == pytest.approx(results[0].top1_error - results[1].top1_error, abs=0.006)
    assert report.details[0].confusion.sum() == 360 and report.scores[1].top1 == results[1].top1
    assert report.notes == ()


def test_one_protocol_needs_no_comparison(scored):
    results, *rest = scored
    assert evaluation_report(results[:1], *rest).grids == ()


def test_a_model_that_was_chosen_on_test_pictures_says_so(scored):
    results, *rest = scored
    report = evaluation_report([dataclasses.replace(results[0], selected_on_test=True)], *rest)
    assert report.notes == (SELECTED_ON_TEST,) and "selected on test" in report.scores[0].remark


def test_the_page_names_file_data_and_checksum(scored, tmp_path):
    text = html.unescape(write_evaluation_report(tmp_path / "page.html", *scored).read_text())
    loaded, digits = scored[3], scored[2]
    for expected in (loaded.bundle.sha256, digits.fingerprint(), str(loaded.path), "A closer look: test", "1-crop"):
        assert expected in text


def test_the_command_line_writes_the_page(short_run, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["evaluate", str(short_run), "digits", "--split", "val", "--report", str(page), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == 144 and "A closer look: val" in page.read_text()
