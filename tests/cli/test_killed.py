"""`kill -9` at any instant of any command that writes: given again it ends as if nothing had been, and nothing is left.

The instants: just before the n-th change to the folder, inside a write, and after a time, each drawn.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from reslearn.runtime.container import digest_tensors
from reslearn.runtime.files import is_leftover

TINY = ["--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32", "--epochs", "1"]
TINY += ["--set", "spec.stage_blocks=1,1,1", "--set", "batch_size=8", "--set", "settings.threads=1"]
CONVERT = ["convert", "run", "--model", "resnet20_cifar", "--set", "stage_blocks=1,1,1", "--json"]
COMMANDS = {
    "crossval": ["crossval", "pics", "--folds", "2", *TINY, "--out", "cv", "--set", "checkpoint_every=1e-6", "--json"],
    "sweep": [
        "sweep",
        "pics",
        *TINY,
        "--set",
        "lr=log:0.01..0.1",
        "--trials",
        "3",
        "--retrain",
        "--out",
        "sw",
        "--json",
    ],
    "pack": ["data", "pack", "digits", "--encoding", "raw", "-o", "x.pack", "--json"],
    "unpack": ["data", "stats", "pics.tar.gz", "--json"],
    "convert": [*CONVERT, "-o", "x.safetensors"],
    "export": [*CONVERT, "--to", "akamaster", "-o", "x.pth"],
    "ensemble": ["ensemble", "run", "other", "--data", "pics", "--greedy", "-o", "both.safetensors", "--json"],
    "evaluate": ["evaluate", "run", "pics", "--predictions", "p.safetensors", "--report", "page.html", "--json"],
    "check": ["data", "check", "pics", "-o", "m.json", "--json"],
}
CLOCK = {"seconds", "images_per_second", "images_per_s", "created", "time", "hashed_at"}
CLOCK |= {"command", "environment", "report"}  # nor how the same was asked for, and at what commit


@dataclass(frozen=True)
class Whole:
    """A command that nobody killed: what it printed and left, how many changes it made, and how long it took."""

    printed: object
    files: dict[str, object]
    changes: int
    seconds: float
    largest: int


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of pictures, and an archive of them."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for split, count in (("train", 20), ("test", 4)):
        for name in ("cat", "dog"):
            (folder / "pics" / split / name).mkdir(parents=True)
            for i in range(count):
                picture = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
                cv2.imwrite(str(folder / "pics" / split / name / f"{i}.png"), picture)
    with tarfile.open(folder / "pics.tar.gz", "w:gz") as tar:
        tar.add(folder / "pics", "pics")
    return folder


@pytest.fixture(scope="module")
def made(commands, pictures, tmp_path_factory):
    """The same, and two runs that were trained on them."""
    folder = tmp_path_factory.mktemp("made") / "here"
    shutil.copytree(pictures, folder)
    for seed, out in enumerate(("run", "other")):
        commands.run(folder, ["train", "pics", *TINY, "--seed", str(seed), "--out", out])
    return folder


def do(commands, name, made, here):
    """The command done once, undisturbed."""
    shutil.copytree(made, here)
    before = {path.stat().st_ino for path in here.rglob("*")}
    started = time.monotonic()
    printed = commands.run(here, COMMANDS[name])
    seconds = time.monotonic() - started
    changes = int((here.parent / "changes").read_text())
    new = [path.stat() for path in here.rglob("*") if path.is_file() and path.stat().st_ino not in before]
    return Whole(printed, left_in(here), changes, seconds, max(file.st_size for file in new))


class Commands:
    """The process that runs commands, with everything loaded."""

    def __init__(self):
        surroundings = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("killing.py"))],
            env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def begin(self, folder, arguments, *, change=0, size=0):
        """Start a command in `folder`, which dies by itself if told so; its caches lie there, too. Its number."""
        order = {"folder": str(folder), "arguments": arguments, "change": change, "size": size}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self):
        """The status of the command that was begun."""
        return int(self.process.stdout.readline())

    def run(self, folder, arguments):
        """The JSON value that a command prints which comes to its end."""
        self.begin(folder, arguments)
        assert self.end() == 0, (folder.parent / "errors").read_text()
        printed = (folder.parent / "printed").read_text()
        return timeless(json.loads(printed)) if "--json" in arguments else None


@pytest.fixture(scope="module")
def commands():
    found = Commands()
    yield found
    found.process.communicate()


def killed(commands, folder, arguments, instant, whole, draw):
    """Start a command and kill it at an instant of this kind; tells whether it died."""
    if instant == "change":
        commands.begin(folder, arguments, change=draw.randint(1, whole.changes))
    elif instant == "write":
        commands.begin(folder, arguments, size=draw.randint(1, whole.largest))
    else:
        process = commands.begin(folder, arguments)
        time.sleep(draw.uniform(0.0, 1.0) * whole.seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    status = commands.end()
    assert status in (0, -signal.SIGKILL, -signal.SIGXFSZ), (folder.parent / "errors").read_text()
    return status != 0


def left_in(folder):
    """What every file says, the caches apart, of which only the names of leftovers count."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_dir() or (name.startswith("cache/") and not is_leftover(path.name)):
            continue
        found[name] = said_by(path)
    return found


