"""Sealed files of format 1, made by the release before (commit 2a49e05): read as ever, and never without a word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import safetensors
import torch

from reslearn.bundle.ensemble import seal_ensemble
from reslearn.bundle.file import load, read_bundle, read_tensors, reseal, verify
from reslearn.runtime.container import KEY
from reslearn.runtime.notes import note_once
from reslearn.spec.errors import UserError

FIXTURES = Path(__file__).parent.parent / "fixtures"
SINGLE, ENSEMBLE = FIXTURES / "sealed1_single.safetensors", FIXTURES / "sealed1_ensemble.safetensors"
NOT_WHOLE = "not sealed whole: format 1 has no checksum over classes, preprocessing and scores"


@pytest.fixture(autouse=True)
def _nothing_said_yet():
    note_once.cache_clear()


def header_of(path):
    with safetensors.safe_open(path, "pt") as file:
        return json.loads(file.metadata()[KEY])


@pytest.mark.parametrize("path", [SINGLE, ENSEMBLE, FIXTURES / "sealed1_run"])
def test_it_opens_and_says_so_once(path, capsys):
    loaded = load(path)
    assert verify(path) == read_bundle(path) == loaded.bundle and loaded.bundle.format == 1
    assert loaded.bundle.sha256 == header_of(loaded.path)["sha256"]
    assert loaded.net(torch.randn(2, 3, 8, 8)).shape == (2, 2)
    assert capsys.readouterr().err == f"note: {loaded.path}: {NOT_WHOLE}\n"


def test_its_tensors_are_under_a_checksum_all_the_same(tmp_path):
    content = bytearray(SINGLE.read_bytes())
    content[-5] ^= 1
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(UserError, match="sha256"):
        load(tmp_path / "m")


def test_sealed_anew_it_keeps_the_mark(tmp_path, capsys):
    path = shutil.copy(SINGLE, tmp_path / "m")
    before, tensors = read_tensors(path)
    after = reseal(path, temperature=2.0)
    assert after.format == 2 and after.sealed_whole_since is not None
    assert (after.scores, after.data, after.threshold) == (before.scores, before.data, before.threshold)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in read_tensors(path)[1].items())
    assert reseal(path, temperature=3.0).sealed_whole_since == after.sealed_whole_since
    seal_ensemble(tmp_path / "e", [path, SINGLE])
    assert read_bundle(tmp_path / "e").sealed_whole_since is not None
    said = capsys.readouterr().err
    assert said.count(f"{tmp_path / 'm'}: {NOT_WHOLE}") == 1
    assert said.count(f"{tmp_path / 'm'}: sealed whole since {after.sealed_whole_since}") == 1
    assert said.count(f"{tmp_path / 'e'}: sealed whole since") == 1


def test_a_format_2_file_cannot_pass_for_one(tmp_path):
    """The digest of format 2 is none of format 1's, nor the other way round."""
    path = shutil.copy(SINGLE, tmp_path / "m")
    reseal(path)
    for source, old, new in ((path, rb"\"format\":2", rb"\"format\":1"), (SINGLE, rb"\"format\":1", rb"\"format\":2")):
        content = Path(source).read_bytes()
        assert content.count(old) == 1
        (tmp_path / "n").write_bytes(content.replace(old, new))
        with pytest.raises(UserError, match="sha256"):
            load(tmp_path / "n")
