"""Exports of a model that was trained: int8, what may be calibrated on, and other packages' layouts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import reslearn
from reslearn.bundle.file import load
from reslearn.engine.exported import open_exported
from reslearn.jobs.bench_engines import bench_engines, here
from reslearn.jobs.evaluation import evaluate_model
from reslearn.jobs.export import ExportRequest, export, export_with
from reslearn.jobs.quantisation import paired_interval
from reslearn.measure.metrics import Z95
from reslearn.spec.errors import UserError

pytest.importorskip("onnx", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
pytest.importorskip("nncf", reason="needs the extra openvino: pip install openvino nncf")


@pytest.mark.slow
@pytest.mark.parametrize(("to", "name"), [("onnx", "m.onnx"), ("openvino", "m.xml")])
def test_int8_costs_little_and_says_what_it_looked_at(short_run, tmp_path, to, name):
    value = export(short_run, tmp_path / name, ExportRequest(to, precision="int8", calibrate="digits"))
    kept = value.to_json()["calibration"]
    assert value.precision == "int8" and kept["split"] == "train" and kept["pictures"] == 300
    assert kept["validation"] > 0 and kept["drop"] <= 0.3 and kept["drop_interval"][0] <= kept["drop"]
    exported, sealed = open_exported(tmp_path / name), load(short_run)
    assert len(exported.graph.calibration.pictures) == 300
    assert set(sealed.known.trained) <= set(exported.known.trained)
    small, whole = evaluate_model(tmp_path / name, "digits"), evaluate_model(short_run, "digits")
    assert small.precision == "int8" and abs(small.top1 - whole.top1) < 0.03
    assert small.seen == whole.seen


@pytest.mark.slow
def test_accuracy_control_marks_validation_as_selected_on(short_run, tmp_path, monkeypatch):
    monkeypatch.setattr("reslearn.jobs.quantisation.lost", lambda before, after: 5.0)  # as if int8 had cost so much
    export(short_run, tmp_path / "m.xml", ExportRequest("openvino", precision="int8", calibrate="digits"))
    exported = open_exported(tmp_path / "m.xml")
    assert exported.graph.calibration.controlled and len(exported.known.selected)


def test_calibration_takes_training_pictures_alone(flat, tmp_path):
    for name in ("val", "test", "Validation", "test_set"):
        part = flat.rename(flat.with_name(name))
        request = ExportRequest("openvino", precision="int8", calibrate=part)
        with pytest.raises(UserError, match="calibrated on training pictures"):
            export(_sealed(tmp_path), tmp_path / "m.xml", request)
        flat = part


def test_pictures_that_something_was_selected_on_are_refused(flat, tmp_path):
    sealed = _sealed(tmp_path, val_data=flat)
    with pytest.raises(UserError, match="selected on"):
        export(sealed, tmp_path / "m.xml", ExportRequest("openvino", precision="int8", calibrate=flat))


def _sealed(folder, **data):
    small = {"stage_blocks": (1, 1, 1), "stage_channels": (4, 4, 4), "stem_channels": 4}
    net = reslearn.create_model("resnet20_cifar", num_classes=2, **small)
    reslearn.save(folder / "m.safetensors", net, preprocess=reslearn.Preprocess(8, 8), classes=["a", "b"], **data)
    return folder / "m.safetensors"


def test_other_packages_layouts_are_written_by_export_too(tmp_path):
    value = export_with(_sealed(tmp_path), tmp_path / "m.pth", to="akamaster")
    assert value.to == "akamaster" and value.bytes == (tmp_path / "m.pth").stat().st_size
    assert "linear.weight" in torch.load(tmp_path / "m.pth", weights_only=True)


def test_an_option_that_there_is_not_is_named(tmp_path):
    with pytest.raises(UserError, match="precision"):
        export_with(_sealed(tmp_path), tmp_path / "m.onnx", to="onnx", precison="int8")


def test_the_interval_is_that_of_a_paired_difference():
    before, after = np.array([True] * 90 + [False] * 10), np.array([True] * 88 + [False] * 12)
    low, high = paired_interval(before, after)
    difference = before.astype(float) - after
    assert low < 2 < high and high - low == pytest.approx(2 * 100 * Z95 * difference.std() / 10)


def test_engines_are_measured():
    [speed] = bench_engines("resnet20_cifar", "torch", batch=2, image_size=8, steps=2, warmup=1)
    assert speed.images_per_second > 0 and speed.to_json()["engine"] == "torch"
    assert "torch" in here()


@pytest.mark.slow
def test_every_engine_that_is_here_is_measured():
    found = bench_engines("resnet20_cifar", "all", batch=2, image_size=8, steps=2, warmup=1)
    assert [one.about["engine"] for one in found] == list(here())
