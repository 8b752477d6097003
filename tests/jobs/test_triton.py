"""`export --to triton`: the configuration by the published schema, the graph as Triton's backend compiles it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

import reslearn
from reslearn.bundle.file import save
from reslearn.bundle.header import Bundle, Member
from reslearn.cli.app import main
from reslearn.data.preprocess import apply, to_batch
from reslearn.nets.build import create_model
from reslearn.spec.net import NetSpec
from reslearn.spec.preprocess import Preprocess

ov = pytest.importorskip("openvino", reason="needs openvino: pip install openvino")
CLASSES = ("ant", "bee", "cat", "dog", "eel")
SPEC = NetSpec("tiny", "cifar", 8, "basic", (1, 1), (8, 16), num_classes=5)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import torch

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "insects.safetensors"
    save(path, [create_model(SPEC).eval()], Bundle((Member(SPEC),), Preprocess(16, 18, "crop"), classes=CLASSES))
    return path


@pytest.fixture(scope="module")
def repository(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fleet") / "repository"
    written = reslearn.export(model, folder, to="triton")
    assert written.path == folder / "insects" and written.input == "uint8" and written.verified is not None
    return folder


def parsed(folder):
    """`config.pbtxt` by protobuf's own reader and Triton's published schema, which lies in its client."""
    text_format = pytest.importorskip("google.protobuf.text_format", reason="needs protobuf, which onnx brings")
    client = importlib.util.find_spec("tritonclient")
    if client is None:
        pytest.skip("needs tritonclient: pip install 'tritonclient[http]'")
    file = Path(client.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", file)
    schema = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(schema)
    return text_format.Parse((folder / "config.pbtxt").read_text("utf-8"), schema.ModelConfig()), schema


def test_what_lies_there(repository):
    files = sorted(str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file())
    assert files == ["insects/1/model.bin", "insects/1/model.xml", "insects/config.pbtxt", "insects/labels.txt"]
    assert (repository / "insects" / "labels.txt").read_text("utf-8").split() == list(CLASSES)


def test_the_configuration_is_what_the_schema_says(repository):
    config, schema = parsed(repository / "insects")
    assert (config.name, config.backend, config.default_model_filename) == ("insects", "openvino", "model.xml")
    [given], [taken] = config.input, config.output
    assert (given.name, given.data_type, list(given.dims)) == ("images", schema.TYPE_UINT8, [-1, -1, 3])
    assert (taken.name, taken.data_type, list(taken.dims)) == ("logits", schema.TYPE_FP32, [5])
    assert config.max_batch_size > 1 and config.HasField("dynamic_batching") and taken.label_filename == "labels.txt"
    assert config.parameters["ENABLE_BATCH_PADDING"].string_value == "YES"
    assert config.instance_group[0].kind == schema.ModelInstanceGroup.KIND_CPU


def test_the_graph_answers_as_tritons_backend_compiles_it(repository, model):
    """The backend sets element types and the layout `N...`, fixes the batch, and fills smaller ones up."""
    config, _ = parsed(repository / "insects")
    graph = ov.Core().read_model(repository / "insects" / "1" / "model.xml")
    steps = ov.preprocess.PrePostProcessor(graph)
    steps.input("images").tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("N..."))
    graph = steps.build()
    ov.set_batch(graph, config.max_batch_size)
    compiled = ov.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    loaded = reslearn.load(model)
    for height, width in ((30, 41), (16, 16), (64, 20)):
        pictures = np.random.default_rng(height).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
        padded = np.concatenate([pictures, np.repeat(pictures[:1], config.max_batch_size - 3, 0)])
        found = compiled({"images": padded})["logits"][:3]
        ready = to_batch([apply(one, loaded.bundle.preprocess) for one in pictures])
        wanted = loaded.net(loaded.normalise(ready)).detach().numpy()
        assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()


def test_again_and_what_stands_in_the_way(repository, model, tmp_path, capsys):
    assert main(["export", str(model), "--to", "triton", "-o", str(repository), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["to"] == "triton" and told["path"].endswith("insects") and told["verified"]["pictures"] > 0
    assert told["bytes"] == sum(path.stat().st_size for path in repository.rglob("*") if path.is_file())
    (tmp_path / "insects").mkdir()
    (tmp_path / "insects" / "config.pbtxt").write_text('name: "mine"\n')
    (tmp_path / "file").touch()
    for arguments, words in {
        ("-o", str(tmp_path)): "is no Triton configuration of reslearn",
        ("-o", str(tmp_path / "file")): "is a file, not a folder",
        ("-o", str(tmp_path / "new"), "--cam"): "writes logits alone",
        ("-o", str(tmp_path / "new"), "--outputs", "both"): "writes logits alone",
        ("-o", str(tmp_path / "new"), "--precision", "fp16"): "openvino is written as",
    }.items():
        assert main(["export", str(model), "--to", "triton", *arguments]) == 2
        assert words in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "new").exists()
