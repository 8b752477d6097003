"""Sweeps of tiny trainings: what is tried and chosen, what the files then say; processes that share one and die."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from reslearn.bundle.file import load, read_bundle
from reslearn.cli.app import main
from reslearn.data.sources import open_data
from reslearn.spec.errors import UserError
from reslearn.train.events import Tick

optuna = pytest.importorskip("optuna", reason="needs optuna: pip install optuna")

TINY = ["--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32"]
TINY += ["--set", "spec.stage_blocks=1,1,1", "--set", "batch_size=16", "--set", "settings.threads=1"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two classes that differ in colour, more or less."""
    folder, rng = tmp_path_factory.mktemp("pictures") / "pics", np.random.default_rng(0)
    for split, count in (("train", 40), ("test", 4)):
        for label, name in enumerate(("cat", "dog")):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(0, 200, (8, 8, 3))
                picture[..., label] += 20
                cv2.imwrite(str(folder / split / name / f"{i}.png"), picture)
    return folder


def sweep(capsys, *arguments, status=0):
    capsys.readouterr()
    code = main(["sweep", *map(str, arguments), "--json"])
    printed, said = capsys.readouterr()
    assert code == status, said
    return json.loads(printed) if status == 0 else said


@pytest.fixture(scope="module")
def swept(pictures, tmp_path_factory):
    """Four trials of two seeds, retrained."""
    out = tmp_path_factory.mktemp("sweep") / "s"
    arguments = [pictures, *TINY, "--epochs", 2, "--set", "lr=log:0.001..0.3", "--set", "weight_decay=0,1e-3"]
    command = [*map(str, arguments), "--trials", "4", "--seeds", "2", "--retrain", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reslearn.cli.sweep.emit", lambda value, as_json, human: told.append(value))
        told: list = []
        assert main(["sweep", *command, "--json"]) == 0
    return out, json.loads(json.dumps(told[0])), command


def test_every_trial_is_a_run_a_seed_and_the_mean_decides(swept):
    out, told, _ = swept
    assert {one["number"] for one in told["trials"]} == {1, 2, 3, 4}
    for one in told["trials"]:
        assert set(one["set"]) == {"lr", "weight_decay"} and one["state"] in ("done", "pruned")
        if one["state"] == "done":
            scores = [read_bundle(run).scores["val"]["top1"] for run in one["runs"]]
            assert one["top1"]["mean"] == pytest.approx(np.mean(scores))
            assert one["top1"]["std"] == pytest.approx(np.std(scores, ddof=1))
            record = json.loads((out / f"trial-{one['number']:03d}" / "seed-1" / "run.json").read_text())
            assert record["seed"] == 1 and record["recipe"]["lr"] == float(one["set"]["lr"])
    done = [one for one in told["trials"] if one["state"] == "done"]
    best = min(done, key=lambda one: (-one["top1"]["mean"], one["loss"]["mean"], one["number"]))
    assert told["best"]["number"] == best["number"] and told["best"]["set"] == best["set"]
    assert set(told["importance"]) <= {"lr", "weight_decay"}
    assert not told["importance"] or sum(told["importance"].values()) == pytest.approx(1)
    assert (out / "report.html").read_text().count("<svg") >= 2


def test_trials_that_were_not_computed_alike_are_told_on_the_page(swept, tmp_path):
    out, told, _ = swept
    assert "computed alike" not in (out / "report.html").read_text()
    shutil.copytree(out, tmp_path / "s")
    path = tmp_path / "s" / f"trial-{told['best']['number']:03d}" / "seed-1" / "run.json"
    record = json.loads(path.read_text())
    record["environment"]["numerics"]["processor"] = "z80"
    path.write_text(json.dumps(record))
    assert main(["report", str(tmp_path / "s")]) == 0
    page = (tmp_path / "s" / "report.html").read_text()
    assert "Not all were computed alike. Trial" in page and "processor z80" in page


def test_the_winner_says_on_how_many_trials_its_validation_chose_it(swept):
    _, told, _ = swept
    bundle = read_bundle(told["best"]["run"])
    val = bundle.scores["val"]
    assert val["seen"] == {"trained": 0, "selected": val["images"], "known_by": "content"}
    assert val["selected_on_trials"] == told["compared"] == bundle.data["trials"] == 4
    assert told["best"]["val"] == val and bundle.data["selected_on"] == "val"
    losers = [one["runs"][0] for one in told["trials"] if one["number"] != told["best"]["number"]]
    assert read_bundle(losers[0]).scores["val"]["seen"]["selected"] == 0


def test_evaluating_the_winner_on_its_validation_pictures_tells(swept, pictures, capsys):
    _, told, _ = swept
    capsys.readouterr()
    assert main(["evaluate", told["best"]["run"], str(pictures), "--split", "val", "--json"]) == 0
    seen = json.loads(capsys.readouterr()[0])["seen"]
    assert seen["selected"] == told["best"]["val"]["images"]


def test_the_retrained_network_has_seen_validation_and_no_test_picture(swept, pictures):
    out, told, _ = swept
    record = json.loads((out / "retrained" / "run.json").read_text())
    data = open_data(str(pictures))
    assert sorted(record["split"]["train"]) == sorted(np.array(list(data.ids))[data.splits["train"]])
    assert record["split"]["val"] == [] and read_bundle(out).scores == {}
    assert load(out).identity() == load(out / "retrained").identity()
    assert told["retrained"]["val"] is None and told["model"] == str(out / "model.safetensors")
    test = [name for run in out.rglob("run.json") for name in json.loads(run.read_text())["split"]["train"]]
    assert not [name for name in test if name.startswith("test/")]


def test_given_again_it_is_read_and_asked_for_otherwise_refused(swept, capsys):
    out, told, command = swept
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors") if path.parent != out}
    again = sweep(capsys, *command)
    assert again == told
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert main(["resume", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr()[0]) == told
    said = sweep(capsys, *command, "--set", "lr=log:0.01..0.3", status=2)
    assert "begun with" in said and said.count("\n") >= 1 and "lr=log:0.001..0.3" in said


def test_optuna_itself_reads_the_journal(swept):
    out, told, _ = swept
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(out / "journal.log")))
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert study.best_value == pytest.approx(
        min(t["top1_error"] for t in told["trials"] if t["top1_error"] is not None)
    )
    assert [float(one["set"]["lr"]) for one in told["trials"]] == [trial.params["lr"] for trial in study.trials]


