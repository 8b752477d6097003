"""`deploy/` is right: its manifests are read, its options are the command's, and its image's steps are done here.

There is no container engine where the tests run: the Dockerfile's own COPY, RUN, HEALTHCHECK and ENTRYPOINT are taken
from it and done in a fresh virtual environment. What builds the wheel pip fetches, as on a fresh machine; the packages
that the wheel needs are those that are installed instead of fetched ones, which would be a gigabyte.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import typer

from reslearn.cli.app import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
yaml = pytest.importorskip("yaml", reason="needs PyYAML, which huggingface_hub brings")


def steps():
    """(instruction, words) of the Dockerfile."""
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def step(name):
    [found] = [words for instruction, words in steps() if instruction == name]
    return found


def options():
    command = typer.main.get_command(app).commands["serve"]
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")}


def test_the_image_is_slim_and_nobodys():
    assert step("FROM") == "python:3.11-slim" and step("USER") == "10001" and "/health" in step("HEALTHCHECK")
    assert step("STOPSIGNAL") == "SIGTERM"


def test_options_are_the_commands():
    manifests = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8")))
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    [container] = manifests[0]["spec"]["template"]["spec"]["containers"]
    for words in (json.loads(step("ENTRYPOINT")), container["args"], compose["services"]["reslearn"]["command"]):
        assert {word for word in words if word.startswith("--")} <= options()


def test_kubernetes_asks_what_the_server_has():
    deployment, service, scaler = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text("utf-8"))
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    probes = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
    grace = float(container["args"][container["args"].index("--grace-s") + 1])
    assert pod["terminationGracePeriodSeconds"] > grace + 5
    assert service["spec"]["selector"] == deployment["spec"]["template"]["metadata"]["labels"]
    metric = scaler["spec"]["metrics"][0]["pods"]["metric"]["name"]
    assert metric in (ROOT / "src/reslearn/serve/metrics.py").read_text("utf-8")


@pytest.mark.slow
def test_the_images_steps_in_a_fresh_environment(tmp_path):
    from .hosting import picture, sealed

    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    own = Path(next((tmp_path / "venv" / "lib").iterdir())) / "site-packages"
    (own / "others.pth").write_text("\n".join(one for one in sys.path if one.endswith("site-packages")))
    app_folder = tmp_path / "app"
    app_folder.mkdir()
    surroundings = os.environ | {"PATH": f"{tmp_path / 'venv' / 'bin'}:{os.environ['PATH']}"}
    surroundings |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    surroundings.pop("PYTHONPATH", None)
    for instruction, words in steps():
        if instruction == "COPY":
            *sources, target = words.split()
            for one in sources:
                goal = app_folder / target / (one if (ROOT / one).is_file() else "")
                (shutil.copytree if (ROOT / one).is_dir() else shutil.copy)(ROOT / one, goal)
        if instruction == "RUN" and "pip install" in words:
            command = words.replace("pip install", "pip install --no-deps -q")
            subprocess.run(["sh", "-c", command], check=True, cwd=app_folder, env=surroundings)
    asking = ["python", "-c", "import reslearn; print(reslearn.__file__)"]
    where = subprocess.run(asking, capture_output=True, text=True,
                           check=True, cwd=tmp_path, env=surroundings).stdout  # fmt: skip
    assert where.startswith(str(own))
    words = json.loads(step("ENTRYPOINT"))
    words[words.index("--port") + 1], words[words.index("--host") + 1] = "18765", "127.0.0.1"
    model = sealed(tmp_path / "model.safetensors")
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [*words, str(model), "--engine", "torch"], cwd=tmp_path, env=surroundings, stderr=log
        )
    try:
        check = json.loads(step("HEALTHCHECK").partition("CMD ")[2])
        check = [word.replace(":8000", ":18765") for word in check]
        until = time.monotonic() + 120
        while subprocess.run(check, env=surroundings, capture_output=True, check=False).returncode:
            assert time.monotonic() < until and process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.5)
        asked = urllib.request.Request("http://127.0.0.1:18765/predict", picture(0), {"Content-Type": "image/png"})
        assert json.load(urllib.request.urlopen(asked))["model"] == tmp_path.name.strip("-._")[:64]
    finally:
        process.terminate()
    assert process.wait(30) == 0


def test_what_the_image_leaves_out_is_what_it_needs_not():
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    copied = {one for instruction, words in steps() if instruction == "COPY" for one in words.split()[:-1]}
    assert ignored[0] == "*" and {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / one).exists() for one in copied)


def test_the_wrapper_for_ray_is_short():
    lines = (DEPLOY / "ray_serve.py").read_text("utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 30


RAY = """
import json, sys, urllib.request
from ray import serve
import ray_serve
serve.start(http_options={"port": 18766})
serve.run(ray_serve.app({"model": sys.argv[1]}))
found = []
for path in sys.argv[2:]:
    asked = urllib.request.Request("http://127.0.0.1:18766/", open(path, "rb").read())
    found.append(json.load(urllib.request.urlopen(asked)))
print(json.dumps(found))
serve.shutdown()
"""


@pytest.mark.slow
def test_the_wrapper_on_a_local_ray(tmp_path):
    pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install 'ray[serve]'")
    import reslearn

    from .hosting import in_order, picture, sealed

    model, paths = sealed(tmp_path / "m.safetensors"), []
    for i in range(4):
        paths.append(tmp_path / f"{i}.png")
        paths[-1].write_bytes(picture(i))
    surroundings = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(DEPLOY)}
    command = [sys.executable, "-c", RAY, str(model), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, env=surroundings, cwd=tmp_path, timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("[")))
    wanted = reslearn.Predictor(model)(paths)
    assert [in_order(one["predictions"]) for one in found] == [in_order(one.to_json()["predictions"]) for one in wanted]
