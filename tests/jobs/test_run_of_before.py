"""A run of the release before (commit 2a49e05): it loads, scores, resumes and is calibrated, and says what it is."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import numpy as np
import pytest

from reslearn.bundle.file import read_bundle
from reslearn.jobs.calibration import calibrate_model
from reslearn.jobs.evaluation import evaluate_protocols
from reslearn.jobs.pages.run import write_report
from reslearn.measure.scoring import Scoring
from reslearn.runtime.notes import note_once
from reslearn.train.fit import resume

RUN = Path(__file__).parent.parent / "fixtures" / "sealed1_run"


def bmp(seed):
    """The bytes of an 8 x 8 picture of noise, the same for ever."""
    pixels = np.random.RandomState(seed).randint(0, 256, 192).astype(np.uint8).tobytes()
    head = struct.pack("<IHHIIiiHHIIiiII", 246, 0, 0, 54, 40, 8, 8, 1, 24, 0, 192, 2835, 2835, 0, 0)
    return b"BM" + head + pixels


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A copy of the run beside `pictures`, which it was trained on."""
    monkeypatch.chdir(tmp_path)
    note_once.cache_clear()
    for k, name in enumerate(("cat", "dog")):
        for part, count in (("train", 8), ("val", 4), ("test", 4)):
            folder = tmp_path / "pictures" / part / name
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"{i}.bmp").write_bytes(bmp(100 * k + 10 * len(part) + i))
    return Path(shutil.copytree(RUN, tmp_path / "run"))


def test_it_scores_as_it_did(run, capsys):
    """Its kept scores were under no checksum: all is scored anew, to the same numbers."""
    [result] = evaluate_protocols(str(run), "pictures", ["1-crop"], Scoring(cache="auto")).results
    assert not result.evaluation.kept and result.evaluation.images == 8
    assert result.evaluation.loss == pytest.approx(0.7397050819345483, abs=1e-5)
    assert capsys.readouterr().err.count(f"note: {run / 'model.safetensors'}: not sealed whole") == 1
    [again] = evaluate_protocols(str(run), "pictures", ["1-crop"], Scoring(cache="auto")).results
    assert again.evaluation.kept and again.evaluation.loss == result.evaluation.loss
    assert write_report(run).stat().st_size > 10_000


def test_calibrated_it_is_sealed_whole_and_says_since_when(run, capsys):
    calibrate_model(run, "pictures")
    sealed = read_bundle(run)
    assert sealed.format == 2 and sealed.sealed_whole_since is not None and sealed.temperature is not None
    note_once.cache_clear()
    capsys.readouterr()
    read_bundle(run)
    assert f"sealed whole since {sealed.sealed_whole_since}" in capsys.readouterr().err


def test_it_is_resumed(run):
    before = read_bundle(run)
    (run / "model.safetensors").unlink()
    resume(run, allow_different_numerics=True)
    after = read_bundle(run)
    assert after.format == 2 and after.sealed_whole_since is None and after.members == before.members
    assert after.scores["val"]["loss"] == pytest.approx(before.scores["val"]["loss"], abs=0.02)
