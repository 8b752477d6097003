"""The demonstration, as a stranger runs it; and what it refuses to overwrite."""

import json
import os
import signal
import subprocess
import sys

import pytest

from reslearn.jobs import demo
from reslearn.train.records.ledger import read_ledger

COMMAND = [sys.executable, "-m", "reslearn"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    one = os.environ | {"OMP_NUM_THREADS": "1"}  # on a busy machine two threads that wait for each other crawl
    with subprocess.Popen([*COMMAND, "demo"], cwd=folder, env=one, stderr=subprocess.PIPE, text=True) as first:
        assert any(line.startswith("step ") for line in first.stderr)  # reads up to there
        first.send_signal(signal.SIGINT)
        assert "go on with" in first.stderr.read() and first.wait() == 130
    result = subprocess.run([*COMMAND, "demo", "--json"], cwd=folder, env=one, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder, json.loads(result.stdout), result.stderr


def test_the_demo_reads_unseen_digits_and_leaves_its_run(done):
    folder, value, _ = done
    assert set(value) == {"run", "model", "best_epoch", "val", "seconds", "images_per_second"}
    assert value["run"] == "runs/demo" and value["val"]["images"] == 144
    (look,) = read_ledger(folder / "runs" / "demo")
    assert look["split"] == "test" and look["images"] == 360 and look["top1"] >= 0.98
    page = (folder / "runs" / "demo" / "report.html").read_text()
    assert "A closer look: test" in page and f"{100 * look['top1']:.2f} %" in page


def test_a_stopped_demo_goes_on(done):
    assert "goes on" in done[2] and not any(line.startswith("step 1/") for line in done[2].splitlines())


def test_progress_is_told_from_before_torch_is_loaded(done):
    lines = done[2].splitlines()
    assert lines[0].startswith("reslearn demo:") and any("images/s" in line for line in lines)
    code = (
        "import sys; from reslearn.cli import reports; "
        "reports.say = lambda line: sys.exit(sorted({'torch', 'sklearn', 'matplotlib'} & set(sys.modules)) or 'none'); "
        "reports.demo()"
    )
    first = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert first.stderr.strip() == "none"


def test_an_earlier_demo_may_be_replaced_and_nothing_else(done, short_run):
    assert demo.earlier(done[0] / "runs" / "demo").recipe.name == "demo"
    assert demo.earlier(done[0] / "nothing-here") is None
    with pytest.raises(ValueError, match="not an earlier demo; name another with --out"):
        demo.earlier(short_run)


def test_a_digit_is_drawn_in_blocks():
    class One:
        def read(self, i):
            import numpy as np

            return np.array([[0, 255], [128, 60]], np.uint8)[..., None].repeat(3, axis=2), 0

    assert demo.drawing(One(), 0) == "  ██\n▒▒░░"
