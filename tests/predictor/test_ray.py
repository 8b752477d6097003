"""The twenty lines of docs/en/guide/predict.md run on a Ray of this machine, and answer as one Predictor does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import reslearn
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

PAGE = Path(__file__).parents[2] / "docs" / "en" / "guide" / "predict.md"
SPEC = NetSpec(
    name="tiny", stem="cifar", stem_channels=4, block="basic", stage_blocks=(1,), stage_channels=(4,), num_classes=3
)


@pytest.mark.slow
def test_the_documented_lines_answer_as_a_predictor_does(tmp_path):
    pytest.importorskip("ray", reason="needs ray: pip install 'ray[data]'")
    pq = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow")
    torch.manual_seed(0)
    model, photos = tmp_path / "m.safetensors", tmp_path / "photos"
    reslearn.save(model, create_model(SPEC).eval(), preprocess=default_preprocess(16), classes=("ant", "bee", "cow"))
    photos.mkdir()
    rng = np.random.default_rng(0)
    for i in range(40):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(photos / f"{i:02d}.png")
    (photos / "07.png").write_bytes(b"no picture")
    [lines] = re.findall(r"```python slow\n(import sys\n.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    script = tmp_path / "on_ray.py"
    script.write_text(lines, encoding="utf-8")
    surroundings = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(script), str(model), str(photos), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = pq.read_table(tmp_path / "out").to_pylist()
    found = {Path(row["path"]).name: (row["label"], bool(row["error"])) for row in rows}
    answers = reslearn.Predictor(model, engine="torch").stream(photos)
    expected = {Path(one.path).name: (getattr(one, "label", ""), hasattr(one, "error")) for one in answers}
    assert found == expected and len(rows) == 40
