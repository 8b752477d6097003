"""A bucket of S3, by moto's server and the real s3fs: every command, deaths, trouble, and no credentials."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import types

import pytest
from safetensors import safe_open

from reslearn.cli.app import main
from reslearn.data.remote import store as stores
from reslearn.data.remote.cache import Cache
from reslearn.data.sources import open_data

pytestmark = pytest.mark.slow  # moto's server takes seconds to start

TINY = ["--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32", "--epochs", "1"]
TINY += ["--set", "spec.stage_blocks=1,1,1", "--set", "batch_size=8", "--set", "settings.threads=1"]
SHARDS = ["--set", "augment.sampler=shards", "--set", "augment.shard_window=2"]
SECRETS = (b"SECRETKEY", b"SECRETID", b"PASSEDKEY", b"PASSEDID")


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capfd, tmp_path):
    """A command that succeeds, as the JSON value that it prints; all that reached the terminal lies in a file, too."""

    def command(*arguments, status=0):
        capfd.readouterr()
        found = main([*map(str, arguments), "--json"])
        printed, said = capfd.readouterr()
        with open(tmp_path / "terminal", "a", encoding="utf-8") as file:
            file.write(printed + said)
        assert found == status, said
        return json.loads(printed) if status == 0 else said

    return command


def no_secret_below(folder):
    """Looks into every file, sealed ones, caches and journals too; tells how many."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    for path in found:
        content = path.read_bytes()
        assert not [secret for secret in SECRETS if secret in content], path
    return len(found)


def weights(run):
    """A digest of every tensor of a sealed file."""
    digest = hashlib.sha256()
    with safe_open(run / "model.safetensors", "np") as file:
        for name in sorted(file.keys()):
            digest.update(name.encode() + file.get_tensor(name).tobytes())
    return digest.hexdigest()


def test_every_command_says_of_a_bucket_what_it_says_of_a_disk(s3, layouts, run, tmp_path):
    here, there = layouts / "tars", f"{s3}/tars"
    told = [
        run("train", data, *TINY, "--out", name) for name, data in (("here", here), ("there", f"{there}#cache=1GB"))
    ]
    assert told[0]["val"] == told[1]["val"]
    assert weights(tmp_path / "here") == weights(tmp_path / "there")
    assert json.loads((tmp_path / "there" / "run.json").read_text())["data"]["path"] == f"{there}#cache=1GB"
    scores = [run("evaluate", model, data) for model, data in (("here", here), ("there", there))]
    assert scores[0]["top1"] == scores[1]["top1"] and scores[0]["loss"] == scores[1]["loss"]
    assert run("evaluate", "there", there, "--split", "train", "--allow-seen")["seen"]["trained"] > 0
    checks = [
        run("data", "check", data, "-o", f"{k}.json") for k, data in enumerate((layouts / "folder", f"{s3}/folder"))
    ]
    assert [check["pictures"] for check in checks] == [40, 40]
    run("data", "split", f"{s3}/folder", "-o", "s.json", "--ratio", "9:1")
    assert len(open_data("s.json").splits) == 3
    answers = [run("predict", "there", data) for data in (layouts / "folder", f"{s3}/folder")]
    told = [{one["path"].rpartition("folder/")[2]: one["predictions"] for one in each} for each in answers]
    assert told[0] == told[1] and len(told[1]) == 40  # a folder's in the order of names, a store's in the set's own
    shown = [run("explain", "there", data, "-o", f"{k}.html") for k, data in enumerate((here, there))]
    assert (tmp_path / "1.html").stat().st_size > 10_000 and len(shown[0]) == len(shown[1])


