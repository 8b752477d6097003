"""A run that goes on where the arithmetic differs: refused, or allowed, followed as far as it can be, and noted."""

from __future__ import annotations

import json
import signal
from dataclasses import replace

import pytest
import torch

from reslearn.data.memory import Subset
from reslearn.data.sources import open_data
from reslearn.jobs.pages.run import gather
from reslearn.runtime.process_group import World
from reslearn.runtime.settings import Settings
from reslearn.spec.catalogue import get_spec
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess
from reslearn.spec.recipes import get_recipe
from reslearn.train.checkpoint import newest_step
from reslearn.train.fit import fit, resume
from reslearn.train.numerics import carried_on, not_alike, numerics
from reslearn.train.records.run import RunRecord, Split, read_record
from reslearn.train.stopping import Interrupted


def record(then, **settings):
    """A record of a run whose machine had these facts."""
    return RunRecord(
        spec=get_spec("resnet20_cifar"), recipe=get_recipe("demo"), preprocess=default_preprocess(8),
        settings=Settings(**settings), split=Split(("a", "b"), (), 0), data={}, command="", created="",
        environment={} if then is None else {"numerics": then},
    )  # fmt: skip


def test_arithmetic_that_differs_is_named_or_allowed(tmp_path, capsys):
    now = numerics(World())
    assert now["processes"] == "1" and now["torch"] == torch.__version__.partition("+")[0]
    for then in (now, None, "damaged", {}, {"a fact that is recorded no more": "x"}):
        before = record(then)
        assert carried_on(tmp_path, before, World(), False) is before
        known = isinstance(then, dict) and bool(then)
        assert ("nothing could be compared" in capsys.readouterr().err) is not known
    for name in now:
        before = record(now | {name: "other"})
        with pytest.raises(UserError, match=f"{name} was other, is .*reslearn resume {tmp_path} --allow-different-num"):
            carried_on(tmp_path, before, World(), False)
        after = carried_on(tmp_path, before, World(), True)
        assert after.environment["numerics"] == now and after.settings == before.settings
        assert f"{name} was other, is {now[name]}" in capsys.readouterr().err
        assert carried_on(tmp_path, after, World(), False) is after  # asked for once
    with pytest.raises(UserError, match="processes was 1, is 2"):
        carried_on(tmp_path, record(now), World(0, 2), False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_that_is_not_here_is_a_difference_whatever_was_recorded(tmp_path):
    with pytest.raises(UserError, match=r"device was cuda, is cpu; precision was fp16, is (bf16|fp32)"):
        carried_on(tmp_path, record(None, device="cuda", precision="fp16"), World(), False)
    after = carried_on(tmp_path, record(None, device="cuda", precision="fp16"), World(), True)
    assert after.settings.device == "cpu" and after.settings.precision != "fp16"
    assert after.notes == ()  # nothing had been trained yet: it is one machine's run


def test_runs_that_stand_side_by_side_tell_what_they_were_computed_with_where_it_differs():
    now = numerics(World())
    here, there = record(now), record(now | {"gpu": "NVIDIA Z1"}, device="cuda", precision="bf16")
    mixed = replace(there, notes=("of more than one arithmetic: after step 3 a, b",))
    assert not_alike({"Fold 1": here, "Fold 2": here}) == not_alike({}) == ()
    first, second = not_alike({"Fold 1": here, "Fold 2": mixed, "Fold 3": here})
    assert first == "Fold 2 is of more than one arithmetic: after step 3 a, b."
    assert second.startswith("Not all were computed alike. Fold 1, Fold 3: cpu, fp32, eager, torch ")
    assert "; Fold 2: cuda, bf16, eager, torch " in second and "gpu NVIDIA Z1" in second and "gpu none" not in second


def test_precision_that_is_not_here_on_any_device_is_a_difference(tmp_path, tiny_spec, tiny_recipe):
    """fp16 on a CPU, and a checkpoint without the scale of fp16."""
    run = tmp_path / "run"
    train_data, val_data = begun_on_a_gpu(run, tiny_spec, tiny_recipe, {"precision": "fp16"})
    with pytest.raises(UserError, match=r"precision was fp16, is (fp32|bf16)"):
        resume(run, train_data=train_data, val_data=val_data)
    done = resume(run, train_data=train_data, val_data=val_data, allow_different_numerics=True)
    assert done.val["images"] and read_record(run).settings.precision != "fp16"


def begun_on_a_gpu(folder, spec, recipe, settings):
    """An unfinished run, in whose record other settings and a GPU trained so far."""
    digits = open_data("digits")
    parts = [Subset(digits, digits.splits["train"][some]) for some in (slice(200), slice(200, 300))]

    def stop(event):
        if getattr(event, "step", 0) == 3:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        fit(spec, *parts, recipe, out=folder, watch=stop)
    value = json.loads((folder / "run.json").read_text())
    value["settings"] |= settings
    value["environment"]["numerics"]["gpu"] = "NVIDIA Z1"
    (folder / "run.json").write_text(json.dumps(value))
    return parts


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_gpu_s_run_goes_on_without_one_and_says_so(tmp_path, tiny_spec, tiny_recipe):
    run = tmp_path / "run"
    train_data, val_data = begun_on_a_gpu(run, tiny_spec, tiny_recipe, {"device": "cuda", "precision": "fp16"})
    steps = newest_step(run / "checkpoints")
    before = (run / "run.json").read_bytes()
    with pytest.raises(UserError, match="gpu was NVIDIA Z1, is none; device was cuda, is cpu"):
        resume(run, train_data=train_data, val_data=val_data)
    assert (run / "run.json").read_bytes() == before
    done = resume(run, train_data=train_data, val_data=val_data, allow_different_numerics=True)
    after = read_record(run)
    assert after.settings.device == "cpu" and done.val["images"]
    (told,) = after.notes
    differs = "gpu was NVIDIA Z1, is none; device was cuda, is cpu; precision was fp16, is "
    assert told.startswith(f"of more than one arithmetic: after step {steps} {differs}")
    assert 0 < steps < 60
    assert f"This run is {told}." in gather(run).notes
