"""A sealed file's graph for another engine is made once, and believed only where it is whole and of this model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reslearn.engine.kept_graphs import bare_model, graph_file, is_kept, kept_graph
from reslearn.engine.models import scorer_of
from reslearn.spec.errors import UserError

from .exporting import NETS, relative_gap, sealed

pytest.importorskip("onnx", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
pytest.importorskip("openvino", reason="needs the extra openvino: pip install openvino nncf")


def test_a_graph_is_made_once_and_an_altered_one_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    loaded = sealed(tmp_path / "m.safetensors", NETS["option-a"])
    assert not is_kept(loaded, "onnxruntime")
    images = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    wanted = scorer_of(loaded)(images)
    assert relative_gap(scorer_of(loaded, engine="onnxruntime")(images), wanted) < 1e-4
    assert is_kept(loaded, "onnxruntime") and not is_kept(loaded, "openvino")
    capsys.readouterr()
    warmer = replace(loaded, bundle=replace(loaded.bundle, temperature=3.0, threshold=0.5))
    kept = kept_graph(warmer, "onnxruntime")  # logits depend on neither
    assert not capsys.readouterr().err and not len(kept.known.trained)
    file = graph_file(bare_model(loaded, "onnxruntime", "fp32"), "onnxruntime")
    file.write_bytes(file.read_bytes()[:-3] + b"abc")
    assert relative_gap(scorer_of(loaded, engine="onnxruntime")(images), wanted) < 1e-4
    assert "made anew" in capsys.readouterr().err
    with torch.no_grad():
        loaded.net.head.fc.bias += 1
    assert not is_kept(loaded, "onnxruntime")  # it is another model now


def test_an_engine_has_its_own_precisions(tmp_path):
    loaded = sealed(tmp_path / "m.safetensors", NETS["option-a"])
    for engine, precision in (("onnxruntime", "bf16"), ("openvino", "fp16"), ("torch", "int8")):
        with pytest.raises(UserError, match=precision):
            scorer_of(loaded, engine=engine, precision=precision)


@pytest.mark.slow
def test_bf16_is_openvino_s_hint(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    loaded = sealed(tmp_path / "m.safetensors", NETS["option-a"])
    images = torch.randint(256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scorer = scorer_of(loaded, engine="openvino", precision="bf16")
    assert scorer.precision == "bf16"
    assert relative_gap(scorer(images), scorer_of(loaded)(images)) < 0.1
    assert np.isfinite(scorer(images)).all()
