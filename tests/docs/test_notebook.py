"""The first hour in a notebook: from pictures to a calibrated model; bars and tables, and no library's warnings."""

from __future__ import annotations

import pytest

CELLS = (
    "import reslearn\nreslearn.__version__",
    "data = reslearn.open_data('digits')\ndata",
    "reslearn.get_spec('resnet20_cifar')",
    "small = reslearn.get_spec('resnet20_cifar', stage_blocks=(1, 1, 1))\n"
    "run = reslearn.fit(small, 'digits', recipe='demo', epochs=3, out='run')\nrun",
    "reslearn.calibrate(run.path, 'digits').temperature",
    "evaluation = reslearn.evaluate(run.path, 'digits')\nevaluation",
    "reslearn.predict(run.path, data[0][0])[0]",
)


@pytest.mark.slow
def test_a_notebook_from_pictures_to_a_calibrated_model(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="needs nbclient and ipykernel")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    pytest.importorskip("ipykernel", reason="needs nbclient and ipykernel")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [[dict(one.get("data", {})) for one in cell.outputs if "data" in one] for cell in notebook.cells]
    errors = [one.text for cell in notebook.cells for one in cell.outputs if one.get("name") == "stderr"]
    assert "Warning" not in "".join(errors), errors
    assert "1,797 pictures" in shown[1][-1]["text/plain"]
    assert "<table>" in shown[2][-1]["text/html"]
    assert any("<progress" in one.get("text/html", "") for one in shown[3])
    assert shown[3][-1]["text/html"].count("<svg") == 2
    assert float(shown[4][-1]["text/plain"]) > 0
    assert "right" in shown[5][-1]["text/html"] and "<svg" in shown[5][-1]["text/html"]
    assert "data:image/png" in shown[6][-1]["text/html"]
    assert (tmp_path / "run" / "report.html").exists()