def test_a_trial_that_others_beat_is_ended_early(pictures, tmp_path, monkeypatch):
    """Provisional errors are made up: those of the fifth trial are the worst, so it ends at its second validation."""
    from reslearn.jobs.resolve import TrainRequest
    from reslearn.jobs.search import trial as trials
    from reslearn.jobs.search.record import Asked
    from reslearn.jobs.search.study import Study
    from reslearn.jobs.search.sweep import plan_sweep

    changes = {"lr": "0.1,0.2,0.3,0.4,0.5", "validate_every": "1"}
    request = TrainRequest(str(pictures), "resnet20_cifar", "demo", epochs=4, changes=changes)
    record = plan_sweep(request, Asked(trials=5)).record
    study = Study(tmp_path, record)
    study.fill()
    for number in range(1, 6):
        with study.claim() as trial:
            assert trial is not None and trial.number == number and trial.state == "waiting"
            watch = trials._judged(study, trial, lambda event: None)
            watch(Tick(0, 4, 0.0, 1.0, 50.0, 0.1, 1.0, None))
            for epoch in (1, 2, 3, 4):
                told = {"kind": "epoch", "epoch": float(epoch), "step": epoch, "val_error": 10.0 * number / epoch}
                if (number, epoch) == (5, 2):
                    with pytest.raises(trials._Pruned):
                        watch.line(told)
                    study.prune(trial)
                    break
                watch.line(told)
            else:
                study.finish(trial, 10.0 * number)
    assert [one.state for one in study.trials()] == ["done"] * 4 + ["pruned"]
    assert study.trials()[4].reported == (50.0, 25.0)


def test_a_trial_whose_loss_is_no_number_fails_and_the_others_go_on(pictures, capsys, tmp_path):
    told = sweep(capsys, pictures, *TINY, "--epochs", 1, "--set", "lr=0.01,1e30", "--set", "clip_norm=none",
                 "--out", tmp_path / "s")  # fmt: skip
    assert [(one["set"]["lr"], one["state"]) for one in told["trials"]] == [("0.01", "done"), ("1e30", "failed")]
    assert "loss became" in told["trials"][1]["why"] and told["best"]["number"] == 1


@pytest.mark.parametrize("lost", ["a trial", "a list", "a number", "no text"])
def test_a_journal_that_lost_lines_or_holds_others_is_one_line(swept, tmp_path, capsys, lost):
    """Where a trial is lost, those behind it get other numbers, under which other trials' runs lie."""
    out, _, command = swept
    shutil.copytree(out, tmp_path / "s")
    journal = tmp_path / "s" / "journal.log"
    lines = journal.read_bytes().splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if b'"params"' in line)
    changed = {
        "a trial": lines[:first] + lines[first + 1 :],
        "a list": [*lines, b"[]\n"],
        "a number": [*lines, b'{"op_code": "x"}\n'],
        "no text": [b"\0\0\n", *lines],
    }
    journal.write_bytes(b"".join(changed[lost]))
    for arguments in (["sweep", *command[:-1], str(tmp_path / "s")], ["resume", str(tmp_path / "s")]):
        assert main(arguments) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert "put a copy of" in said and ("damaged" in said) == (lost != "a trial")


@pytest.mark.parametrize("gone", ["trial-002", "trial-002/seed-1", "trial-002/seed-0/model.safetensors"])
def test_a_trial_whose_files_are_gone_is_one_line(swept, tmp_path, capsys, gone):
    out, told, command = swept
    assert told["trials"][1]["state"] == "done"
    shutil.copytree(out, tmp_path / "s")
    lost = tmp_path / "s" / gone
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    for arguments in (["sweep", *command[:-1]], ["resume"], ["report"]):
        assert main([*arguments, str(tmp_path / "s")]) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert "trial-002: this trial is done, and its files are gone" in said


