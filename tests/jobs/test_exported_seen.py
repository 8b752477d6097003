"""What the sealed file would refuse or count, its exported files refuse and count as well: they carry its marks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

import reslearn
from reslearn.data.care.splitting import split_data
from reslearn.data.formats.pack_index import PackOptions
from reslearn.data.formats.packing import write_pack
from reslearn.jobs.training import train
from reslearn.spec.seen import Seen

from .noise import noise, plan
from .test_seen import added, reencoded, refused, removed, renamed

pytest.importorskip("onnx", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
pytest.importorskip("onnxruntime", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
pytest.importorskip("openvino", reason="needs the extra openvino: pip install openvino nncf")
CHECKS = Path(__file__).parents[3] / "shared" / "cases" / "integrity" / "check.py"
both = pytest.mark.parametrize("name", ["m.onnx", "m.xml"])


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """`flat`, the run `run` on 18 of its 20 pictures, and what was exported of that: `m.onnx`, `m.xml`."""
    folder = tmp_path_factory.mktemp("house")
    train(plan(noise(folder / "flat")), out=folder / "run")
    for name, to in (("m.onnx", "onnx"), ("m.xml", "openvino")):
        reslearn.export(folder / "run", folder / name, to=to, verify=False)
    return folder


@pytest.fixture
def data(house, tmp_path):
    """A private copy of `flat`."""
    return Path(shutil.copytree(house / "flat", tmp_path / "flat"))


def seen_by_sealed(house, data):
    return reslearn.evaluate(house / "run" / "model.safetensors", data, allow_seen=True).seen


@both
@pytest.mark.parametrize("change", [added, removed, renamed, reencoded])
def test_a_folder_that_was_changed_a_little(house, data, name, change):
    change(data)
    seen = seen_by_sealed(house, data)
    assert seen.trained >= 16 and seen.known_by == "content"
    refused(house / name, data, seen.trained, len(list(data.glob("*/*.*"))))


@both
@pytest.mark.parametrize("kind", ["d.tar", "d.csv", "d.pack"])
def test_the_same_pictures_in_another_source(house, data, tmp_path, name, kind):
    pictures = reslearn.open_data(data)
    if kind == "d.tar":
        with tarfile.open(tmp_path / kind, "w") as tar:
            tar.add(data, "d")
    elif kind == "d.csv":
        (tmp_path / kind).write_text("path,label\n" + "".join(f"flat/{one},{one[0]}\n" for one in pictures.ids))
    else:
        write_pack(pictures, tmp_path / kind, PackOptions())
    refused(house / name, tmp_path / kind, 18, 20)


@both
def test_training_pictures_that_came_into_a_test_split(house, data, tmp_path, name):
    noise(tmp_path / "d" / "train", seed=2)
    test = noise(tmp_path / "d" / "test", seed=3)
    for file in sorted(data.glob("*/*")):
        shutil.copy(file, test / file.parent.name / f"another {file.name}")
    refused(house / name, tmp_path / "d", 18, 40)
    split_data(str(data), ratio="1:1:2", seed=5)
    seen = seen_by_sealed(house, data)
    refused(house / name, data, seen.trained, len(reslearn.open_data(data).splits["test"]))


@both
def test_pictures_replaced_in_place_are_scored_anew(house, tmp_path, name):
    test = noise(tmp_path / "test", seed=3)
    options = {"cache": tmp_path / "kept"}
    before = reslearn.evaluate(house / name, test, **options)
    assert before.seen == Seen(0, 0, "content")
    for i, file in enumerate(sorted(test.glob("*/*.bmp"))):
        Pillow.fromarray(np.full((8, 8, 3), 12 * i, np.uint8)).save(file)
    kept, fresh = reslearn.evaluate(house / name, test, **options), reslearn.evaluate(house / name, test)
    assert kept.loss == fresh.loss != before.loss


WRAPPER = """#!{python}
import os, sys
words = sys.argv[1:]
if words[0] == "evaluate" and os.path.isdir(words[1]):
    exported = words[1] + "{suffix}"
    if not os.path.exists(exported):
        from subprocess import run
        export = ["export", words[1], "--to", "{to}", "-o", exported, "--no-verify"]
        run([sys.executable, "-m", "reslearn", *export], check=True, stdout=2)
    words[1] = exported
os.execv(sys.executable, [sys.executable, "-m", "reslearn", *words])
"""


@pytest.mark.slow
@pytest.mark.skipif(not CHECKS.exists(), reason="needs ../shared/cases/integrity")
@pytest.mark.parametrize(("to", "suffix"), [("onnx", ".onnx"), ("openvino", ".xml")])
def test_the_integrity_checks_hold_for_the_exported_file(tmp_path, to, suffix):
    """The checks are those of the sealed file; their command scores its export instead."""
    command = tmp_path / "reslearn"
    command.write_text(WRAPPER.format(python=sys.executable, to=to, suffix=suffix))
    command.chmod(0o755)
    environ = os.environ | {"RESLEARN": str(command), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, str(CHECKS)], capture_output=True, text=True, env=environ)
    assert done.returncode == 0 and "WRONG" not in done.stdout, done.stdout + done.stderr
    assert list(tmp_path.glob(f"*/r{suffix}"))  # it was an exported file that was scored
