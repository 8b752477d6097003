"""Several processes under `torchrun` train as one does, write once, and survive being killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow
from safetensors import safe_open

from reslearn.bundle.file import load, read_bundle
from reslearn.data.memory import Subset
from reslearn.data.parts.keyed import Keyed
from reslearn.data.parts.known import filter_of
from reslearn.data.sources import open_data
from reslearn.runtime.process_group import World
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError
from reslearn.spec.recipes import get_recipe
from reslearn.train.fit import fit
from reslearn.train.pictures import FILE_NAME, read_pictures
from reslearn.train.records.run import read_record

COMMON = ["digits", "--model", "resnet20_cifar", "--recipe", "demo", "--image-size", "8", "--precision", "fp32"]
COMMON += ["--set", "spec.stage_blocks=[1,1,1]", "--set", "settings.threads=1", "--epochs", "3"]
COMMON += ["--set", "checkpoint_every=0.2"]

# The losses of 20 steps with synchronised batch norm, in both types, and how the weights ended; under any launcher.
TWENTY_STEPS = """
import json
from dataclasses import replace
import torch
from reslearn.data.loaders import Batch, train_loader
from reslearn.data.preprocess import Normalise
from reslearn.data.sources import open_data
from reslearn.runtime.process_group import World
from reslearn.runtime.settings import Settings
from reslearn.nets.build import create_model
from reslearn.runtime.process_group import from_environment, process_group
from reslearn.runtime.settings import Settings
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipes import get_recipe
from reslearn.train.update import Update

torch.set_num_threads(1)
world, data, out = from_environment(), open_data("digits"), {}
with process_group("cpu"):
    for dtype, lr in ((torch.float64, 0.05), (torch.float32, 2e-4)):
        recipe = replace(get_recipe("demo"), lr=lr, bn_sync=True)
        loader = train_loader(
            data, normalise=Normalise(default_preprocess(8)), augment=recipe.augment,
            batch_size=recipe.batch_size, seed=0,
            world=world,
        )
        torch.manual_seed(0)
        net = create_model("resnet20_cifar", stage_blocks=(1, 1, 1)).to(dtype)
        settings = Settings(device="cpu", precision="fp32", compile=False, threads=1)
        update, losses = Update(net, recipe, settings, world=world), []
        for b in loader.batches(0, 20):
            update.train_mode()
            loss, _ = update(Batch(b.images.to(dtype), b.labels, b.positions, b.samples), lr, 0.0)
            losses += world.sum(loss / world.size)
        out[str(dtype)] = losses, [float(p.double().norm()) for p in net.state_dict().values()]
if world.first:
    print(json.dumps(out))
"""


def launch(processes, arguments):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.Popen(
        [sys.executable, *(launcher if processes > 1 else []), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    printed, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return printed, errors


def reslearn(*arguments):
    return launch(2, ["-m", "reslearn", *arguments])


def journal(folder, kind):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["kind"] == kind]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of two processes that nobody killed: its folder, seconds, standard output and standard error."""
    folder, started = tmp_path_factory.mktemp("runs") / "whole", time.monotonic()
    printed, errors = finish(reslearn("train", *COMMON, "--json", "--out", folder))
    return folder, time.monotonic() - started, printed, errors


def test_two_processes_with_synchronised_bn_train_as_one_does(tmp_path):
    """To fp64's rounding, which says that the arithmetic is the same; and to 1e-5 in fp32.

    The rate is small in fp32 because a net this small is not smooth: where rounding carries one pixel over a ReLU's
    kink, the gradient of a bias changes by a thousandth, and at 0.05 that has grown to 1e-2 after 20 steps. In fp64 a
    perturbation of 1e-7 stays at 1e-7, and one of 1e-5 grows just so, in one process too.
    """
    script = tmp_path / "steps.py"
    script.write_text(TWENTY_STEPS)
    one, two = (json.loads(finish(launch(processes, [script]))[0]) for processes in (1, 2))
    for kind, tolerance in (("torch.float64", 1e-10), ("torch.float32", 1e-5)):
        for alone, together in zip(one[kind], two[kind], strict=True):
            assert together == pytest.approx(alone, rel=tolerance, abs=tolerance)


def test_two_processes_speak_and_write_once(whole):
    folder, _, printed, errors = whole
    assert len(printed.splitlines()) == 1, "the result is printed once"
    assert errors.count("reslearn train:") == 1, "progress is printed once"
    steps = [line["step"] for line in journal(folder, "step")]
    assert steps == list(range(len(steps)))


