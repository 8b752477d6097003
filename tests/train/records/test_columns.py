"""Records of many pictures: their list lies beside them as a CSV, and everything works as it does with few."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reslearn.cli.app import main
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess
from reslearn.train.fit import fit, resume
from reslearn.train.records import columns
from reslearn.train.records.crossval import CrossvalRecord
from reslearn.train.records.crossval import read_record as read_crossval
from reslearn.train.records.crossval import write_record as write_crossval
from reslearn.train.records.run import RunRecord, Split, labels_text, read_record, write_record
from reslearn.train.records.terms import Terms

TINY = ["--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--epochs", "1", "--precision", "fp32"]
TINY += ["--set", "spec.stage_blocks=1,1,1", "--set", "settings.threads=1", "--set", "settings.compile=false"]
NAMES = st.lists(st.text(st.characters(codec=None), min_size=1, max_size=8), min_size=4, max_size=12, unique=True)


@pytest.fixture
def few(monkeypatch):
    """More than three pictures are many."""
    monkeypatch.setattr(columns, "MANY", 3)


def record_of(tiny_spec, tiny_recipe, names, labels):
    spec, data = replace(tiny_spec, num_classes=2), {"path": None, "fingerprint": "f", "classes": ["a", "b"]}
    split = Split(
        tuple(names[1:]), tuple(names[:1]), 0, train_labels=labels_text(labels[1:]), val_labels=labels_text(labels[:1])
    )
    terms = Terms(spec=spec, recipe=tiny_recipe, preprocess=default_preprocess(8), settings=Settings())
    return RunRecord(**terms.shared(), split=split, data=data, environment={}, command="", created="")


def crossval_of(record, names, labels):
    folds = {name: 1 + i % 2 for i, name in enumerate(names)}
    facts = {"labels": labels_text(labels), "pictures": len(names), "count": 2, "folds": folds, "split_seed": 0}
    facts |= {"method": "stratified", "data": record.data, "environment": {}, "command": "", "created": ""}
    return CrossvalRecord(**record.shared(), **facts)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(names=NAMES, recorded=st.booleans())
@pytest.mark.usefixtures("few")
def test_any_names_come_back(names, recorded, tmp_path, tiny_spec, tiny_recipe):
    labels = [i % 2 for i in range(len(names))] if recorded else []
    record = record_of(tiny_spec, tiny_recipe, names, labels)
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert json.loads((tmp_path / "run.json").read_text())["split"]["train"] == []
    assert len(columns.lists_in(tmp_path)) == 1, "the list of the record before is gone"
    folds = crossval_of(record, names, labels)
    write_crossval(tmp_path, folds)
    assert read_crossval(tmp_path) == folds
    assert list(read_crossval(tmp_path).folds) == names


def test_few_stay_in_the_record(tmp_path, tiny_spec, tiny_recipe, monkeypatch):
    record = record_of(tiny_spec, tiny_recipe, ["a", "b", "c"], [0, 1, 0])
    monkeypatch.setattr(columns, "MANY", 2)
    write_record(tmp_path, record)
    assert len(columns.lists_in(tmp_path)) == 1 and json.loads((tmp_path / "run.json").read_text())["format"] == 2
    monkeypatch.setattr(columns, "MANY", 3)
    assert read_record(tmp_path) == record
    write_record(tmp_path, record)
    assert columns.lists_in(tmp_path) == []
    written = json.loads((tmp_path / "run.json").read_text())
    assert written["format"] == 1 and "list" not in written and written["split"]["val"] == ["a"]
    assert read_record(tmp_path) == record


def spoil_bytes(file, record):
    file.write_bytes(file.read_bytes().replace(b"b", b"B"))


def spoil_length(file, record):
    with open(file, "ab") as opened:
        opened.truncate(1 << 40)


def spoil_place(file, record):
    told = json.loads(record.read_text())
    record.write_text(json.dumps(told | {"list": told["list"] | {"file": "../run.json"}}))


FAULTS = {
    spoil_bytes: "not the list of pictures",
    spoil_length: "not the list of pictures",
    spoil_place: "does not say which pictures",
    lambda file, record: file.unlink(): "not there",
}


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("spoil", "line"), FAULTS.items(), ids=["bytes", "length", "place", "gone"])
def test_a_list_that_is_not_the_one_that_was_written(spoil, line, tmp_path, tiny_spec, tiny_recipe):
    write_record(tmp_path, record_of(tiny_spec, tiny_recipe, ["a", "b", "c", "d"], [0, 1, 0, 1]))
    spoil(columns.lists_in(tmp_path)[0], tmp_path / "run.json")
    with pytest.raises(UserError, match=line) as caught:
        read_record(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("few")
def test_a_list_that_the_record_does_not_know_how_to_read(tmp_path, tiny_spec, tiny_recipe):
    record = record_of(tiny_spec, tiny_recipe, ["a", "b", "c", "d"], [0, 1, 0, 1])
    folds = crossval_of(record, ["a", "b", "c", "d"], [0, 1, 0, 1])
    for told in ({}, {"train": 5}, {"train": -1}, {"train": "2"}, {"folds": 3}, {"folds": ""}, {"folds": "9x1"}):
        write_record(tmp_path, record)
        write_crossval(tmp_path, folds)
        for file, read in (("run.json", read_record), ("crossval.json", read_crossval)):
            written = json.loads((tmp_path / file).read_text())
            columns.write_with_list(tmp_path / file, written, ["a", "b", "c", "d"], **told)
            with pytest.raises(UserError, match=r"damaged") as caught:
                read(tmp_path)
            assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("few")
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, tiny_spec, tiny_recipe, monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    data = ArrayDataset(images, np.arange(40) % 2, classes=["a", "b"], ids=[f"{i}, \n{i}" for i in range(40)])
    parts, spec = (Subset(data, range(8, 40)), Subset(data, range(8))), replace(tiny_spec, num_classes=2)
    recipe, options = replace(tiny_recipe, iterations=6, checkpoint_every=1e-6), {"settings": Settings(threads=1)}

    def watch(event):
        if getattr(event, "step", 0) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(spec, *parts, recipe, out=tmp_path / "stopped", watch=watch, **options)
    assert len(columns.lists_in(tmp_path / "stopped")) == 1
    resume(tmp_path / "stopped", train_data=parts[0], val_data=parts[1])
    monkeypatch.setattr(columns, "MANY", 100)
    fit(spec, *parts, recipe, out=tmp_path / "whole", **options)
    ends = [(tmp_path / name / "metrics.jsonl").read_text().splitlines()[-1] for name in ("stopped", "whole")]
    assert json.loads(ends[0])["weights"] == json.loads(ends[1])["weights"]
    assert read_record(tmp_path / "stopped").split == read_record(tmp_path / "whole").split


def test_commands_say_the_same_of_a_run_with_a_list(tmp_path, monkeypatch, capsys):
    """`train`, `evaluate` with what was seen, `crossval`, `report` and `--overwrite`, by hand as a user would."""
    monkeypatch.chdir(tmp_path)
    said = {}
    for many in (100_000, 3):
        monkeypatch.setattr(columns, "MANY", many)
        assert main(["train", "digits", *TINY, "--out", "run", "--overwrite"]) == 0
        assert main(["crossval", "digits", *TINY, "--folds", "2", "--out", f"folds{many}"]) == 0
        capsys.readouterr()
        outs = []
        for command in (
            ["evaluate", "run", "digits", "--json", "--no-cache", "--split", "val"],
            ["evaluate", "run", "digits", "--json", "--no-cache", "--split", "train", "--allow-seen"],
            ["evaluate", f"folds{many}", "digits", "--json", "--no-cache"],
        ):
            assert main(command) == 0, capsys.readouterr().err
            value = json.loads(capsys.readouterr().out)
            outs.append({name: value[name] for name in ("top1", "loss", "seen", "images")})
        assert main(["report", "run"]) == 0
        assert main(["resume", "run"]) == 0  # a finished one
        capsys.readouterr()
        said[many] = outs
    assert said[3] == said[100_000]
    assert said[3][1]["seen"]["trained"] > 1000
    (listed,) = columns.lists_in(tmp_path / "run")
    with open(listed, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    split = read_record(tmp_path / "run").split
    assert [row["name"] for row in rows] == [*split.train, *split.val]
    assert (tmp_path / "run/run.json").stat().st_size < 10_000


@pytest.mark.parametrize("name", ["b,c", 'b"c', "b\nc", "b\r\nc", " b", "한글"])
def test_a_list_is_read_by_any_reader_of_csv(name):
    names = ["a", name, "d"]
    read = csv.reader(columns._text(names).splitlines(keepends=True))
    assert list(read) == [["name"], *([one] for one in names)]
    assert list(columns._names(columns._text(names))) == names
