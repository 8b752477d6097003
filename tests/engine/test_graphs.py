"""What leaves the house answers as the network does: on the engines' own sessions, at any batch, whole and folded."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch

from reslearn.data.parts.known import Known
from reslearn.data.preprocess import Normalise, apply, to_batch
from reslearn.engine import int8, onnx_pixels, openvino_graph
from reslearn.engine import onnx_graph as onnx_graph_module
from reslearn.engine.exported import open_exported
from reslearn.engine.graphs import OnnxScorer, OpenVinoScorer
from reslearn.engine.models import graph_scorer
from reslearn.engine.onnx_graph import onnx_graph
from reslearn.engine.program import Outlet
from reslearn.engine.saving import save_exported
from reslearn.engine.scorer import TorchScorer
from reslearn.engine.torch_archive import archive_digest
from reslearn.engine.writing import ExportPlan, Quantised, export_model
from reslearn.measure.agreement import BOUNDS
from reslearn.spec.errors import UserError
from reslearn.spec.net import VggSpec
from reslearn.spec.preprocess import Preprocess

from .exporting import NETS, SQUASH, network, photos, relative_gap, sealed

onnx = pytest.importorskip("onnx", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
ort = pytest.importorskip("onnxruntime", reason="needs the extra export: pip install onnx onnxscript onnxruntime")
ov = pytest.importorskip("openvino", reason="needs the extra openvino: pip install openvino nncf")

QUICK = ("ensemble",)  # of one network with every feature, and a VGG
EVERY = [*NETS, "ensemble"]
nets = pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in EVERY]
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """made(name, to, **plan) -> (opened sealed file, opened exported file), each made once."""
    folder, kept = tmp_path_factory.mktemp("exports"), {}

    def make(name, to, preprocess=SQUASH, **plan):
        key = (name, to, preprocess, *plan.items())
        if key not in kept:
            specs = [NETS["everything"], NETS["vgg"]] if name == "ensemble" else [NETS[name]]
            size = 64 if name == "dilated" else preprocess.size
            if size != preprocess.size:
                preprocess = Preprocess(size, size)
            loaded = sealed(
                folder / f"{len(kept)}.safetensors", *specs, preprocess=preprocess, temperature=1.5, threshold=0.4,
                scores={"val": {"top1": 0.5}}, data={"selected_on": "test", "path": "여름"},
            )  # fmt: skip
            path = folder / f"{len(kept)}{'.onnx' if to == 'onnx' else '.xml'}"
            exported, beside = export_model(loaded, ExportPlan(to, **plan))
            save_exported(exported, path, beside)
            kept[key] = loaded, open_exported(path)
        return kept[key]

    return make


def inputs(loaded, count):
    size = loaded.bundle.preprocess.size
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(count))


@nets
def test_onnx_answers_as_the_network_at_any_batch(made, name):
    loaded, exported = made(name, "onnx")
    onnx.checker.check_model(str(exported.path), full_check=True)
    session = ort.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])
    other = ov.Core().compile_model(str(exported.path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 2, 7):
        x = inputs(loaded, count)
        wanted = loaded.net(x).detach().numpy()
        assert relative_gap(session.run(["logits"], {"images": x.numpy()})[0], wanted) < 1e-4
        assert relative_gap(other({"images": x.numpy()})["logits"], wanted) < 1e-4


@nets
def test_openvino_answers_as_the_network_at_any_batch(made, name):
    loaded, exported = made(name, "openvino")
    compiled = ov.Core().compile_model(str(exported.path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for count in (1, 2, 7):
        x = inputs(loaded, count)
        assert relative_gap(compiled({"images": x.numpy()})["logits"], loaded.net(x).detach().numpy()) < 1e-4


def test_an_onnx_graph_says_what_it_takes_and_gives(made):
    _, exported = made("option-a", "onnx")
    model = onnx.load(str(exported.path))
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {"images": ["batch", 3, 16, 16], "logits": ["batch", 5]}
    assert not any(tensor.HasField("data_location") and tensor.data_location for tensor in model.graph.initializer)


def test_batch_normalisation_is_folded_where_a_convolution_goes_before(made):
    kinds = [node.op_type for node in onnx.load(str(made("option-a", "onnx")[1].path)).graph.node]
    assert "BatchNormalization" not in kinds and "Conv" in kinds
    loaded, exported = made("everything", "onnx", outputs="both", cam=True)
    kept = [node.op_type for node in onnx.load(str(exported.path)).graph.node]
    blocks = len(loaded.net.blocks())
    assert kept.count("BatchNormalization") == blocks  # those that follow an addition: one a block, the stem's folds
    assert "Expand" not in kept and "CastLike" not in kept  # a convolution without bias is given none


@pytest.mark.parametrize(
    "name", ["pre-activation", *(pytest.param(name, marks=pytest.mark.slow) for name in ("option-a", "everything"))]
)
def test_int8_is_made_of_convolutions_without_bias_of_class_maps_and_of_bytes(made, name):
    pytest.importorskip("nncf", reason="needs the extra openvino: pip install openvino nncf")
    loaded, float_file = made(name, "onnx", Preprocess(16, 19, "crop"), input="uint8", outputs="both", cam=True)
    ranges = [inputs(loaded, count)[:1].numpy() for count in range(1, 9)]
    quantised = Quantised(lambda model: int8.quantised(model, ranges), lambda: None, Known)
    plan = ExportPlan("onnx", "uint8", "int8", "both", cam=True)
    scorer = OnnxScorer(export_model(loaded, plan, int8=quantised)[0])
    for height, width in ((37, 51), (16, 16), (300, 200)):
        batch = np.stack(photos(2, height, width))
        given = scorer.outputs(batch)
        for output, values in OnnxScorer(float_file).outputs(batch).items():
            mean = np.abs(given[output] - values).mean()
            assert mean < BOUNDS["int8", "uint8"] * np.abs(values).max(), output


@pytest.mark.parametrize("to", ["onnx", "openvino"])
@pytest.mark.parametrize(
    "preprocess",
    [
        Preprocess(16, 19, "crop"),
        pytest.param(Preprocess(16, 16), marks=pytest.mark.slow),
        pytest.param(Preprocess(16, 16, "pad", mean=(0.2, 0.5, 0.9)), marks=pytest.mark.slow),
    ],
    ids=lambda p: p.mode,
)
def test_a_graph_that_takes_bytes_prepares_them_as_we_do(made, to, preprocess):
    loaded, exported = made("option-a", to, preprocess, input="uint8")
    scorer = (OnnxScorer if to == "onnx" else OpenVinoScorer)(exported)
    ours = TorchScorer(loaded.net, loaded.normalise)
    for height, width in ((37, 51), (64, 40), (16, 16), (9, 30), (19, 60)):
        pictures = photos(3, height, width)
        wanted = ours.whole(pictures)
        assert relative_gap(scorer.outputs(np.stack(pictures))["logits"], wanted) < 0.02
        assert relative_gap(scorer.whole(pictures), wanted) < (0.02 if to == "onnx" else 1e-4)  # OpenVINO's are ours
    mixed = [*photos(2), *photos(1, 20, 30), *photos(2, seed=5)]
    np.testing.assert_allclose(scorer.whole(mixed), np.concatenate([scorer.whole([one]) for one in mixed]), atol=1e-4)


class Pixels(torch.nn.Module):
    """A network that answers with the pixels it was given."""

    def __init__(self):
        super().__init__()
        self.spec, self.weight = NETS["option-a"], torch.nn.Parameter(torch.ones(1))

    def forward(self, x):
        return (x * self.weight).flatten(1)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(
    "mode", ["pad", pytest.param("crop", marks=pytest.mark.slow), pytest.param("squash", marks=pytest.mark.slow)]
)
def test_pixels_are_ours_to_a_level_on_few_of_them(mode, interpolation):
    preprocess = Preprocess(
        24, 27 if mode == "crop" else 24, mode, (0.2, 0.5, 0.9), (1.0, 1.0, 1.0), interpolation=interpolation
    )
    normalise = Normalise(preprocess)
    model = onnx_graph(Outlet(Pixels()), 24)
    onnx_pixels.with_pixels(model, normalise)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    other = openvino_graph.with_pixels(openvino_graph.openvino_graph(Outlet(Pixels()), 24), normalise)
    compiled = ov.Core().compile_model(other, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    off = []
    for height, width in ((37, 51), (80, 61), (24, 24), (9, 30), (27, 200), (300, 420)):
        batch = np.stack(photos(2, height, width))
        wanted = normalise(to_batch([apply(one, preprocess) for one in batch])).flatten(1).numpy()
        for given in (session.run(None, {"images": batch})[0], compiled({"images": batch})["logits"]):
            levels = np.abs(given - wanted) * 255
            assert levels.max() < (1.01 if interpolation == "bilinear" else 2.01)  # cubic weights go beyond 1
            assert (levels > 1.01).mean() < 1e-3
            off.append((levels > 0.5).mean())
    assert np.mean(off) < 0.05  # of small pictures; of photographs 0.004


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_a_graph_that_takes_bytes_leaves_prepared_pictures_as_they_are(made, to):
    loaded, exported = made("option-a", to, Preprocess(16, 19, "crop"), input="uint8")
    scorer = (OnnxScorer if to == "onnx" else OpenVinoScorer)(exported, batch_size=2)
    images = torch.randint(256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    wanted = TorchScorer(loaded.net, loaded.normalise)(images)
    assert relative_gap(scorer(images), wanted) < 1e-4


@pytest.mark.parametrize("to", ["onnx", "openvino"])
def test_a_graph_takes_normalised_pictures_unless_it_takes_bytes(made, to):
    loaded, exported = made("option-a", to)
    images = torch.randint(256, (5, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scorer = graph_scorer(exported, exported.graph.engines[0], batch_size=2)
    assert np.array_equal(scorer.normalised(loaded.normalise(images)), scorer(images))
    exported = made("option-a", to, Preprocess(16, 19, "crop"), input="uint8")[1]
    with pytest.raises(UserError, match="normalises them itself"):
        graph_scorer(exported, exported.graph.engines[0]).normalised(loaded.normalise(images))


def test_openvino_refuses_bytes_in_onnx_which_it_would_resize_wrongly(made):
    exported = made("option-a", "onnx", Preprocess(16, 19, "crop"), input="uint8")[1]
    with pytest.raises(UserError, match="onnxruntime"):
        graph_scorer(exported, "openvino")


def test_stage_maps_and_class_maps_come_by_name(made):
    loaded, exported = made("everything", "onnx", outputs="both", cam=True)
    scorer, x = OnnxScorer(exported), inputs(loaded, 3)
    found = scorer.outputs(x.numpy())
    assert list(found) == ["logits", "stages.0", "stages.1", "cam"]
    with torch.no_grad():
        maps = loaded.net.stage_maps(x)
        for i, one in enumerate(maps):
            assert relative_gap(found[f"stages.{i}"], one.numpy()) < 1e-4
    bias = loaded.net.head.fc.bias.detach().numpy()
    assert relative_gap(found["cam"].mean((2, 3)) + bias, found["logits"]) < 1e-4  # the map's mean is the answer


@pytest.mark.slow
def test_an_ensemble_s_maps_are_its_members(made):
    loaded, exported = made("ensemble", "openvino", outputs="features")
    assert list(exported.graph.outputs) == ["0.stages.0", "0.stages.1", "1.stages.0", "1.stages.1"]
    found, x = OpenVinoScorer(exported).outputs(inputs(loaded, 2).numpy()), inputs(loaded, 2)
    for i, member in enumerate(loaded.net.members):
        for s, one in enumerate(member.stage_maps(x)):
            assert relative_gap(found[f"{i}.stages.{s}"], one.detach().numpy()) < 1e-4
    with pytest.raises(UserError, match="--outputs features"):
        OpenVinoScorer(exported)(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


@pytest.mark.slow
def test_a_program_of_torch_is_for_others(tmp_path):
    loaded = sealed(tmp_path / "m.safetensors", NETS["option-a"])
    exported, _ = export_model(loaded, ExportPlan("torch"))
    (tmp_path / "m.pt2").write_bytes(exported.content)
    program, x = torch.export.load(str(tmp_path / "m.pt2")).module(), inputs(loaded, 3)
    assert archive_digest(exported.content) == exported.sha256
    with zipfile.ZipFile(tmp_path / "m.pt2") as archive:
        assert archive.testzip() is None  # the digest was put in, and the zip's checksums are right
    assert relative_gap(program(x)[0].detach().numpy(), loaded.net(x).detach().numpy()) < 1e-4
    with pytest.raises(UserError, match=r"m\.safetensors"):
        open_exported(tmp_path / "m.pt2")


def test_int8_and_other_widths_only_where_a_format_has_them():
    for to, precision in (("onnx", "bf16"), ("torch", "int8"), ("openvino", "fp16")):
        with pytest.raises(UserError, match=precision):
            ExportPlan(to, precision=precision)


def test_what_onnx_cannot_hold_in_one_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(onnx_graph_module.LARGEST, "onnx", 1000)
    loaded = sealed(tmp_path / "m.safetensors", NETS["option-a"])
    with pytest.raises(UserError, match="2 GB in one file; export --to openvino"):
        export_model(loaded, ExportPlan("onnx"))


def test_a_class_map_needs_one_linear_layer():
    net = network(VggSpec("v", (1,), (4,), head="imagenet", hidden_channels=4, num_classes=5))
    with pytest.raises(UserError, match="one linear layer"):
        Outlet(net, cam=True)


def test_what_the_sealed_file_says_is_carried_along(made):
    loaded, exported = made("option-a", "onnx")
    for field in ("classes", "temperature", "threshold", "scores", "data", "preprocess", "members", "seen"):
        assert getattr(exported.bundle, field) == getattr(loaded.bundle, field)
    assert list(exported.known.trained) == list(loaded.known.trained) and exported.known.known_by == "content"
    assert exported.graph.made_of_sha256 == loaded.bundle.sha256
