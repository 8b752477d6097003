"""What `/predict` answers is what `Predictor` says of the same bytes, whatever way they come; what it refuses."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

import reslearn
from reslearn.bundle.file import reseal

from .hosting import encoded, hosting, in_order, picture, sealed

httpx2 = pytest.importorskip("httpx2", reason="needs httpx2, which huggingface_hub brings")
PICTURES = {f"{i}.{form.lower()}": picture(i, 20 + 4 * i, 24, form) for i, form in enumerate(("PNG", "JPEG", "WEBP"))}


@pytest.fixture(scope="module")
def predictor(model):
    return reslearn.Predictor(model, engine="torch")


def expected(predictor, raw, top=5):
    return in_order(predictor([raw], top)[0].to_json()["predictions"])


def test_one_picture_as_the_body(host, predictor, model):
    for raw in PICTURES.values():
        status, answer = host.post(raw)
        assert status == 200 and answer["model"] == "insects" and answer["sha256"] == reslearn.load(model).bundle.sha256
        [one] = answer["predictions"]
        assert one["name"] is None and one["error"] is None
        assert in_order(one["predictions"]) == expected(predictor, raw)


def test_files_of_a_form_are_answered_in_order(host, predictor):
    """The form is one that a client made which nobody here wrote."""
    files = [(f"field{i % 2}", (name, raw)) for i, (name, raw) in enumerate(PICTURES.items())]
    answer = httpx2.post(f"http://127.0.0.1:{host.port}/predict?top=2", files=files).json()
    assert [one["name"] for one in answer["predictions"]] == list(PICTURES)
    for one, raw in zip(answer["predictions"], PICTURES.values(), strict=True):
        assert in_order(one["predictions"]) == expected(predictor, raw, 2)


def test_heat_of_the_best_class_comes_with_cam(host, model):
    loaded = reslearn.load(model)
    size, raws = loaded.bundle.preprocess.size, [*PICTURES.values()]
    _, plain = host.form([("a", "1", raws[0])])
    assert "cam" not in plain["predictions"][0]
    status, answer = host.form([("a", str(i), raw) for i, raw in enumerate([*raws, b"none"])], "/predict?cam=1")
    assert status == 200 and "cam" not in answer["predictions"][-1]
    for one, raw in zip(answer["predictions"], raws, strict=False):
        best = one["predictions"][0]
        assert (one["cam"]["label"], one["cam"]["index"]) == (best["label"], best["index"])
        heat = one["cam"]["heat"]
        assert len(heat) == len(heat[0]) == min(size, 28) and all(0 <= value <= 1 for row in heat for value in row)
        [ours] = reslearn.explain(loaded, [raw], faithfulness=0).pictures
        if size <= 28 and ours.map.max() > 0:
            wanted = ours.map.clip(0) / ours.map.max()
            assert abs(wanted - heat).max() < 2e-3


def test_the_card_is_told(host, model):
    _, answer = host.get("/models")
    [one] = answer["models"]
    assert one["cam"] is True and one["network"] == reslearn.load(model).bundle.members[0].spec.name
    assert {"scores", "preprocess", "trained_on", "sha256", "classes"} <= set(one)


def test_a_bad_picture_takes_no_other_with_it(host, predictor):
    good = picture(7)
    status, answer = host.form([("a", "good.png", good), ("a", "bad.png", good[:60]), ("a", "none.png", b"")])
    assert status == 200
    first, second, third = answer["predictions"]
    assert in_order(first["predictions"]) == expected(predictor, good) and first["error"] is None
    assert second["predictions"] == [] and second["error"].startswith("bad.png: damaged")
    assert third["predictions"] == [] and "empty" in third["error"]


def test_where_no_picture_can_be_read_the_status_says_so(host):
    status, answer = host.post(b"no picture at all")
    assert status == 422 and answer["error"].startswith("the picture: not an image")
    assert answer["predictions"] == [{"name": None, "predictions": [], "error": answer["error"]}]


def test_many_at_once_get_each_its_own(host, predictor):
    raws = [picture(seed) for seed in range(24)]
    wanted = [expected(predictor, raw) for raw in raws]
    assert len({str(one) for one in wanted}) == len(wanted)
    with ThreadPoolExecutor(12) as pool:
        for _ in range(4):
            found = list(pool.map(host.post, raws))
            assert [in_order(answer["predictions"][0]["predictions"]) for _, answer in found] == wanted
    status, _, text = host.ask("GET", "/metrics")
    sizes = dict(re.findall(r'reslearn_batch_size_bucket\{le="([^"]+)",model="insects"\} ([0-9.]+)', text.decode()))
    assert status == 200 and float(sizes["+Inf"]) > float(sizes["1.0"]), "nothing was ever batched"


def test_temperature_threshold_and_unknown_are_the_files(tmp_path):
    path = sealed(tmp_path / "m.safetensors", seed=3)
    reseal(path, temperature=2.5, threshold=0.999)
    raw = picture(1)
    with hosting(path) as host:
        _, answer = host.post(raw)
    found = answer["predictions"][0]["predictions"]
    assert found[0]["label"] == "unknown" and found[0]["index"] is None
    assert in_order(found) == expected(reslearn.Predictor(path, engine="torch"), raw)


def test_several_models_by_name(tmp_path, model):
    other = sealed(tmp_path / "other.safetensors", seed=9)
    raw = picture(2)
    with hosting([f"a={model}", str(other)]) as host:
        assert [one["name"] for one in host.get("/models")[1]["models"]] == ["a", "other"]
        first, named, second = (
            host.post(raw, path)[1] for path in ("/predict", "/predict?model=a", "/predict?model=other")
        )
        assert first == named and second["model"] == "other" and second["sha256"] != first["sha256"]
        status, answer = host.post(raw, "/predict?model=b")
        assert status == 404 and answer == {"error": "no model 'b'; there is a, other"}


BROKEN, KIND = encoded([("a", "x.png", picture(0))])
REFUSED = {
    "nothing": (b"", "/predict", "image/png", 400),
    "no file": (b"--frontier--\r\n", "/predict", KIND, 400),
    "half a form": (BROKEN[:80], "/predict", KIND, 400),
    "no end": (BROKEN[:-16], "/predict", KIND, 400),
    "no boundary": (BROKEN, "/predict", "multipart/form-data", 400),
    "an endless type": (BROKEN, "/predict", f"multipart/form-data; a={';' * 40_000}", 400),
    "a long boundary": (BROKEN, "/predict", f"multipart/form-data; boundary={'x' * 300}", 400),
    "a field": (BROKEN.replace(b'; filename="x.png"', b""), "/predict", KIND, 422),
    "JSON": (b"{}", "/predict", "application/json", 415),
    "text": (b"cat", "/predict", "text/plain", 415),
    "no such model": (picture(0), "/predict?model=x", "image/png", 404),
    "top of nothing": (picture(0), "/predict?top=0", "image/png", 422),
    "misspelt parameter": (picture(0), "/predict?tpo=2", "image/png", 422),
    "top of words": (picture(0), "/predict?top=five", "image/png", 422),
    "a large cam": (picture(0), "/predict?cam=7", "image/png", 422),
    "no such path": (picture(0), "/predicts", "image/png", 404),
    "too large": (bytes(70_000), "/predict", "image/png", 413),
    "too many pixels": (picture(0, 400, 400), "/predict", "image/png", 422),
}


@pytest.fixture(scope="module")
def narrow(model):
    with hosting(model, max_bytes="64KiB", max_pixels=100_000, queue=4) as running:
        yield running


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_one_line_of_json(narrow, what, model):
    body, path, kind, wanted = REFUSED[what]
    status, answer = narrow.post(body, path, kind)
    assert status == wanted, answer
    line = answer["error"]
    assert (
        isinstance(line, str)
        and line
        and "\n" not in line
        and str(model.parent) not in line
        and "Traceback" not in line
    )


def test_other_refusals(narrow):
    assert narrow.ask("PUT", "/predict", b"x")[0] == 405 and narrow.ask("PUT", "/predict", b"x")[1]["Allow"] == "POST"
    assert narrow.ask("GET", "/predict")[0] == 405
    status, answer = narrow.post(picture(0), headers={"Content-Encoding": "gzip"})
    assert status == 415 and "compressed" in answer["error"]
    status, answer = narrow.form([("a", f"{i}.png", picture(i)) for i in range(5)])
    assert status == 413 and "4" in answer["error"]
    assert json.loads(narrow.raw(b"POST /predict HTTP/1.0\r\n\r\n").split(b"\r\n\r\n")[1])["error"].startswith(
        "the request has no Content-Length"
    )


def test_a_strip_of_pixels_is_no_bomb(host, tmp_path):
    """Its shorter side is enlarged to 18 pixels, and the other would come to over a hundred million."""
    Image.new("L", (9_000_000, 1)).save(tmp_path / "strip.png")
    status, answer = host.post((tmp_path / "strip.png").read_bytes())
    assert status == 422 and "would be enlarged" in answer["error"]


def test_a_full_queue_says_when_to_come_back(model):
    with hosting(model, queue=2) as host, host.service.slots["insects"].using() as served:
        with served.batcher.accepting(2):
            status, headers, body = host.ask("POST", "/predict", picture(0), {"Content-Type": "image/png"})
            assert status == 429 and headers["Retry-After"] == "1" and "full" in json.loads(body)["error"]
        assert host.post(picture(0))[0] == 200


def test_keys(model, tmp_path):
    (tmp_path / "keys").write_text("# ours\nalpha-1\n\nbeta-2\n")
    with hosting(model, api_key_file=tmp_path / "keys") as host:
        raw = picture(0)
        for headers in (
            {},
            {"X-API-Key": "alpha"},
            {"Authorization": "Bearer gamma"},
            {"Authorization": "Basic alpha-1"},
        ):
            status, answer = host.post(raw, headers=headers)
            assert status == 401 and set(answer) == {"error"}
        for headers in (
            {"X-API-Key": "alpha-1"},
            {"Authorization": "Bearer beta-2"},
            {"authorization": "bearer alpha-1"},
        ):
            assert host.post(raw, headers=headers)[0] == 200
        assert [host.ask("GET", path)[0] for path in ("/health", "/ready", "/models", "/docs", "/", "/metrics")] == [
            200, 200, 401, 401, 401, 401
        ]  # fmt: skip
        assert host.ask("GET", "/models")[1]["WWW-Authenticate"] == "Bearer"


def test_pages_take_nothing_from_elsewhere(host):
    for path in ("/", "/docs", "/static/serve.css"):
        status, headers, body = host.ask("GET", path)
        assert status == 200 and b"http://" not in body.replace(b"http://HOST", b"") and b"https://" not in body
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    docs = host.ask("GET", "/docs")[2].decode()
    _, openapi = host.get("/openapi.json")
    assert all(path in docs for path in openapi["paths"]) and "/v2/models/{name}/infer" in docs
    responses = openapi["paths"]["/predict"]["post"]["responses"]
    assert {"200", "400", "401", "404", "408", "411", "413", "415", "422", "429", "503"} <= set(responses)
    for name in ("nothing.css", "..%2fapp.py", "%2e%2e/app.py", "__init__.py"):
        assert host.ask("GET", f"/static/{name}")[0] == 404
