"""`create_app` in other people's programs: mounted, twice in a process, in several event loops."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest
from fastapi import FastAPI

import reslearn
from reslearn.serve import create_app

from .hosting import in_order, picture, sealed

httpx2 = pytest.importorskip("httpx2", reason="needs httpx2, which huggingface_hub brings")
RAW = picture(3)


def asked(app, *requests):
    """The answers of an app to (method, path, content), in one event loop."""

    async def ask():
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x") as client:
            kind = {"Content-Type": "image/png"}
            return [await client.request(method, path, content=raw, headers=kind) for method, path, raw in requests]

    return asyncio.run(ask())


def test_it_is_an_app_to_mount_elsewhere(model):
    inner, outer = create_app(model, engine="torch"), FastAPI()
    outer.mount("/insects", inner)
    others = [("GET", f"/insects/{name}", b"") for name in ("ready", "docs", "nothing", "metrics")]
    answers = asked(outer, ("POST", "/insects/predict", RAW), *others)
    assert [one.status_code for one in answers] == [200, 200, 200, 404, 200]
    wanted = reslearn.Predictor(model, engine="torch")([RAW])[0].to_json()["predictions"]
    assert in_order(answers[0].json()["predictions"][0]["predictions"]) == in_order(wanted)
    assert 'route="/predict",status="200"' in answers[4].text
    inner.state.service.close()
    assert [one.status_code for one in asked(outer, ("GET", "/insects/ready", b""))] == [503]


def test_two_apps_in_a_process_and_several_loops(model, tmp_path):
    other = sealed(tmp_path / "other.safetensors", seed=5)
    apps = [create_app(one, engine="torch", queue=8) for one in (model, other)]
    for _ in range(2):  # each a loop of its own
        first, second = (asked(app, ("POST", "/predict", RAW))[0].json() for app in apps)
        assert first["sha256"] != second["sha256"]
    for app in apps:
        app.state.service.close()


def test_a_key_holds_where_it_is_mounted(model, tmp_path):
    (tmp_path / "keys").write_text("secret\n")
    outer, inner = FastAPI(), create_app(model, engine="torch", api_key_file=tmp_path / "keys")
    outer.mount("/m", inner)
    paths = ("/m/health", "/m/models", "/m/health/", "/m//health")
    assert [one.status_code for one in asked(outer, *(("GET", p, b"") for p in paths))] == [200, 401, 401, 401]
    inner.state.service.close()


def test_an_error_of_ours_tells_nothing(model, capfd):
    app = create_app(model, engine="torch", log_format="json")
    app.state.service.room.body = None  # a mistake
    [answer] = asked(app, ("POST", "/predict", RAW))
    assert answer.status_code == 500 and answer.json() == {"error": "the server made a mistake; its log says which"}
    app.state.service.close()
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    [told] = [line for line in lines if line.get("status") == 500]
    assert "NoneType" in told["error"] and told["id"] == answer.headers["x-request-id"]


def test_the_extra_is_named_where_it_is_missing(model, monkeypatch):
    from reslearn.engine import needs

    monkeypatch.setattr(needs, "installed", lambda package: package != "uvicorn")
    with pytest.raises(reslearn.UserError, match="uvicorn is not installed; run: pip install uvicorn"):
        create_app(model)


def test_importing_reslearn_serve_is_cheap():
    code = "import sys, reslearn; reslearn.serve.create_app; print({'fastapi', 'torch', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