def test_a_folder_whose_process_died_or_is_about_to_write_is_begun_in(pictures, tmp_path):
    """Who was killed while it wrote `sweep.json`, or writes it just now, leaves a lock and half a file."""
    from reslearn.jobs.resolve import TrainRequest
    from reslearn.jobs.search.record import Asked
    from reslearn.jobs.search.sweep import LOCK, _begin, plan_sweep
    from reslearn.runtime.files import LEFTOVER

    record = plan_sweep(
        TrainRequest(str(pictures), "resnet20_cifar", "demo", changes={"lr": "0.1,0.2"}), Asked()
    ).record
    (tmp_path / LOCK).touch()
    (tmp_path / f".sweep.json.{LEFTOVER}").write_text("{")
    assert _begin(tmp_path, record) == record
    assert json.loads((tmp_path / "sweep.json").read_text())["trials"] == 2
    with pytest.raises(UserError, match="not empty and no sweep"):
        _begin(pictures, record)


def test_where_batches_are_searched_the_chosen_rate_goes_with_each(pictures):
    from reslearn.jobs.resolve import TrainRequest, asked_recipe
    from reslearn.jobs.search.record import Asked
    from reslearn.jobs.search.sweep import plan_sweep

    def rates(recipe=None, **changes):
        request = TrainRequest(str(pictures), "resnet20_cifar", recipe, epochs=1, changes=changes)
        record = plan_sweep(request, Asked()).record
        return [asked_recipe(record.request({"batch_size": text})).peak_lr for text in ("8", "16")]

    slow, fast = rates(batch_size="8,16")
    assert fast == pytest.approx(2 * slow)
    assert rates(batch_size="8,16", lr="0.03") == [0.03, 0.03]
    assert rates("demo", batch_size="8,16") == [0.2, 0.2]  # a recipe that is named keeps its rate


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to search"),
        (["--set", "lr=1..0.1"], "lower to the higher"),
        (["--set", "lr=0.1,0.2", "--trials", "0"], "--trials is 0; it must be at least 1"),
        (["--set", "lr=0.1,0.2", "--seeds", "0"], "--seeds is 0; it must be at least 1"),
        (["--set", "lr=0.1..0.2", "--trials", "99999999999"], "--trials is 99,999,999,999; it must be at most 10,000"),
        (["--set", "lr=0.1,0.2", "--seeds", "10001"], "--seeds is 10,001; it must be at most 10,000"),
        (["--set", "epochs=1,2", "--epochs", "1"], "--epochs 1.0: --set epochs=1,2 says it, too"),
        (["--set", "image_size=8,16"], "--image-size 8: --set image_size=8,16 says it, too"),
        (["--set", "lr=0.1,0.2", "--val-fraction", "0"], "no validation pictures"),
        (["--set", "lr=0.1,0.2", "--sampler", "grid"], "grid"),
    ],
)
def test_what_is_no_sweep_is_one_line(pictures, capsys, tmp_path, arguments, said):
    err = sweep(capsys, pictures, *TINY, *arguments, "--out", tmp_path / "s", status=2)
    assert said in err.strip().splitlines()[-1] and not (tmp_path / "s").exists()


def test_without_optuna_one_line_says_what_to_install(pictures, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    err = sweep(capsys, pictures, *TINY, "--set", "lr=0.1,0.2", "--out", tmp_path / "s", status=2)
    assert "pip install optuna" in err.strip().splitlines()[-1]


def begun(folder, command):
    return subprocess.Popen(
        [sys.executable, "-m", "reslearn", *command], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_two_processes_killed_twice_try_what_one_never_killed_tries(pictures, tmp_path, capsys):
    def command(out):
        return [str(pictures), *TINY, "--epochs", "3", "--set", "lr=log:0.001..0.3", "--set", "weight_decay=0,1e-3",
                "--trials", "12", "--out", str(out)]  # fmt: skip

    whole = sweep(capsys, *command(tmp_path / "whole"))
    killed = tmp_path / "killed"
    for deaths in range(3):
        pair = [begun(tmp_path, ["sweep", *command(killed)]) for _ in range(2)]
        if deaths == 2:
            assert [one.wait(300) for one in pair] == [0, 0], [one.stderr.read() for one in pair]
            break
        wanted, started = 3 * deaths + 2, time.monotonic()
        while len(list(killed.glob("trial-*/model.safetensors"))) < wanted and time.monotonic() - started < 200:
            time.sleep(0.05)
        for one in pair:
            one.send_signal(signal.SIGKILL)
            one.wait()
    told = sweep(capsys, *command(killed))
    values = [[one["set"] for one in sorted(found["trials"], key=lambda t: t["number"])] for found in (whole, told)]
    assert values[0] == values[1] and len(values[0]) == 12
    both = [(a, b) for a, b in zip(whole["trials"], told["trials"], strict=True) if a["state"] == b["state"] == "done"]
    assert len(both) >= 4 and all(a["top1"] == b["top1"] and a["loss"] == b["loss"] for a, b in both)
    assert told["best"]["val"]["selected_on_trials"] == 12
