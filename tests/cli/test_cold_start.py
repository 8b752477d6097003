"""From the shell to the first answer: what is imported on the way there. `-X importtime` says what each costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from reslearn.bundle.file import save
from reslearn.bundle.header import Bundle, Member
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import default_preprocess

REPORTS = {"matplotlib", "jinja2", "sklearn", "scipy", "pandas", "pyarrow"}
COMPILER = {"torch._dynamo", "torch._inductor", "sympy"}

COMMAND = """
import json, os, sys
from reslearn.cli import app
def tell(status):
    print(json.dumps([status, list(sys.modules)]), flush=True)
    os._exit(0)
{}
tell(app.main(sys.argv[1:]))
"""
HELP = """
import json, sys
from reslearn.cli import app
try:
    app.main(sys.argv[1:])
except SystemExit:
    pass
print(json.dumps(list(sys.modules)))
"""
# Tell when the first step has been taken, and leave the rest.
FIRST_STEP = """
from reslearn.train import loop
loop.count_step = lambda *values: tell(0)
"""


def imported(*arguments, watch=""):
    done = subprocess.run(
        [sys.executable, "-c", COMMAND.format(watch), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = json.loads(done.stdout.splitlines()[-1])
    assert status == 0, done.stderr
    return set(modules)


@pytest.fixture
def model(tmp_path):
    spec = NetSpec("tiny", "cifar", 4, "basic", (1,), (4,), num_classes=2)
    torch.manual_seed(0)
    path = tmp_path / "model.safetensors"
    save(path, [create_model(spec)], Bundle((Member(spec),), default_preprocess(12), classes=("cat", "dog")))
    return path


@pytest.fixture
def pictures(tmp_path):
    draws = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "pictures" / name / "0.png"), draws.integers(0, 256, (14, 14, 3), dtype=np.uint8))
    return tmp_path / "pictures"


def test_predict_loads_no_report_and_no_compiler(model, pictures):
    assert not (REPORTS | COMPILER) & imported("predict", model, pictures / "cat" / "0.png")


def test_evaluate_loads_no_report_and_no_compiler(model, pictures):
    assert not (REPORTS | COMPILER) & imported("evaluate", model, pictures)


def test_training_loads_no_report_and_no_compiler_before_its_first_step(tmp_path):
    few = ["--set", "iterations=1", "--set", "batch_size=4", "--set", "spec.stage_blocks=[1,1,1]", "--image-size", "8"]
    train = ["train", "digits", "--model", "resnet20_cifar", "--recipe", "demo", "--out", tmp_path / "run", *few]
    assert not (REPORTS | COMPILER) & imported(*train, watch=FIRST_STEP)


@pytest.mark.parametrize("asked", [["--help"], ["train", "--help"]])
def test_help_loads_nothing_that_computes(asked):
    """Nor does completion, which is asked for at each press of a key."""
    heavy = {"torch", "numpy", "cv2", "PIL"} | REPORTS
    done = subprocess.run([sys.executable, "-c", HELP, *asked], capture_output=True, text=True, check=True)
    assert not heavy & set(json.loads(done.stdout.splitlines()[-1]))


def test_completion_loads_nothing_that_computes():
    words = {"_RESLEARN_COMPLETE": "complete_bash", "COMP_WORDS": "reslearn train --rec", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-c", HELP], env=os.environ | words, capture_output=True, text=True, check=True
    )
    *offered, modules = done.stdout.splitlines()
    assert offered == ["--recipe"] and not {"torch", "numpy", "cv2"} & set(json.loads(modules))
