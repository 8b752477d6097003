"""`export` and `verify`, and exported files as MODEL of `evaluate` and `predict`, as a user types them."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from reslearn.bundle.own import save_networks
from reslearn.cli.app import main
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import Preprocess

pytest.importorskip("onnx", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
pytest.importorskip("onnxruntime", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
pytest.importorskip("openvino", reason="needs the extra openvino: pip install openvino nncf")

SPEC = NetSpec("tiny", "cifar", 4, "basic", (1, 1), (4, 8), num_classes=2, shortcut="A")
FILES = {"onnx": "m.onnx", "openvino": "m.xml"}
ENGINES = {"onnx": "onnxruntime", "openvino": "openvino"}
ROW = {
    "engine", "precision", "pictures", "max_gap", "mean_gap", "agreement", "top1", "top1_reference", "seen",
    "images_per_second", "ok",
}  # fmt: skip
both = pytest.mark.parametrize("to", ["onnx", "openvino"])


def pictures(root, count, seed):
    draws = np.random.default_rng(seed)
    for name in ("ant", "bee"):
        (root / name).mkdir(parents=True)
        for i in range(count):
            Pillow.fromarray(draws.integers(0, 256, (14 + i, 20, 3), dtype=np.uint8)).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """`m.safetensors`, trained on `own` and selected on `val`, its exports, and `other` pictures."""
    folder = tmp_path_factory.mktemp("house")
    own, val = pictures(folder / "own", 6, 0), pictures(folder / "val", 3, 1)
    pictures(folder / "other", 4, 2)
    torch.manual_seed(0)
    save_networks(
        folder / "m.safetensors", create_model(SPEC), preprocess=Preprocess(12, 12), classes=("ant", "bee"),
        train_data=own, val_data=val,
    )  # fmt: skip
    for to, name in FILES.items():
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            model = ["export", str(folder / "m.safetensors"), "--data", str(folder / "other"), "--json"]
            assert main([*model, "--to", to, "-o", str(folder / name)]) == 0
        (folder / f"{to}.json").write_text(said.getvalue(), "utf-8")
    return folder


def call(capsys, *arguments, status=0):
    assert main([*map(str, arguments), "--json"]) == status, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def refuse(capsys, words, *arguments):
    assert main([*map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    last = err.splitlines()[-1]
    assert not out and last.startswith("reslearn: ") and words in last, err
    return last


@both
def test_export_tells_what_it_wrote_and_proved(house, to):
    value, path = json.loads((house / f"{to}.json").read_text("utf-8")), house / FILES[to]
    assert {"path", "to", "input", "precision", "bytes", "opset", "verified"} <= set(value)
    assert (value["path"], value["to"], value["input"], value["precision"]) == (str(path), to, "float", "fp32")
    files = [path] if to == "onnx" else [path, path.with_suffix(".bin")]
    assert value["bytes"] == sum(file.stat().st_size for file in files)
    assert value["verified"]["pictures"] == 8 and value["verified"]["agreement"] == 1
    assert value["verified"]["max_gap"] < 1e-4 and value["verified"]["on"] == str(house / "other")


@both
def test_verify_prints_a_row_for_each_engine(house, capsys, to):
    rows = call(capsys, "verify", house / FILES[to], house / "m.safetensors", "--data", house / "other")
    assert [row["engine"] for row in rows] == (["onnxruntime", "openvino"] if to == "onnx" else ["openvino"])
    for row in rows:
        assert set(row) == ROW and row["ok"] and row["pictures"] == 8 and row["precision"] == "fp32"
        assert row["top1"] == row["top1_reference"] and row["agreement"] == 1
        assert row["seen"] == {"trained": 0, "selected": 0, "known_by": "content"}


def test_verify_needs_no_labels(house, capsys, tmp_path):
    for i in range(3):
        Pillow.fromarray(np.full((20, 20, 3), 80 * i, np.uint8)).save(tmp_path / f"{i}.png")
    rows = call(capsys, "verify", house / "m.onnx", house / "m.safetensors", "--data", tmp_path)
    assert rows[0]["pictures"] == 3 and rows[0]["top1"] is None and rows[0]["top1_reference"] is None


def test_verify_ends_with_1_where_the_file_answers_otherwise(house, capsys, tmp_path):
    torch.manual_seed(5)
    save_networks(tmp_path / "o.safetensors", create_model(SPEC), preprocess=Preprocess(12, 12), classes=("ant", "bee"))
    rows = call(capsys, "verify", house / "m.onnx", tmp_path / "o.safetensors", "--data", house / "other", status=1)
    assert not rows[0]["ok"]


@both
def test_evaluate_scores_an_exported_file_on_its_own_engine(house, capsys, to):
    sealed = call(capsys, "evaluate", house / "m.safetensors", house / "other")
    value = call(capsys, "evaluate", house / FILES[to], house / "other")
    assert value["engine"] == ENGINES[to] and sealed["engine"] == "torch"
    same = ("images", "top1", "precision", "preprocess_hash", "seen", "selected_on_test", "protocol")
    assert {name: value[name] for name in same} == {name: sealed[name] for name in same}
    assert value["loss"] == pytest.approx(sealed["loss"], rel=1e-4)


@both
def test_pictures_that_were_trained_on_are_refused_and_marked(house, capsys, to):
    path = house / FILES[to]
    assert "trained on" in refuse(capsys, "--allow-seen", "evaluate", path, house / "own")
    assert call(capsys, "evaluate", path, house / "own", "--allow-seen")["seen"]["trained"] == 12
    assert call(capsys, "evaluate", path, house / "val")["seen"]["selected"] == 6


@both
def test_predict_answers_as_the_sealed_file_does(house, capsys, to):
    given = call(capsys, "predict", house / FILES[to], house / "other")
    wanted = call(capsys, "predict", house / "m.safetensors", house / "other")
    for one, other in zip(given, wanted, strict=True):
        assert one["path"] == other["path"]
        assert [a["label"] for a in one["predictions"]] == [a["label"] for a in other["predictions"]]


def test_a_sealed_file_is_scored_on_other_engines_and_its_graph_is_kept(house, capsys):
    first = call(capsys, "evaluate", house / "m.safetensors", house / "other", "--engine", "onnxruntime")
    assert first["engine"] == "onnxruntime"
    assert main(["evaluate", str(house / "m.safetensors"), str(house / "other"), "--engine", "onnxruntime"]) == 0
    assert "making its graph" not in capsys.readouterr().err


@both
def test_what_needs_the_sealed_file_names_it(house, capsys, tmp_path, to):
    path, other = house / FILES[to], house / "other"
    for command in (
        ["calibrate", path, other, "--split", "all"],
        ["ensemble", path, house / "m.safetensors", "--data", other],
        ["convert", path, "--model", "resnet20_cifar", "-o", tmp_path / "x.safetensors"],
        ["train", other, "--model", "resnet20_cifar", "--recipe", "demo", "--weights", path, "--out", tmp_path / "run"],
        ["export", path, "--to", "onnx", "-o", tmp_path / "x.onnx"],
        ["evaluate", path, other, "--protocol", "multi-scale"],
    ):
        refuse(capsys, "m.safetensors", *command)


def test_an_altered_file_is_exit_2(house, capsys, tmp_path):
    raw = bytearray((house / "m.onnx").read_bytes())
    raw[len(raw) // 2] ^= 1
    (tmp_path / "m.onnx").write_bytes(raw)
    refuse(capsys, "altered", "evaluate", tmp_path / "m.onnx", house / "other")
    refuse(capsys, "altered", "predict", tmp_path / "m.onnx", house / "other")
    refuse(capsys, "altered", "verify", tmp_path / "m.onnx", house / "m.safetensors", "--data", house / "other")


def test_a_missing_file_of_seen_pictures_is_said(house, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("reslearn.engine.exported.INSIDE", 8)
    command = ["export", house / "m.safetensors", "--to", "onnx", "-o", tmp_path / "m.onnx", "--no-verify"]
    assert call(capsys, *command)["verified"] is None
    refuse(capsys, "--allow-seen", "evaluate", tmp_path / "m.onnx", house / "own")
    seen = tmp_path / "m.onnx.seen"
    whole = seen.read_bytes()
    seen.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refuse(capsys, "m.onnx.seen", "evaluate", tmp_path / "m.onnx", house / "other")
    seen.unlink()
    assert main(["evaluate", str(tmp_path / "m.onnx"), str(house / "own"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert "m.onnx.seen" in err and json.loads(out)["seen"]["known_by"] == "nothing"


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (".onnx", ["--to", "onnx", "-o", "m.xml"]),
        ("fp32 or int8", ["--to", "onnx", "-o", "m.onnx", "--precision", "bf16"]),
        ("--calibrate", ["--to", "onnx", "-o", "m.onnx", "--precision", "int8"]),
        ("--input", ["--to", "torch", "-o", "m.pt2", "--input", "uint8"]),
        ("--max-drop is for", ["--to", "onnx", "-o", "m.onnx", "--max-drop", "1"]),
        ("--max-drop is for", ["--to", "akamaster", "-o", "m.pth", "--max-drop", "1"]),
        ("--cam", ["--to", "akamaster", "-o", "m.pth", "--cam"]),
        ("--no-verify", ["--to", "onnx", "-o", "m.onnx", "--no-verify", "--data", "digits"]),
        ("no such folder", ["--to", "onnx", "-o", "nowhere/m.onnx"]),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(house, capsys, tmp_path, monkeypatch, words, more):
    monkeypatch.chdir(tmp_path)
    refuse(capsys, words, "export", house / "m.safetensors", *more)
    assert not list(tmp_path.iterdir())