def said_by(path):
    """The contents of a file without the clock's part."""
    if path.suffix == ".json":
        return timeless(json.loads(path.read_text()))
    if path.name == "metrics.jsonl":
        return [timeless(json.loads(line)) for line in path.read_text().splitlines()]
    if path.name == "ledger.jsonl":  # looked at twice, twice in it
        return sorted({json.dumps(timeless(json.loads(line))) for line in path.read_text().splitlines()})
    if path.name == "journal.log":
        return trials_in(path)
    if path.suffix == ".html" or path.parent.name == "checkpoints":
        return None
    content = path.read_bytes()
    return digest_tensors(content) if path.suffix == ".safetensors" else content


def trials_in(path):
    """What Optuna, asked by nobody of ours, makes of a sweep's journal."""
    optuna = pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(path)))
    trials = optuna.load_study(study_name="sweep", storage=storage).trials
    return [(trial.number, trial.params, trial.user_attrs, trial.state.name, trial.values) for trial in trials]


def timeless(value):
    """A JSON value without what a clock says."""
    if isinstance(value, dict):
        return {name: timeless(part) for name, part in value.items() if name not in CLOCK}
    return [timeless(part) for part in value] if isinstance(value, list) else value


def check(commands, name, instant, draw, whole, made, folder):
    """Kill the command once or twice, give it again, and compare with `whole`; tells how often it died."""
    shutil.rmtree(folder)  # paths are part of what is said
    shutil.copytree(made, folder)
    deaths = 0
    for _ in range(draw.choice([1, 1, 1, 2])):
        again = COMMANDS[name]
        if name == "sweep" and (folder / "sw" / "sweep.json").exists() and draw.random() < 0.5:
            again = ["resume", "sw", "--json"]
        if name == "crossval" and (folder / "cv" / "crossval.json").exists() and draw.random() < 0.5:
            again = ["resume", "cv", "--json"]
        deaths += killed(commands, folder, again, instant, whole, draw)
    if name != "export" or not (folder / "x.pth").exists():  # a .pth is whole, and nothing takes its place
        assert commands.run(folder, COMMANDS[name]) == whole.printed
    files = left_in(folder)
    checkpoints = [place for place in {*files, *whole.files} if "/checkpoints/" in place]  # their names are digests
    for place in checkpoints:
        files.pop(place, None)
    assert files == {place: said for place, said in whole.files.items() if "/checkpoints/" not in place}
    assert not [place for place in checkpoints if is_leftover(Path(place).name)]
    return deaths


def test_a_killed_pack_is_given_again(commands, pictures, tmp_path):
    whole = do(commands, "pack", pictures, tmp_path / "here")
    assert check(commands, "pack", "change", random.Random(1), whole, pictures, tmp_path / "here")


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_twenty_instants(name, commands, made, tmp_path):
    if name == "sweep":
        pytest.importorskip("optuna", reason="needs optuna: pip install optuna")
    whole, deaths = do(commands, name, made, tmp_path / "here"), 0
    for number in range(20):
        instant = ["change", "change", "write", "time"][number % 4]
        draw = random.Random(f"{name} {number}")
        deaths += check(commands, name, instant, draw, whole, made, tmp_path / "here")
    assert deaths >= 15, "nearly all of them were killed before their end"
