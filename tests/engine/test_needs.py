"""Other packages' engines work here and tell nobody."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TRIES = """
import sys
from reslearn.engine.needs import onnxruntime
ort = onnxruntime()
import onnx
from onnx import TensorProto, helper
ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
"""


@pytest.mark.parametrize("asked", [None, "0"])
def test_onnx_runtime_reports_nothing_unless_its_user_says_so(tmp_path, asked):
    """What it would send it keeps in the user's cache first: without a report there is no such file."""
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")
    pytest.importorskip("onnx", reason="needs onnx: pip install onnx")
    theirs = ("CI", "TF_BUILD", "GITHUB_ACTIONS", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS")
    around = {name: value for name, value in os.environ.items() if name not in theirs}
    around |= {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    around |= {} if asked is None else {"ORT_DISABLE_TELEMETRY": asked}
    script = TRIES + "import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    done = subprocess.run([sys.executable, "-c", script], env=around, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [asked or "1"]  # what the user says rules
    if asked is None:
        assert not list(tmp_path.rglob("*onnxruntime*"))