def test_no_record_holds_credentials(s3, run, tmp_path, monkeypatch):
    """Those of the environment are used by every command; those in an address are refused by every command."""
    boards = types.ModuleType("wandb")
    told = []
    boards.Settings = lambda **words: words
    boards.init = lambda **words: told.append(words) or boards
    boards.log, boards.finish = (lambda numbers, step: told.append(numbers)), lambda: None
    monkeypatch.setitem(sys.modules, "wandb", boards)
    data = f"{s3}/tars#cache=4KB"
    more = ["--log-to", "tensorboard"] if importlib.util.find_spec("tensorboard") else []
    run("train", data, *TINY, "--out", "run", "--log-to", "wandb", *more)
    run("evaluate", "run", data, "--predictions", "p.safetensors", "--report", "page.html")
    run("report", "run")
    run("data", "check", f"{s3}/folder", "-o", "m.json")
    run("predict", "run", f"{s3}/folder", "-o", "answers.csv")
    run("explain", "run", f"{s3}/folder", "-o", "maps.html")
    run("export", "run", "--to", "torch", "-o", "run.pt2")
    pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    run("sweep", data, *TINY, "--set", "lr=0.01,0.1", "--out", "sweep")
    bucket = s3.removeprefix("s3://")
    wrong = {
        f"s3://PASSEDID:PASSEDKEY@{bucket}/tars": "written into every record",
        f"s3://{bucket}/tars?key=PASSEDID&secret=PASSEDKEY": "a signed address (key)",
        f"s3://{bucket}/tars#key=PASSEDID&secret=PASSEDKEY": "and not 'key'",
    }
    for address, why in wrong.items():
        for command in (
            ["train", address, *TINY], ["sweep", address, *TINY, "--set", "lr=0.1,0.2"], ["evaluate", "run", address],
            ["resume", "run", "--data", address], ["predict", "run", address], ["explain", "run", address],
            ["data", "check", address, "-o", "n.json"], ["data", "split", address, "-o", "n.json", "--ratio", "9:1"],
            ["data", "pack", address, "-o", "n.pack"], ["crossval", address, *TINY],
        ):  # fmt: skip
            said = run(*command, status=2)
            assert why in said.strip().splitlines()[-1], (command, said)
    (tmp_path / "board.json").write_text(json.dumps(told))
    assert no_secret_below(tmp_path) > 40
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")  # the scan would find them: the driver needs them
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
    assert "credentials" in run("train", f"{s3}/folder", *TINY, status=2)


@pytest.mark.parametrize("cache", ["1GB", "4KB"])
@pytest.mark.parametrize("kind", ["folder", "table/all.csv", "tars", "packed/x.pack", "packed/x.tar.gz"])
def test_a_server_that_fails_stalls_and_breaks_off_changes_nothing_but_time(
    trouble, s3, layouts, monkeypatch, kind, cache
):
    monkeypatch.setattr(stores, "FIRST_PAUSE", 0.001)
    monkeypatch.setattr(stores, "STALL", 0.7)
    here = open_data(str(layouts / kind))
    for _ in range(3 if cache == "1GB" else 1):
        there = open_data(f"{s3}/{kind}#cache={cache if 'gz' not in kind else '1GB'}")
        assert list(there.ids) == list(here.ids) and there.fingerprint() == here.fingerprint()
        for i in range(len(here)):
            assert (there.read(i)[0] == here.read(i)[0]).all()
    if cache == "4KB" and kind in ("folder", "tars"):
        assert all(trouble.suffered.values()), trouble.suffered


def begun(*arguments, processes=1):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), "-m", "reslearn", *map(str, arguments)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def killed(process):
    """SIGKILL for a launcher and its workers, which sit in sessions of their own."""
    tasks = f"/proc/{process.pid}/task/{process.pid}/children"
    with open(tasks, encoding="utf-8") as file:
        pids = [process.pid, *map(int, file.read().split())]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate()


def ended(process):
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors


@pytest.mark.parametrize(("processes", "workers", "sampler"), [(1, 2, []), (2, 0, SHARDS)])
def test_killed_in_trouble_with_too_small_a_cache_a_run_ends_with_the_bits_of_a_local_one(
    trouble, s3, layouts, tmp_path, processes, workers, sampler
):
    asked = [*TINY, *sampler, "--epochs", 6, "--set", f"settings.workers={workers}"]
    asked += ["--set", "settings.loader=streaming", "--set", "checkpoint_every=1e-6", "--set", "validate_every=1"]
    ended(begun("train", layouts / "tars", *asked, "--out", tmp_path / "here", processes=processes))
    command = ["train", f"{s3}/tars#cache=4KB", *asked, "--out", tmp_path / "there"]
    for deaths in range(2):
        process, started = begun(*command, processes=processes), time.monotonic()
        while len(list((tmp_path / "there").glob("checkpoints/*"))) == 0 and time.monotonic() - started < 120:
            time.sleep(0.02)
        time.sleep(0.3 * deaths)
        killed(process)
        command = ["resume", tmp_path / "there"]
    ended(begun(*command, processes=processes))
    assert weights(tmp_path / "there") == weights(tmp_path / "here")
    assert sum(trouble.suffered.values()) > 5
    pieces = [path for path in Cache(1).folder.rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert sum(path.stat().st_size for path in pieces) <= 4096
