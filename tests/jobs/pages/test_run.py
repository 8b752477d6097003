"""The report of a run against the run's own files, scikit-learn, and Pillow."""

import dataclasses
import html
import io
import json
import re

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import classification_report, confusion_matrix

from reslearn.bundle.file import read_bundle, reseal
from reslearn.cli.app import main
from reslearn.data.sources import open_data
from reslearn.jobs.calls import calibrate
from reslearn.jobs.evaluation import evaluate_model
from reslearn.jobs.pages.details import THUMBNAIL, encode
from reslearn.jobs.pages.rewrite import rewrite
from reslearn.jobs.pages.run import gather, write_report
from reslearn.spec.errors import UserError
from reslearn.train.records.curves import curves
from reslearn.train.records.journal import read_journal
from reslearn.train.records.ledger import read_ledger
from reslearn.train.records.run import read_record, write_record


def test_a_fresh_run_is_looked_into_on_validation_and_test_stays_closed(short_run):
    report = gather(short_run)
    assert [part.split for part in report.details] == ["val"]
    assert read_ledger(short_run) == []
    sealed = json.loads((short_run / "run.json").read_text())
    assert int(report.details[0].confusion.sum()) == len(sealed["split"]["val"]) == report.scores[0].images
    assert report.scores[0].top1 == np.trace(report.details[0].confusion) / report.scores[0].images
    assert report.notes == ()


def test_the_title_says_network_and_data_and_test_is_told_as_closed(short_run):
    report = gather(short_run)
    assert report.name == "tiny on digits" and "<h1>tiny on digits</h1>" in write_report(short_run).read_text()
    assert (report.facts[0].label, report.facts[0].value) == ("test", "not looked at yet")
    assert report.facts[0].note == f"reslearn evaluate {short_run} digits"
    evaluate_model(short_run, "digits")
    assert all(fact.value != "not looked at yet" for fact in gather(short_run).facts)


def test_curves_end_where_the_sealed_network_scores(short_run):
    report = gather(short_run)
    assert report.curves.val_error[-1] == pytest.approx(100 - 100 * report.scores[0].top1)
    assert report.curves.val_loss[-1] == report.scores[0].loss


def test_the_calibration_error_of_a_tile_is_that_of_its_row(short_run):
    calibrate(short_run, "digits", allow_seen=True)
    evaluate_model(short_run, "digits")
    report = gather(short_run)
    row, [tile] = report.scores[1], [fact for fact in report.facts if fact.label == "calibration error"]
    assert tile.value == f"{row.ece:.3f}"
    assert tile.note == f"ECE, 15 bins, on test; {row.calibrated[2]:.3f} at temperature {row.calibrated[0]:.2f}"


def test_after_evaluation_the_report_is_about_the_test_split(short_run):
    scored = evaluate_model(short_run, "digits")
    report = gather(short_run)
    part = report.details[0]
    assert part.split == "test" and [score.split for score in report.scores] == ["val", "test"]
    assert report.scores[1].top1 == scored.top1 and report.scores[1].ece == part.ece
    assert len(read_ledger(short_run)) == 1, "a report is no new look at the test pictures"
    said = scored.logits.argmax(axis=1)
    np.testing.assert_array_equal(part.confusion, confusion_matrix(scored.labels, said))
    theirs = classification_report(scored.labels, said, output_dict=True, zero_division=np.nan)
    for c, row in enumerate(part.per_class):
        ours = [row.precision, row.recall, row.support]
        np.testing.assert_allclose(ours, [theirs[str(c)][k] for k in ("precision", "recall", "support")])
    assert part.macro_f1 == pytest.approx(theirs["macro avg"]["f1-score"])


def test_galleries_hold_the_right_pictures_in_the_right_order(short_run):
    scored = evaluate_model(short_run, "digits")
    part = gather(short_run).details[0]
    digits = open_data("digits")
    logits = scored.logits.astype(np.float64)
    probability = np.exp(logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
    wrong = np.flatnonzero(logits.argmax(1) != scored.labels)
    sure = np.sort(probability[wrong].max(1))[::-1][:12]
    np.testing.assert_allclose([picture.probability for picture in part.mistakes], sure)
    own = probability[np.arange(360), scored.labels]
    own[wrong[np.argsort(-probability[wrong].max(1), kind="stable")[:12]]] = np.inf  # the mistakes above stay there
    hard = np.sort(own)[:12]
    np.testing.assert_allclose([picture.truth_probability for picture in part.hardest], hard)
    for picture in (*part.mistakes, *part.hardest):
        index = int(picture.name.removeprefix("digits:"))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture.data))), digits.images[index])
        assert picture.truth == str(digits.labels[index])


def test_curves_are_the_journal(short_run):
    journal = read_journal(short_run / "metrics.jsonl")
    drawn = curves(read_record(short_run), journal)
    steps = [line for line in journal if line["kind"] == "step"]
    assert drawn.step_loss.tolist() == [line["loss"] for line in steps]
    epochs = [line for line in journal if line["kind"] == "epoch"]
    assert drawn.val_error.tolist() == [line["val_error"] for line in epochs]
    assert drawn.step_epoch[-1] == pytest.approx(epochs[-1]["epoch"])


