"""What ends a training before its end names what goes on with it: signals, a full disk, a picture that is damaged."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from reslearn.spec.errors import BadPicture, Fault, UserError
from reslearn.spec.voice import PYTHON
from reslearn.train.stopping import FULL, DiskFull, Interrupted, Terminated, leading_on, stop_signals


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run" / "fold-1").mkdir(parents=True)
    for name in ("run/crossval.json", "run/fold-1/run.json"):
        (tmp_path / name).write_text("{}")
    return tmp_path / "run"


@pytest.mark.parametrize("number", FULL)
def test_a_full_disk_leads_to_resume_of_the_whole(run, number):
    with (
        pytest.raises(
            Fault, match=rf"x\.safetensors: .*; nothing was half-written.*: reslearn resume {run}$"
        ) as caught,
        leading_on(run, "crossval.json"),
        leading_on(run / "fold-1"),
    ):
        raise OSError(number, os.strerror(number), "x.safetensors")
    assert isinstance(caught.value, DiskFull) and isinstance(caught.value.__cause__, OSError)


def test_before_there_is_a_run_nothing_can_be_resumed(tmp_path):
    for error in (OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), Terminated()):
        with pytest.raises(type(error)), leading_on(tmp_path):
            raise error
    with pytest.raises(FileNotFoundError), leading_on(tmp_path):
        raise FileNotFoundError(errno.ENOENT, "gone", "x")


def test_a_second_signal_names_the_run_too(run):
    with (
        pytest.raises(Interrupted, match=f"stopped at once.*reslearn resume {run}$") as caught,
        leading_on(run, "crossval.json"),
        leading_on(run / "fold-1"),
    ):
        raise KeyboardInterrupt
    assert caught.value.signum == signal.SIGINT
    with (
        pytest.raises(Interrupted, match=f"stopped and saved.*reslearn resume {run}$") as caught,
        leading_on(run, "crossval.json"),
    ):
        raise Interrupted(Path("elsewhere"), signal.SIGTERM)
    assert caught.value.signum == signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_says_what_is_lost(run, number):
    """Ctrl-C or SIGTERM while the loop is saving, with Python's and the system's own handlers below."""
    with (
        pytest.raises(Interrupted, match=f"last checkpoint is lost.*: reslearn resume {run}$") as caught,
        leading_on(run, "crossval.json"),
        leading_on(run / "fold-1"),
        stop_signals() as stop,
    ):
        os.kill(os.getpid(), number)
        assert stop() == number
        os.kill(os.getpid(), number)
        pytest.fail("it goes on")
    assert caught.value.signum == number and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_signal_after_the_model_is_sealed_loses_the_report_alone(run):
    (run / "model.safetensors").touch()
    with (
        pytest.raises(Interrupted, match="the model is whole, its report is not"),
        leading_on(run, "crossval.json"),
    ):
        os.kill(os.getpid(), signal.SIGTERM)
        pytest.fail("it goes on")


def test_sigterm_among_processes_is_the_system_s(run, monkeypatch):
    """They may wait for each other where no handler runs."""
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "0")):
        monkeypatch.setenv(name, value)
    with leading_on(run):
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_damaged_picture_names_both_remedies(tmp_path):
    both = r"a\.png: damaged.*`reslearn data check pets`.*--on-bad-file skip$"
    with pytest.raises(UserError, match=both), leading_on(tmp_path, data="pets"):
        raise BadPicture("a.png: damaged or truncated image; replace it")
    both = r"`reslearn data check` finds.*on_bad_file='skip'$"
    with pytest.raises(UserError, match=both) as caught, leading_on(tmp_path, voice=PYTHON):
        raise BadPicture("a.png: damaged")
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"^a$"), leading_on(tmp_path):
        raise UserError("a")
