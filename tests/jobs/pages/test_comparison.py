"""Pages of a comparison and of a cross-validation, from runs on digits."""

import html
import json
import re

import numpy as np
import pytest

from reslearn.cli.app import main
from reslearn.data.memory import Subset
from reslearn.data.parts.splits import choose_splits
from reslearn.data.sources import open_data
from reslearn.jobs.compare import compare_models
from reslearn.jobs.pages.comparison import comparison_report
from reslearn.measure.predictions import read_predictions
from reslearn.train.fit import fit
from reslearn.train.records.run import read_record

QUICK = ["--set", "iterations=20", "--set", "batch_size=32", "--image-size", "8", "--set", "spec.stage_blocks=[1,1,1]"]
QUICK += ["--precision", "fp32", "--set", "settings.threads=1"]


@pytest.fixture
def pair(short_run, tmp_path):
    """The short run and another of the same, with another seed."""
    record, digits = read_record(short_run), open_data("digits")
    parts = [Subset(digits, choose_splits(digits)[name]) for name in ("train", "val")]
    other = fit(record.spec, *parts, record.recipe, out=tmp_path / "other", seed=1, settings=record.settings)
    return short_run, other.path


def test_galleries_hold_what_only_one_side_gets_right(pair):
    done = compare_models(*pair)
    report = comparison_report(done)
    said = [side.scores[0].logits.argmax(axis=1) for side in (done.a, done.b)]
    truth, ids = done.a.scores[0].labels, list(done.pictures.ids)
    for gallery, winner, loser in ((report.galleries[0], 1, 0), (report.galleries[1], 0, 1)):
        alone = {ids[i] for i in np.flatnonzero((said[winner] == truth) & (said[loser] != truth))}
        assert {picture.name for picture in gallery.pictures} <= alone and len(gallery.pictures) == min(len(alone), 12)
        sure = [picture.probability for picture in gallery.pictures]
        assert sure == sorted(sure, reverse=True)
    alone = {row[0]: row[1:] for row in report.grids[0].rows}["right alone"]
    assert alone == (f"{done.comparison.only_a:,} pictures", f"{done.comparison.only_b:,} pictures")


def test_compare_writes_its_page(pair, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["compare", *map(str, pair), "--report", str(page), "--json"]) == 0
    value, text = json.loads(capsys.readouterr().out), html.unescape(page.read_text())
    assert value["verdict"] in text and "McNemar" in text and "Side by side" in text
    interval = re.search(r"95 % interval ([-+0-9.]+) to ([-+0-9.]+) points", value["verdict"])
    assert f"95 %: {interval[1]} to {interval[2]}" in text  # the tile is of the same one as the sentence


def test_a_cross_validation_ends_in_its_page_and_report_renews_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("reslearn.jobs.worth.FEW_TO_SCORE", 10_000)  # so that there is something to say
    out = tmp_path / "cv"
    command = ["crossval", "digits", "--folds", "2", "--model", "resnet20_cifar", "--recipe", "demo", *QUICK]
    assert main([*command, "--out", str(out), "--fold", "1", "--json"]) == 0
    assert main(["report", str(out)]) == 2 and "fold 2 is not finished" in capsys.readouterr().err
    assert main([*command, "--out", str(out), "--json"]) == 0
    printed, said = capsys.readouterr()
    value = json.loads(printed.splitlines()[-1])
    thoughts = [
        line.removeprefix("advice    ") for line in said.partition("fold 2")[2].splitlines() if "advice " in line
    ]
    assert any("of new pictures" in thought for thought in thoughts)
    text = html.unescape((out / "report.html").read_text())
    kept = read_predictions(out / "out-of-fold.safetensors")
    right = int((kept.logits.argmax(axis=1) == kept.labels).sum())
    assert all(thought in text for thought in thoughts)
    assert f"{right:,} of 1,437 pictures right" in text and f"± {100 * value['std']['top1']:.2f} %" in text
    for number, fold in enumerate(value["folds"], 1):  # one number for one thing: the sealed score, in fp32
        top1 = fold["val"]["top1"]
        assert f"fold {number}: {100 - 100 * top1:.2f} %" in text and f"{100 * top1:.2f} %" in text
    (out / "report.html").unlink()
    assert main(["report", str(out), "--figures", str(tmp_path / "figures"), "--json"]) == 0
    assert html.unescape((out / "report.html").read_text()) == text
    assert (tmp_path / "figures" / "validation_error.png").exists()
