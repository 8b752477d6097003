"""The Open Inference Protocol, spoken by a client that nobody here wrote; logits are those of the network itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import reslearn
from reslearn.data.preprocess import apply

from .hosting import CLASSES

tritonclient = pytest.importorskip("tritonclient.http", reason="needs tritonclient: pip install 'tritonclient[http]'")


@pytest.fixture(scope="module")
def client(host):
    found = tritonclient.InferenceServerClient(f"127.0.0.1:{host.port}")
    yield found
    found.close()


@pytest.fixture(scope="module")
def loaded(model):
    return reslearn.load(model)


def pixels(count, height, width):
    return np.random.default_rng(height).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def prepared(loaded, batch):
    """Normalised pictures, and their logits by the network."""
    ready = np.stack([apply(image, loaded.bundle.preprocess) for image in batch])
    images = loaded.normalise(torch.from_numpy(ready).permute(0, 3, 1, 2))
    with torch.inference_mode():
        return images.contiguous().numpy(), loaded.net(images).numpy()


def test_the_server_and_its_model_are_described(client, model):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("insects") and not client.is_model_ready("birds")
    assert client.get_server_metadata()["name"] == "reslearn"
    told = client.get_model_metadata("insects")
    assert told["inputs"] == [{"name": "images", "datatype": "FP32", "shape": [-1, 3, 16, 16]}]
    assert told["outputs"] == [{"name": "logits", "datatype": "FP32", "shape": [-1, len(CLASSES)]}]


@pytest.mark.parametrize("given", [True, False], ids=["bytes in", "JSON in"])
@pytest.mark.parametrize("asked", [True, False], ids=["bytes out", "JSON out"])
@pytest.mark.parametrize("kind", ["FP32", "UINT8"])
def test_logits_are_the_networks(client, loaded, kind, given, asked):
    batch = pixels(3, 30, 22)
    normalised, wanted = prepared(loaded, batch)
    images = normalised if kind == "FP32" else batch
    tensor = tritonclient.InferInput("images", list(images.shape), kind)
    tensor.set_data_from_numpy(images, binary_data=given)
    output = tritonclient.InferRequestedOutput("logits", binary_data=asked)
    result = client.infer("insects", [tensor], outputs=[output], request_id="seven")
    np.testing.assert_allclose(result.as_numpy("logits"), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())
    told = result.get_response()
    assert told["id"] == "seven" and told["model_name"] == "insects"
    assert told["parameters"]["sha256"] == loaded.bundle.sha256


def test_without_outputs_all_are_given(client, loaded):
    normalised, wanted = prepared(loaded, pixels(2, 16, 16))
    tensor = tritonclient.InferInput("images", list(normalised.shape), "FP32")
    tensor.set_data_from_numpy(normalised)
    np.testing.assert_allclose(client.infer("insects", [tensor]).as_numpy("logits"), wanted, atol=1e-3)


def test_nested_data_are_those_of_a_flat_list(host, loaded):
    normalised, wanted = prepared(loaded, pixels(2, 16, 16))
    for data in (normalised.tolist(), normalised.ravel().tolist()):
        one = {"name": "images", "datatype": "FP32", "shape": list(normalised.shape), "data": data}
        status, answer = host.post(json.dumps({"inputs": [one]}), "/v2/models/insects/infer", "application/json")
        assert status == 200 and np.allclose(answer["outputs"][0]["data"], wanted.ravel(), atol=1e-3)


def tensor(**changes):
    one = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [1, 2, 3], **changes}
    return {"inputs": [{name: value for name, value in one.items() if value is not None}]}


WRONG = {
    "no JSON": b"{",
    "no object": [],
    "no inputs": {},
    "two inputs": {"inputs": [{}, {}]},
    "another name": tensor(name="pictures"),
    "another type": tensor(datatype="INT64"),
    "no shape": tensor(shape=None),
    "a flat shape": tensor(shape=[3]),
    "a shape of words": tensor(shape=["1", 1, 1, 3]),
    "a huge shape": tensor(shape=[1 << 40, 1, 1, 3]),
    "nothing in it": tensor(shape=[0, 1, 1, 3]),
    "four colours": tensor(shape=[1, 1, 1, 4], data=[1, 2, 3, 4]),
    "too few numbers": tensor(data=[1, 2]),
    "no data": tensor(data=None),
    "words": tensor(data=["1", "2", "3"]),
    "truths": tensor(data=[True, False, True]),
    "fractions": tensor(data=[0.5, 1.5, 2.5]),
    "too bright": tensor(data=[1, 2, 256]),
    "too dark": tensor(data=[1, 2, -1]),
    "a long word among many numbers": tensor(
        datatype="FP32", shape=[40, 3, 16, 16], data=["x" * 300_000, *[0.5] * (40 * 768 - 1)]
    ),
    "words that are numbers": tensor(datatype="FP32", shape=[1, 3, 16, 16], data=["1"] * 768),
    "larger than any number": b'{"inputs": [{"name": "images", "datatype": "FP32", "shape": [1,3,16,16],'
    b'"data": [%s]}]}' % b",".join([b"9" * 400, *[b"1"] * 767]),
    "deep where a word belongs": b'{"inputs": [{"name": %s%s}]}' % (b"[" * 970, b"]" * 970),
    "ragged further in": tensor(data=[[[[1, 2]], [[3]]]]),
    "ragged": tensor(data=[[1, 2], [3]]),
    "an endless number": b'{"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1,1,1,3], "data": [1,2,'
    + b"9" * 5000
    + b"]}]}",
    "too deep": b'{"inputs":' + b"[" * 100_000,
    "another size": tensor(datatype="FP32", shape=[1, 3, 8, 8], data=[0.0] * 192),
    "bytes that are not there": tensor(data=None, parameters={"binary_data_size": 3}),
    "odd parameters": tensor(parameters=[1]),
    "another output": {**tensor(), "outputs": [{"name": "classes"}]},
    "classification": {**tensor(), "outputs": [{"name": "logits", "parameters": {"classification": 3}}]},
    "an id that is no text": {**tensor(), "id": 7},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_one_line(host, what):
    body = WRONG[what] if isinstance(WRONG[what], bytes) else json.dumps(WRONG[what])
    status, answer = host.post(body, "/v2/models/insects/infer", "application/json")
    assert status == 400 and list(answer) == ["error"] and "\n" not in answer["error"]


def test_what_is_no_number_has_no_answer(host):
    body = json.dumps(tensor(datatype="FP32", shape=[1, 3, 16, 16], data=[float("nan")] * 768))
    status, answer = host.post(body, "/v2/models/insects/infer", "application/json")
    assert status == 422 and "NaN" in answer["error"]


@pytest.mark.parametrize("length", ["x", "-1", "99999999", "1" * 40])
def test_a_wrong_header_length(host, length):
    headers = {"Inference-Header-Content-Length": length}
    assert host.post(json.dumps(tensor()), "/v2/models/insects/infer", headers=headers)[0] == 400


def test_another_model_is_none(host):
    assert host.post(json.dumps(tensor()), "/v2/models/birds/infer")[0] == 404
    assert host.get("/v2/models/birds")[0] == host.get("/v2/models/birds/ready")[0] == 404