@pytest.mark.slow
@pytest.mark.parametrize("loader", ["resident", "streaming"])
def test_two_processes_end_with_the_same_record_of_pictures_as_one(loader, tmp_path):
    """Each reads its part alone; what the run has noted and what the file recognises is the same."""
    draw = np.random.default_rng(1)
    for cls in "ab":
        (tmp_path / "pictures" / cls).mkdir(parents=True)
        for i in range(15):
            image = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Pillow.fromarray(image).save(tmp_path / "pictures" / cls / f"{i}.png")
    options = ["train", tmp_path / "pictures", *COMMON[1:], "--val-fraction", "0.2", "--set", "batch_size=8"]
    options += ["--set", f"settings.loader={loader}"]
    started = [launch(n, ["-m", "reslearn", *options, "--out", tmp_path / f"run{n}"]) for n in (1, 2)]
    for process in started:
        finish(process)
    one, two = (tmp_path / f"run{n}" for n in (1, 2))
    assert read_bundle(one).seen == read_bundle(two).seen
    assert read_bundle(one).seen.trained == 2 * 24
    assert json.loads((one / "run.json").read_text())["split"] == json.loads((two / "run.json").read_text())["split"]
    known = [load(run).known for run in (one, two)]
    assert np.array_equal(known[0].trained, known[1].trained)
    assert np.array_equal(known[0].selected, known[1].selected)
    assert (one / FILE_NAME).read_bytes() == (two / FILE_NAME).read_bytes()


def test_two_processes_note_every_picture(whole):
    record = read_record(whole[0])
    kept, data = read_pictures(whole[0]), open_data("digits")
    place = {identity: i for i, identity in enumerate(data.ids)}
    for ids, rows in ((record.split.train, kept.train), (record.split.val, kept.val)):
        alone = Keyed(Subset(data, [place[identity] for identity in ids]))
        alone.complete()
        assert np.array_equal(rows, alone.rows)
    assert np.array_equal(load(whole[0]).known.trained, filter_of(kept.train))


def kill_all(process):
    """SIGKILL for the launcher and its workers, which sit in sessions of their own."""
    workers = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and parent_of(pid) == process.pid]
    for pid in (process.pid, *workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=60)


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None


@pytest.mark.parametrize("draw", [pytest.param(n, marks=[pytest.mark.slow] if n else []) for n in range(5)])
def test_two_killed_processes_resume_to_the_same_bits(draw, whole, tmp_path):
    folder, seconds, _, _ = whole
    run = tmp_path / "run"
    process = reslearn("train", *COMMON, "--out", run)
    time.sleep(seconds * (0.55 + 0.08 * draw))
    kill_all(process)
    finish(reslearn(*(["resume", run] if (run / "run.json").exists() else ["train", *COMMON, "--out", run])))
    assert digest(run) == digest(folder)
    assert [line["loss"] for line in journal(run, "step")] == [line["loss"] for line in journal(folder, "step")]


def digest(folder):
    with safe_open(folder / "model.safetensors", "pt") as file:
        return json.loads(file.metadata()["reslearn.bundle"])["sha256"]


def test_two_processes_refuse_other_pictures_once(tmp_path):
    """Both compare, one speaks, none is left waiting; nothing is written."""
    for name, shade in (("a", 60), ("b", 190)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(8):
            Pillow.new("RGB", (8, 8), (shade, i, 0)).save(tmp_path / "data" / name / f"{i}.png")
    run = tmp_path / "run"
    finish(reslearn("train", tmp_path / "data", *COMMON[1:], "--set", "batch_size=4", "--out", run))
    (run / "model.safetensors").unlink()
    shutil.rmtree(tmp_path / "data" / "a")
    shutil.copytree(tmp_path / "data" / "b", tmp_path / "data" / "a")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    process = reslearn("resume", run)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0 and errors.count("reslearn: ") == 1
    assert "not what the run" in errors and "fit.py" not in errors  # torchrun's own traceback is not ours
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_batch_that_does_not_divide_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # as the first of two processes would find it
    data = open_data("digits")
    with pytest.raises(UserError, match="must be a multiple of 2 processes"):
        fit("resnet20_cifar", data, None, replace(get_recipe("demo"), batch_size=65), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_every_process_computes_as_the_first_one_chose(tiny_spec, tiny_recipe, tmp_path, monkeypatch):
    """Another machine's processor may ask for other settings; one run has one precision."""
    from reslearn.train import fit as module

    class Second(World):
        def tell(self, value):
            return replace(value, precision="bf16", source="as the first process chose")

    @contextlib.contextmanager
    def joined(device):
        yield Second(1, 2)

    used = []
    monkeypatch.setattr(module, "process_group", joined)
    monkeypatch.setattr(module, "execute", lambda folder, record, *rest, **options: used.append(record.settings))
    monkeypatch.setattr(module, "sealed_run", lambda *values: None)
    fit(tiny_spec, open_data("digits"), None, tiny_recipe, out=tmp_path / "run", settings=Settings(precision="fp32"))
    assert [(s.precision, s.source) for s in used] == [("bf16", "as the first process chose")]