def test_the_page_carries_what_is_needed_to_repeat_the_run(short_run):
    record = read_record(short_run)
    record = dataclasses.replace(record, command="reslearn train digits --model tiny", notes=("not reproducible",))
    write_record(short_run, record)
    text = html.unescape(write_report(short_run).read_text())
    assert (short_run / "report.html").read_text()
    environment = record.environment
    for expected in (
        record.command, record.data["fingerprint"], record.preprocess.hash(), environment["packages"]["torch"],
        environment["cpu"], "This run is not reproducible", "1,293 pictures",
    ):  # fmt: skip
        assert expected in text
    assert re.search(r"<details><summary>\d+ more at their defaults</summary><dl class=.record.>", text)


def test_an_unfinished_run_has_curves_and_says_so(short_run):
    (short_run / "model.safetensors").unlink()
    text = write_report(short_run).read_text()
    assert "not finished" in text and "reslearn resume" in text and "Confusion" not in text


def test_a_run_whose_pictures_are_gone_or_others_says_so(short_run):
    record = read_record(short_run)
    for data, expected in (
        (record.data | {"path": str(short_run / "gone")}, "no such file or folder"),
        (record.data | {"fingerprint": "0" * 32}, "other pictures now"),
    ):
        write_record(short_run, dataclasses.replace(record, data=data))
        sealed = read_bundle(short_run).data
        reseal(short_run, data=sealed | {"fingerprint": data["fingerprint"]})
        report = gather(short_run)
        assert report.details == () and report.scores[0].split == "val"
        assert expected in report.notes[0]


def test_no_run_is_an_error_in_one_line(tmp_path):
    with pytest.raises(ValueError, match="no run here"):
        write_report(tmp_path)


def test_figures_as_files(short_run, tmp_path):
    page, written = rewrite(short_run, tmp_path / "figures")
    assert page == short_run / "report.html" and page.exists()
    assert {path.name for path in written} >= {"error.png", "error.svg", "val_confusion.png", "val_reliability.svg"}
    assert all(path.stat().st_size > 1000 for path in written)


@pytest.mark.parametrize(
    ("place", "pictures", "is_class"), [("data", 12, True), ("figures", 3, False), ("train", 1, True)]
)
def test_figures_are_written_into_no_class_of_other_data(short_run, tmp_path, place, pictures, is_class):
    for cls in ("frog", "newt"):
        (tmp_path / place / cls).mkdir(parents=True)
        for i in range(pictures):
            Image.new("RGB", (8, 8)).save(tmp_path / place / cls / f"{i}.png")
    if not is_class:
        rewrite(short_run, tmp_path / place / "frog")
        rewrite(short_run, tmp_path / place / "frog")
        return
    with pytest.raises(UserError, match=r"--figures: .*frog looks like a class's folder"):
        rewrite(short_run, tmp_path / place / "frog")
    assert len(list((tmp_path / place / "frog").iterdir())) == pictures
    assert main(["draw", "resnet18", "-o", str(tmp_path / place / "frog" / "net.svg")]) == 2


def test_figures_are_written_nowhere_among_the_pictures_of_the_run(short_run, tmp_path, folder):
    record = read_record(short_run)
    data = record.data | {"path": str(folder)}
    write_record(short_run, dataclasses.replace(record, data=data))
    for place in ("cat", "cat/figures"):
        with pytest.raises(UserError, match=r"--figures: .*would be taken for a picture of .*pictures; name another"):
            rewrite(short_run, folder / place)
    assert not (folder / "cat/figures").exists()
    rewrite(short_run, folder / "figures")
    opened = open_data(folder)
    assert opened.classes == ("cat", "dog") and "written by reslearn, so no class: figures" in opened.notes[0]
    rewrite(short_run, folder / "figures")  # again: it is still no class


def test_large_pictures_become_thumbnails_and_small_ones_stay_exact(photo):
    data, width, height = encode(photo)
    assert (width, height) == (THUMBNAIL, THUMBNAIL * 3 // 4) == Image.open(io.BytesIO(data)).size
    small = photo[:20, :30]
    data, width, height = encode(small)
    assert (width, height) == (30, 20)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), small)


def test_other_protocols_stand_in_the_table_and_not_in_the_headline(short_run):
    plain = evaluate_model(short_run, "digits")
    evaluate_model(short_run, "digits", protocol="1-crop+flip")
    report = gather(short_run)
    assert [(score.split, score.remark, score.ece is None) for score in report.scores] == [
        ("val", "1-crop, fp32", True), ("test", "1-crop, fp32", False), ("test", "1-crop+flip, fp32", True),
    ]  # fmt: skip
    assert report.facts[0].value == f"{100 * plain.top1:.1f} %"


def test_a_rate_for_another_batch_says_what_it_comes_to():
    from reslearn.jobs.pages.tables import recipe_table
    from reslearn.spec.recipes import changed_recipe

    rows = dict(recipe_table(changed_recipe("fast-cifar", batch_size=16, lr_batch=128)).rows)
    assert rows["lr"] == "0.4 at 128, so 0.05 at batches of 16"
    assert dict(recipe_table(changed_recipe("fast-cifar")).rows)["lr"] == "0.4"
