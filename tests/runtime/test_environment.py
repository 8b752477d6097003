"""The environment record against what Python and the tools themselves say."""

import json
import platform
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy
import pytest

from reslearn.runtime import environment as env


def test_the_record_is_json_and_agrees_with_the_modules_themselves():
    record = json.loads(json.dumps(env.environment()))
    assert record["packages"]["numpy"] == numpy.__version__
    assert record["python"] == platform.python_version()
    assert record["cores"] >= 1 and record["memory_gib"] > 0


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_the_compiler_is_the_one_on_the_path():
    first = subprocess.run(["gcc", "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    assert env.compiler_version("gcc") == first
    assert env.compiler_version("no-such-compiler") is None


def test_a_missing_module_leaves_its_extra_incomplete(monkeypatch):
    lines = [
        "torch>=2.4",
        'numpy>=1.26; extra == "probe"',
        "no_such.module[x]<2,>=1 ; python_version > '3' and extra == 'probe'",
        'numpy; extra == "whole"',
    ]
    monkeypatch.setattr(env.importlib.metadata, "requires", lambda name: lines)
    assert env.extras() == {"probe": ["no_such.module"], "whole": []}


def test_the_extras_are_those_that_can_be_installed():
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        known = tomllib.load(file)["project"]["optional-dependencies"]
    assert set(env.extras()) == set(known)


def test_the_commit_is_git_s_and_a_foreign_repository_is_not_ours(tmp_path):
    root = Path(__file__).parents[2]
    expected = subprocess.run(
        ["git", "-C", str(root), "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True
    )
    if expected.returncode == 0 and env.git_commit(Path(env.__file__).parent) is not None:
        assert env.git_commit(Path(env.__file__).parent).removesuffix("-dirty") == expected.stdout.strip()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert env.git_commit(tmp_path) is None


def test_reading_the_environment_imports_neither_torch_nor_scikit_learn():
    code = (
        "import sys; from reslearn.runtime.environment import environment, extras; environment(), extras();"
        "print([m for m in ('torch', 'sklearn', 'matplotlib', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_preloaded_allocator_is_named(monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libtcmalloc.so.4")
    assert env.allocator_name() == "tcmalloc"


def test_the_command_is_one_to_paste_and_only_ours(monkeypatch):
    for program in ("/usr/bin/reslearn", "/lib/python3.11/site-packages/reslearn/__main__.py"):
        monkeypatch.setattr(sys, "argv", [program, "train", "my pictures", "--seed", "1"])
        assert env.command_line() == "reslearn train 'my pictures' --seed 1"
    monkeypatch.setattr(sys, "argv", ["/usr/bin/pytest", "-q"])
    assert env.command_line() == ""
