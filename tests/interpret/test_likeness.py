"""Which pictures are alike, and what sheets show, each against the same worked out by hand."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reslearn.bundle.combine import CombinedNet
from reslearn.interpret.heats import Heats
from reslearn.interpret.likeness import extremes, likeness_features, nearest, unit
from reslearn.interpret.sheets import feature_sheets, first_filters

_spec = importlib.util.spec_from_file_location("small_nets", Path(__file__).with_name("small_nets.py"))
nets = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nets)


def test_features_are_what_the_head_reads_at_norm_one():
    net = nets.small_net("pre-activation")
    found = likeness_features(nets.scorer_of(net), torch.split(nets.pictures(5), 2))
    pooled = net.stage_maps(nets.scorer_of(net).normalise(nets.pictures(5)))[-1].mean((2, 3)).detach().numpy()
    np.testing.assert_allclose(found, pooled / np.linalg.norm(pooled, axis=1, keepdims=True), rtol=1e-4, atol=1e-6)


def test_an_ensembles_cosine_is_the_weighted_mean_of_its_members():
    members = [nets.small_net("post-activation", 0), nets.small_net("wide", 1)]
    both = CombinedNet(members, weights=[1, 3], combine="softmax").eval()
    alone = [likeness_features(nets.scorer_of(net), [nets.pictures(4)]) for net in members]
    together = likeness_features(nets.scorer_of(both), [nets.pictures(4)])
    np.testing.assert_allclose(together @ together.T, 0.25 * alone[0] @ alone[0].T + 0.75 * alone[1] @ alone[1].T,
                               atol=1e-5)  # fmt: skip


def test_the_nearest_are_scikit_learns():
    from sklearn.neighbors import NearestNeighbors

    draw = np.random.default_rng(0)
    ours, among = (unit(draw.normal(size=(n, 6)).astype(np.float32)) for n in (4, 30))
    found = nearest(ours, among, count=3)
    _, wanted = NearestNeighbors(n_neighbors=3, metric="cosine").fit(among).kneighbors(ours)
    assert [[place for place, _ in row] for row in found] == wanted.tolist()
    same = np.zeros((4, 30), bool)
    same[0, wanted[0, 0]] = True
    assert nearest(ours, among, count=3, same=same)[0][0][0] == wanted[0, 1]


def test_extremes_are_most_and_least_like_their_class():
    rows = unit(np.array([[1, 0], [1, 0.1], [0, 1], [5, 5], [0, 1], [1, 4]], np.float32))
    first, second = extremes(rows, np.array([0, 0, 0, 0, 1, 1]), each=2)
    mean = rows[:4].mean(0)
    order = np.argsort(-(rows[:4] @ mean))
    assert first.most == tuple(order[:2]) and first.least == tuple(order[::-1][:2])
    assert second.label == 1 and len(second.most) == 2 and second.least == ()


def test_filters_are_colours_and_grey_is_zero():
    net = nets.small_net("post-activation")
    found = first_filters(net)
    weight = net.stem.conv.weight.detach().numpy()
    assert found.shape == (8, 3, 3, 3) and found.min() >= 0 and found.max() <= 1
    np.testing.assert_array_equal(np.sign(found - 0.5), np.sign(weight.transpose(0, 2, 3, 1)))


@pytest.mark.parametrize("kind", nets.KINDS)
def test_sheets_show_the_strongest_channels(kind):
    net = nets.small_net(kind)
    sheets = feature_sheets(nets.scorer_of(net), nets.pictures(1)[0], most=4)
    maps = net.features(nets.scorer_of(net).normalise(nets.pictures(1)))
    stages = len(net.spec.stage_strides)
    assert len(sheets) == stages + ("VGG" not in kind)
    for sheet in sheets:
        strength = maps[sheet.layer][0].relu().mean((1, 2))
        assert sheet.of == len(strength) and set(sheet.channels) == set(strength.topk(4).indices.tolist())
        assert sheet.maps.min() >= 0 and sheet.maps.max() <= 1


def test_heat_to_be_sent(tmp_path):
    import reslearn
    from reslearn.bundle.own import save_networks
    from reslearn.spec.preprocess import default_preprocess

    net = nets.small_net("post-activation")
    save_networks(tmp_path / "m.safetensors", net, preprocess=default_preprocess(32))
    loaded = reslearn.load(tmp_path / "m.safetensors")
    pictures = [one.permute(1, 2, 0).numpy() for one in nets.pictures(2)]
    found = Heats(loaded, nets.scorer_of(net))(pictures, [3, 0])
    assert len(found) == 2 and len(found[0]) == len(found[0][0]) == 28
    assert all(0 <= value <= 1 for rows in found for row in rows for value in row)
    pytest.importorskip("onnxscript", reason="needs onnxscript: pip install onnxscript")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install onnxruntime")
    reslearn.export(tmp_path / "m.safetensors", tmp_path / "m.onnx", cam=True, verify=False)
    predictor = reslearn.Predictor(tmp_path / "m.onnx")
    again = Heats(predictor.model, predictor.scorer)(pictures, [3, 0])
    assert len(again[0]) == 16 and max(max(row) for row in again[0]) == 1
    without = replace(predictor.model, graph=replace(predictor.model.graph, outputs=("logits",)))
    with pytest.raises(reslearn.UserError, match="--cam"):
        Heats(without, predictor.scorer)
