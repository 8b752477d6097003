"""An exported file is checked byte for byte before an engine sees it; a forged one is refused all the same."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

from reslearn.bundle.file import load
from reslearn.engine.exported import open_exported
from reslearn.engine.models import open_model
from reslearn.engine.saving import export_target, save_exported
from reslearn.engine.writing import ExportPlan, export_model
from reslearn.nets.state_files import read_contents
from reslearn.runtime.envelope import OPENING, export_kind, header_text, stamp
from reslearn.spec.errors import UserError

from .exporting import NETS, sealed

pytest.importorskip("onnx", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
pytest.importorskip("openvino", reason="needs the extra openvino: pip install openvino nncf")
SUFFIX = {"onnx": ".onnx", "openvino": ".xml"}
both = pytest.mark.parametrize("to", ["onnx", "openvino"])


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    loaded = sealed(folder / "m.safetensors", NETS["option-a"])
    for to, suffix in SUFFIX.items():
        save_exported(export_model(loaded, ExportPlan(to))[0], folder / f"m{suffix}")
    return folder


@pytest.fixture
def files(originals, tmp_path):
    """A private copy: `m.safetensors`, `m.onnx`, `m.xml`, `m.bin`."""
    return shutil.copytree(originals, tmp_path / "files")


def damages(raw, draw, count):
    """Altered copies: a bit, a byte, cut short, longer, a piece missing, a piece twice, two bytes exchanged."""
    for i in range(count):
        b, p = bytearray(raw), int(draw.integers(len(raw)))
        match i % 6:
            case 0:
                b[p] ^= 1 << int(draw.integers(8))
            case 1:
                del b[p:]
            case 2:
                b[p:p] = draw.integers(0, 256, 3, dtype=np.uint8).tobytes()
            case 3:
                del b[p : p + 5]
            case 4:
                b += b[p : p + 9] or b"x"
            case _:
                b[p : p + 4] = draw.integers(0, 256, 4, dtype=np.uint8).tobytes()
        if bytes(b) != raw:
            yield bytes(b)


def refused(path):
    with pytest.raises(UserError) as caught:
        open_model(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("count", [60, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["m.onnx", "m.xml", "m.bin"])
def test_altered_files_are_refused(files, name, count):
    raw, opened = (files / name).read_bytes(), files / name.replace(".bin", ".xml")
    open_model(opened)
    for altered in damages(raw, np.random.default_rng(0), count):
        (files / name).write_bytes(altered)
        assert str(files) in refused(opened)


@both
def test_a_byte_cannot_move_from_one_file_into_the_other(files, to):
    if to == "openvino":
        xml, weights = (files / "m.xml").read_bytes(), (files / "m.bin").read_bytes()
        (files / "m.xml").write_bytes(xml[:-1])
        (files / "m.bin").write_bytes(xml[-1:] + weights)
        assert "altered" in refused(files / "m.xml")
        (files / "m.bin").unlink()
        assert "m.bin" in refused(files / "m.xml")
    else:
        assert "reslearn export" in refused(_written(files / "other.onnx", b"\x08\x0a\x12\x07pytorch"))


def _written(path, content):
    path.write_bytes(content)
    return path


def forge(path, change):
    """Another header under a digest that is right: what somebody who knows the format can make of an ONNX file."""
    import onnx

    model = onnx.load(str(path))
    entry = model.metadata_props[0]
    header = json.loads(entry.value)
    change(header)
    del header["reslearn"], header["sha256"]
    entry.value = header_text(header) + "\n"
    path.write_bytes(stamp("onnx", model.SerializeToString()))


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.pop("bundle"),
        lambda h: h.pop("graph"),
        lambda h: h.update(format=99),
        lambda h: h.update(format="1"),
        lambda h: h["graph"].update(size=-1),
        lambda h: h["graph"].update(engines=["tensorrt"]),
        lambda h: h["graph"].update(to="openvino"),
        lambda h: h["bundle"]["preprocess"].update(size=17),
        lambda h: h["bundle"]["preprocess"].update(std=[0, 0, 0]),
        lambda h: h["bundle"].update(classes=["a"]),
        lambda h: h.update(filters={"seen.trained": "AAAA"}),
        lambda h: h.update(filters={}),
        lambda h: h.update(filters=3),
        lambda h: h["bundle"].update(unknown=1),
    ],
)
def test_a_forged_header_is_refused_in_one_line(files, change):
    forge(files / "m.onnx", change)
    assert str(files / "m.onnx") in refused(files / "m.onnx")


@both
def test_who_needs_a_sealed_file_names_it(files, to):
    path = files / f"m{SUFFIX[to]}"
    for read in (load, read_contents):
        with pytest.raises(UserError, match=r"m\.safetensors"):
            read(path)


def test_nothing_is_parsed_by_an_engine_before_the_digest(files):
    (files / "m.onnx").write_bytes((files / "m.onnx").read_bytes()[:-1])
    code = (
        "import sys\nfrom reslearn.engine.models import open_model\n"
        "try:\n    open_model(sys.argv[1])\nexcept ValueError: print([m for m in "
        "('onnx', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, files / "m.onnx"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@both
def test_a_file_of_ours_is_known_by_its_bytes_and_replaced_by_no_other(files, to):
    path = files / f"m{SUFFIX[to]}"
    assert export_kind(path) == to and export_target(path, to) == path
    path.write_bytes(b"somebody's own")
    with pytest.raises(UserError, match="not replaced"):
        export_target(path, to)
    with pytest.raises(UserError, match=re.escape(SUFFIX[to])):
        export_target(files / "m.model", to)


def test_somebody_s_weights_are_not_replaced(files):
    (files / "new.bin").write_bytes(b"somebody's own")
    with pytest.raises(UserError, match=r"new\.bin"):
        export_target(files / "new.xml", "openvino")


def test_our_text_stands_in_the_file_once(files):
    assert (files / "m.onnx").read_bytes().count(OPENING.encode()) == 1
    assert open_exported(files / "m.xml").graph.versions["openvino"]
