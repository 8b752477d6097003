"""In which order a run comes about."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reslearn.bundle.file import load, read_bundle
from reslearn.data.memory import ArrayDataset, Subset
from reslearn.data.sources import open_data
from reslearn.jobs import bench
from reslearn.runtime.process_group import World
from reslearn.runtime.settings import Settings
from reslearn.spec.errors import UserError
from reslearn.train import execute
from reslearn.train import fit as fitting
from reslearn.train.records.journal import read_journal
from reslearn.train.reopening import check_classes
from reslearn.train.together import digest


class Enough(Exception):
    """Seen what was to be seen."""


@pytest.fixture
def order(monkeypatch):
    """What happened: `group` when the process has joined its fellows, and so chosen its GPU, `loader` at the loader."""
    events = []

    @contextlib.contextmanager
    def group(device):
        events.append("group")
        yield World()

    def loader(*arguments, **options):
        events.append("loader")
        raise Enough

    for module in (fitting, bench):
        monkeypatch.setattr(module, "process_group", group)
    monkeypatch.setattr(fitting, "open_parts", loader)
    monkeypatch.setattr(bench, "train_loader", loader)
    return events


def test_pictures_are_loaded_after_the_process_has_its_gpu(tiny_spec, tiny_recipe, tmp_path, request):
    data = Subset(open_data("digits"), np.arange(64))
    recipe, settings = replace(tiny_recipe, iterations=1), Settings(threads=1)
    run = fitting.fit(tiny_spec, data, None, recipe, out=tmp_path / "run", settings=settings)
    run.model.unlink()
    events = request.getfixturevalue("order")
    with pytest.raises(Enough):
        fitting.fit(tiny_spec, data, None, recipe, out=tmp_path / "other", settings=settings)
    with pytest.raises(Enough):
        fitting.resume(tmp_path / "run", train_data=data)
    with pytest.raises(Enough):
        bench.bench_train("resnet20_cifar", image_size=8, batch=8, steps=2)
    assert events == ["group", "loader"] * 3


@pytest.mark.parametrize("classes", [("a", "a"), ("a", ""), ("a", "b\0")])
def test_what_could_not_be_sealed_is_not_trained(tiny_spec, tiny_recipe, tmp_path, classes):
    images = np.zeros((4, 8, 8, 3), np.uint8)
    data = ArrayDataset(images, np.array([0, 1, 0, 1]), classes=classes, ids=list("wxyz"))
    with pytest.raises(UserError, match="classes: "):
        fitting.fit(tiny_spec, data, None, tiny_recipe, out=tmp_path / "run", settings=Settings(threads=1))
    assert not (tmp_path / "run").exists()


def test_the_run_of_another_program_is_not_overwritten(tiny_spec, tiny_recipe, tmp_path):
    """A `run.json` that is none of ours, beside files with the names that a run of ours has."""
    data = ArrayDataset(np.zeros((4, 8, 8, 3), np.uint8), np.array([0, 1, 0, 1]), classes=("a", "b"), ids=list("wxyz"))
    for text in ('{"id": 3}', "[]", "no json"):
        (tmp_path / "run.json").write_text(text)
        (tmp_path / "model.safetensors").write_text("theirs")
        with pytest.raises(UserError, match=r"its run\.json is none of reslearn"):
            fitting.fit(tiny_spec, data, None, tiny_recipe, out=tmp_path, overwrite=True, settings=Settings(threads=1))
        assert (tmp_path / "model.safetensors").read_text() == "theirs"


@pytest.mark.parametrize("change", [("0", "1", "x"), ("1", "0", "2"), ("0", "1", "2", "3")])
def test_a_run_is_not_resumed_on_other_classes(change, tmp_path):
    record = SimpleNamespace(data={"classes": ["0", "1", "2"]})
    check_classes(tmp_path, record, SimpleNamespace(path="data", classes=("0", "1", "2")))
    with pytest.raises(UserError, match="other classes than the run"):
        check_classes(tmp_path, record, SimpleNamespace(path="data", classes=change))


def test_an_epoch_s_loss_is_the_mean_of_its_steps(tiny_spec, tiny_recipe, tmp_path):
    data, recipe = Subset(open_data("digits"), np.arange(160)), replace(tiny_recipe, iterations=8)
    fitting.fit(tiny_spec, data, None, recipe, out=tmp_path / "run", settings=Settings(threads=1))
    steps, epochs = [], 0
    for line in read_journal(tmp_path / "run" / "metrics.jsonl"):
        if line["kind"] == "step":
            steps.append(line["loss"])  # of 64 pictures each
        elif line["kind"] == "epoch":
            assert line["train_loss"] == pytest.approx(np.mean(steps))
            steps, epochs = [], epochs + 1
    assert epochs == 3 and not steps


@pytest.fixture
def few():
    return Subset(open_data("digits"), np.arange(64))


def test_nobody_reads_checkpoints_before_all_are_there_or_leaves_before_it_is_sealed(
    few, tiny_spec, tiny_recipe, tmp_path, monkeypatch
):
    events, read, seal = [], execute.checkpoint.load_newest, execute.seal
    monkeypatch.setattr(World, "barrier", lambda world: events.append("all"))
    monkeypatch.setattr(execute.checkpoint, "load_newest", lambda *given: (events.append("read"), read(*given))[1])
    monkeypatch.setattr(execute, "seal", lambda *given, **more: (events.append("seal"), seal(*given, **more))[1])
    recipe = replace(tiny_recipe, iterations=1)
    fitting.fit(tiny_spec, few, None, recipe, out=tmp_path / "run", settings=Settings(threads=1))
    assert events == ["all", "read", "seal", "all"]


def test_the_journal_s_end_is_on_the_disk_before_the_sealed_file(few, tiny_spec, tiny_recipe, tmp_path, monkeypatch):
    synced, sync, seal = [], os.fsync, execute.seal

    def note(handle):
        path = os.readlink(f"/proc/self/fd/{handle}")
        if os.path.isfile(path):
            with open(path, "rb") as file:
                synced.append((os.path.basename(path), b'"kind": "end"' in file.read()))
        sync(handle)

    def check(*given, **more):
        assert synced[-1] == ("metrics.jsonl", True)
        return seal(*given, **more)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(execute, "seal", check)
    recipe = replace(tiny_recipe, iterations=1)
    run = fitting.fit(tiny_spec, few, None, recipe, out=tmp_path / "run", settings=Settings(threads=1))
    assert run.model.exists()


def test_a_process_is_left_as_it_was(few, tiny_spec, tiny_recipe, tmp_path):
    """Its random numbers, its threads; and while it trains, it has the threads that the settings name."""
    torch.manual_seed(7)
    before, threads, during = torch.random.get_rng_state(), torch.get_num_threads(), []
    recipe = replace(tiny_recipe, iterations=2)
    torch.set_num_threads(2)
    try:
        fitting.fit(
            tiny_spec, few, None, recipe, out=tmp_path / "deep" / "run", settings=Settings(threads=1),
            watch=lambda event: during.append(torch.get_num_threads()),
        )  # fmt: skip
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert set(during) == {1} and torch.equal(torch.random.get_rng_state(), before)


def test_a_run_is_replaced_only_where_that_is_said(few, tiny_spec, tiny_recipe, tmp_path):
    """Also with what it started from: the old run's checkpoints are no start of the new one."""
    recipe, settings, out = replace(tiny_recipe, iterations=2), Settings(threads=1), tmp_path / "run"
    first = fitting.fit(tiny_spec, few, None, recipe, out=out, settings=settings)
    sealed = first.model.read_bytes()
    with pytest.raises(UserError, match="holds a run already"):
        fitting.fit(tiny_spec, few, None, recipe, out=out, settings=settings)
    assert first.model.read_bytes() == sealed and first.val is None
    (tmp_path / "kept.safetensors").write_bytes(sealed)
    start = {"weights": str(tmp_path / "kept.safetensors"), "settings": settings}
    again = fitting.fit(tiny_spec, few, None, recipe, out=out, overwrite=True, **start)
    fresh = fitting.fit(tiny_spec, few, None, recipe, out=tmp_path / "fresh", **start)
    assert (
        digest(load(again.path).net) == digest(load(fresh.path).net) != digest(load(tmp_path / "kept.safetensors").net)
    )
    assert read_bundle(again.path).seen.known_by == "content", "what is seen is known unless that is to be forgotten"


