"""Graphs that take bytes, on real pictures: how far they are from us, and that no answer changes which was clear."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reslearn.engine.exported import open_exported
from reslearn.engine.models import scorer_of
from reslearn.engine.saving import save_exported
from reslearn.engine.writing import ExportPlan, export_model
from reslearn.jobs.verification import of_one_shape
from reslearn.measure.agreement import BOUNDS
from reslearn.predictor.given import given
from reslearn.spec.preprocess import Preprocess

from .exporting import NETS, sealed

pytest.importorskip("onnx", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
pytest.importorskip("openvino", reason="needs the extra openvino: pip install openvino nncf")
SOURCES = {"photos-100.tar": Preprocess(64, 73, "crop"), "cifar10-lossless-mini.tar.gz": Preprocess(48, 48)}


@pytest.mark.slow
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("source", SOURCES)
def test_no_clear_answer_changes(shared_data, tmp_path, source, interpolation):
    there = given(str(shared_data(source)))
    pictures = [there.read(i) for i in range(min(len(there), 200))]
    preprocess = replace(SOURCES[source], interpolation=interpolation)
    loaded = sealed(tmp_path / "m.safetensors", NETS["option-b"], preprocess=preprocess)
    wanted = scorer_of(loaded).whole(pictures)
    best = np.sort(wanted, axis=1)
    margin = best[:, -1] - best[:, -2]
    for to, name in (("onnx", "m.onnx"), ("openvino", "m.xml")):
        exported, beside = export_model(loaded, ExportPlan(to, input="uint8"))
        save_exported(exported, tmp_path / name, beside)
        scorer, found = scorer_of(open_exported(tmp_path / name)), np.empty_like(wanted)
        for some in of_one_shape(pictures):
            found[some] = scorer.outputs(np.stack([pictures[i] for i in some]))["logits"]
        gap = np.abs(found - wanted).max()
        assert gap <= BOUNDS["fp32", "uint8"] * np.abs(wanted).max()
        clear = margin > gap
        assert clear.mean() > 0.5 and (found.argmax(1) == wanted.argmax(1))[clear].all()
