"""Server, command line and exported files give equal answers on the same pictures, within the bounds of an export."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

import reslearn
from reslearn.cli.app import main
from reslearn.data.preprocess import apply, to_batch

from .hosting import hosting

BOUND = {"float": 1e-4, "uint8": 0.02}  # of the largest logit


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Files of different sizes, and their pixels."""
    folder, pixels = tmp_path_factory.mktemp("photos"), []
    for i, (height, width) in enumerate(((40, 30), (18, 64), (16, 16), (100, 90))):
        draws = np.random.default_rng(i)
        pixels.append(draws.integers(0, 256, (height, width, 3), dtype=np.uint8))
        Image.fromarray(pixels[-1]).save(folder / f"{i}.png")
    return sorted(folder.iterdir()), pixels


@pytest.mark.slow
@pytest.mark.parametrize("given", ["float", "uint8"])
@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_all_ways_lead_to_the_same_answer(to, given, model, photos, tmp_path, capsys):
    pytest.importorskip("onnxruntime" if to == "onnx" else "openvino", reason="needs the extras export and openvino")
    files, pixels = photos
    target = tmp_path / f"m.{'onnx' if to == 'onnx' else 'xml'}"
    reslearn.export(model, target, to=to, input=given)
    loaded = reslearn.load(model)
    ready = to_batch([apply(one, loaded.bundle.preprocess) for one in pixels])
    with torch.inference_mode():
        logits = loaded.net(loaded.normalise(ready)).numpy()
    capsys.readouterr()
    assert main(["predict", str(target), *map(str, files), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    with hosting({"exported": target}, engine=None) as host:
        forms = [("f", file.name, file.read_bytes()) for file in files]
        status, answer = host.form(forms)
        assert status == 200
        for one, told, row in zip(answer["predictions"], printed, logits, strict=True):
            wanted = torch.from_numpy(row).softmax(0).numpy()
            for label, line in zip(one["predictions"], told["predictions"], strict=True):
                assert label["label"] == line["label"]
                assert abs(label["probability"] - line["probability"]) < BOUND[given] * np.abs(row).max()
                assert abs(label["probability"] - wanted[label["index"]]) < BOUND[given] * np.abs(row).max()
        for image, row in zip(pixels, logits, strict=True):
            tensor = {"name": "images", "datatype": "UINT8", "shape": [1, *image.shape], "data": image.ravel().tolist()}
            status, answer = host.post(json.dumps({"inputs": [tensor]}), "/v2/models/exported/infer")
            assert status == 200
            assert np.abs(np.array(answer["outputs"][0]["data"]) - row).max() < BOUND[given] * np.abs(row).max()
        if given == "uint8":
            tensor = {"name": "images", "datatype": "FP32", "shape": [1, 3, 16, 16], "data": [0.0] * 768}
            assert host.post(json.dumps({"inputs": [tensor]}), "/v2/models/exported/infer")[0] == 400
            assert host.get("/v2/models/exported")[1]["inputs"][0]["datatype"] == "UINT8"


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
def test_the_server_says_what_the_command_line_says(form, model, host, tmp_path, capsys):
    draws = np.random.default_rng(9)
    raw = io.BytesIO()
    Image.fromarray(draws.integers(0, 256, (33, 47, 3), dtype=np.uint8)).save(raw, form)
    file = tmp_path / f"p.{form.lower()}"
    file.write_bytes(raw.getvalue())
    assert main(["predict", str(model), str(file), "--engine", "torch", "--json"]) == 0
    [printed] = json.loads(capsys.readouterr().out)
    _, answer = host.post(raw.getvalue())
    for told, line in zip(answer["predictions"][0]["predictions"], printed["predictions"], strict=True):
        assert (told["label"], told["index"]) == (line["label"], line["index"])
        assert told["probability"] == pytest.approx(line["probability"], abs=1e-6)