def test_pictures_that_cannot_be_read_stop_a_run_unless_they_may_be_skipped(tiny_spec, tiny_recipe, tmp_path):
    class Gap(ArrayDataset):
        def read(self, i):
            if i == 3:
                raise UserError("picture 3 is damaged")
            return super().read(i)

    digits = open_data("digits")
    data = Gap(digits.images[:64], digits.labels[:64], classes=digits.classes, ids=list(digits.ids[:64]))
    recipe = replace(tiny_recipe, iterations=2, batch_size=32)
    streamed = Settings(threads=1, loader="streaming")
    with pytest.raises(UserError, match="picture 3 is damaged"):
        fitting.fit(tiny_spec, data, None, recipe, out=tmp_path / "run", settings=streamed)
    run = fitting.fit(tiny_spec, data, None, recipe, out=tmp_path / "new", settings=streamed, on_bad_file="skip")
    assert run.skipped == {digits.ids[3]: "picture 3 is damaged"}


@pytest.mark.parametrize("rank", [0, 1])
def test_settings_that_follow_from_no_measurement_are_said_by_the_first(
    rank, tiny_spec, tiny_recipe, tmp_path, monkeypatch, recwarn
):
    """Those that are given, or rest on a measurement, need no word."""
    data = Subset(open_data("digits"), np.arange(8))
    monkeypatch.setattr(fitting, "from_environment", lambda: World(rank, 2))
    monkeypatch.setattr(fitting, "begin", lambda *given, **more: None)
    for source in (f"a guess; {fitting.MEASURE} would tell", "measured"):
        monkeypatch.setattr(fitting, "decide", lambda *given, source=source, **more: Settings(threads=1, source=source))
        fitting.fit(tiny_spec, data, None, tiny_recipe, out=tmp_path / "run")
    assert [str(one.message) for one in recwarn] == ["a guess; reslearn doctor --measure would tell"] * (rank == 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize(
    ("settings", "told"), [({"device": "cuda"}, "sees 0 GPUs"), ({"precision": "fp16"}, "needs a GPU")]
)
def test_settings_that_this_machine_has_not_write_nothing(settings, told, tmp_path, tiny_spec, tiny_recipe):
    digits = open_data("digits")
    with pytest.raises(UserError, match=told):
        fitting.fit(tiny_spec, digits, None, tiny_recipe, out=tmp_path / "run", settings=Settings(**settings))
    assert not (tmp_path / "run").exists()
