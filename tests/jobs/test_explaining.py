"""`explain` from Python and from the command line: what it finds, what it says, what it refuses."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from PIL import Image

import reslearn
from reslearn.bundle.own import save_networks
from reslearn.cli.app import main
from reslearn.jobs.looked_at import spread
from reslearn.report.heat import heat_of, overlay, shown, tiles
from reslearn.spec.errors import UserError
from reslearn.spec.preprocess import default_preprocess


@pytest.fixture
def pictures(tmp_path):
    """Three picture files of digits."""
    digits = reslearn.open_data("digits")
    found = []
    for i in (0, 7, 11):
        found.append(tmp_path / f"digit{i}.png")
        Image.fromarray(digits.read(i)[0]).save(found[-1])
    return list(map(str, found))


def random_network(path, seed):
    """A network that has learned nothing, sealed."""
    torch.manual_seed(seed)
    net = reslearn.create_model("resnet20_cifar", stage_blocks=(1, 1, 1))
    save_networks(path, net, preprocess=default_preprocess(16))
    return path


def test_maps_of_pictures(short_run, pictures):
    done = reslearn.explain(short_run, pictures, faithfulness=0)
    answers = reslearn.predict(short_run, pictures, engine="torch")
    assert done.method == "cam" and done.layers == ("stages.1.0",) and done.faithfulness is None
    assert len(done) == 3 and [one.path for one in done] == pictures
    for one, answer in zip(done, answers, strict=True):
        assert (one.label, one.index) == (answer.predictions[0].label, answer.predictions[0].index)
        assert one.probability == pytest.approx(answer.predictions[0].probability, abs=1e-5)
        assert one.map.shape == one.heat.shape == (8, 8) and one.heat.min() >= 0 and one.heat.max() == 1
        assert one.truth is None and one.nearest == ()
    assert "heat where it speaks" in done[0]._repr_html_()


def test_a_class_is_named_or_counted(short_run, pictures):
    by_name = reslearn.explain(short_run, pictures[0], of_class="7", faithfulness=0)[0]
    by_index = reslearn.explain(short_run, pictures[0], of_class=7, faithfulness=0)[0]
    assert by_name.label == "7" and np.array_equal(by_name.map, by_index.map)
    with pytest.raises(UserError, match="unknown class 'cat'"):
        reslearn.explain(short_run, pictures[0], of_class="cat")
    with pytest.raises(UserError, match="10 classes"):
        reslearn.explain(short_run, pictures[0], of_class=10)


def test_of_data_the_classes_are_looked_at(short_run, tmp_path):
    page = tmp_path / "page.html"
    done = reslearn.explain(short_run, "digits", shown=5, out=page)
    digits = reslearn.open_data("digits")
    test = [digits.ids[i] for i in digits.splits["test"]]
    assert len(done) == 5 and done.found == len(test) and {one.path for one in done} <= set(test)
    assert [one.label for one in done.classes] == list(digits.classes)
    assert sum(one.pictures for one in done.classes) == done.looked == len(test)
    for one in done.classes:
        assert len(one.most) == len(one.least) == 4
        assert one.most[0].likeness >= one.most[-1].likeness > one.least[-1].likeness >= one.least[0].likeness
        assert {like.label for like in (*one.most, *one.least)} == {one.label}
    trained = set(test)
    for one in done:
        assert len(one.nearest) == 4 and not trained & {like.path for like in one.nearest}
        assert one.truth in digits.classes
    assert done.faithfulness.pictures == 100 and done.faithfulness.beats_chance, done.faithfulness
    assert done.faithfulness.learned.pictures == len(test) > done.faithfulness.learned.right
    text = page.read_text()
    assert done.faithfulness.verdict().split(":")[0] in text and "Most typical".lower() in text.lower()
    assert "<script" not in text and not re.search(r'(src|href)="(?!data:|#)', text)


def test_a_picture_is_not_its_own_neighbour(short_run):
    done = reslearn.explain(short_run, "digits", split="train", shown=6, faithfulness=0)
    assert all(one.path not in {like.path for like in one.nearest} for one in done)
    assert all(like.likeness <= 1.0001 for one in done for like in one.nearest)


def test_of_random_weights_nothing_is_claimed(tmp_path):
    """Though their maps do beat random ones, by little: what such a network adds up is real."""
    digits = reslearn.open_data("digits")
    some, beaten = [digits.read(i)[0] for i in range(24)], []
    for seed in range(4):
        model = random_network(tmp_path / f"{seed}.safetensors", seed)
        test = reslearn.explain(model, some, shown=24).faithfulness
        assert test.learned is None and not test.beats_chance and "no better than chance" in test.verdict()
        beaten.append(test.random.deletion_gain.clear and test.random.insertion_gain.clear)
    assert any(beaten)
    page = tmp_path / "page.html"
    known = reslearn.explain(model, digits, split="test", shown=2, faithfulness=8, out=page).faithfulness
    assert not known.learned.something and known.learned.pictures > 300 and not known.beats_chance
    assert "no better than chance" in page.read_text() and "pictures right" in known.verdict()


def test_an_ensemble_is_explained(short_run, pictures, tmp_path):
    loaded = reslearn.load(short_run)
    save_networks(tmp_path / "both.safetensors", [loaded.net, loaded.net], weights=[1, 3],
                  preprocess=loaded.bundle.preprocess, classes=loaded.bundle.classes)  # fmt: skip
    done = reslearn.explain(tmp_path / "both.safetensors", pictures, faithfulness=0)
    alone = reslearn.explain(short_run, pictures, faithfulness=0)
    assert done.layers == ("stages.1.0", "stages.1.0")
    np.testing.assert_allclose(done[0].map, alone[0].map, rtol=1e-5, atol=1e-6)


def test_the_command(short_run, pictures, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["explain", str(short_run), *pictures, "-o", str(page), "--json", "--faithfulness", "3"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert set(value) == {"model", "sha256", "method", "layers", "pictures", "faithfulness", "classes", "page"}
    assert value["page"] == str(page) and value["method"] == "cam" and len(value["pictures"]) == 3
    assert set(value["pictures"][0]) == {"path", "label", "index", "probability", "truth", "predictions", "nearest"}
    assert value["faithfulness"]["pictures"] == 3 and not value["faithfulness"]["beats_chance"]
    assert main(["explain", str(short_run), *pictures, "--method", "gradcam", "--layer", "stages.0"]) == 0
    out = capsys.readouterr().out
    assert "gradcam, from stages.0.0" in out and out.count("warmest at") + out.count("no place") == 3


def test_a_bad_file_stops_nobody(short_run, pictures, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    assert main(["explain", str(short_run), pictures[0], str(bad), "--faithfulness", "0", "--json"]) == 2
    told = capsys.readouterr()
    value = json.loads(told.out)["pictures"]
    assert "error" in value[1] and value[1]["path"] == str(bad) and value[0]["label"]
    assert f"{bad}" in told.err
    assert main(["explain", str(short_run), str(bad)]) == 2
    assert len([line for line in capsys.readouterr().err.splitlines() if "bad.png" in line]) == 1


@pytest.mark.parametrize(
    "more, words",
    [
        (["--layer", "stages.7"], "unknown layer"),
        (["--method", "cam", "--layer", "stages.0"], "--method gradcam"),
        (["--class", "x"], "unknown class"),
        (["--pictures", "0"], "--pictures is 0"),
        (["--faithfulness", "-1"], "--faithfulness is -1"),
        (["--split", "test"], "have none"),
        (["--method", "magic"], "magic"),
        (["--layers"], "--layers takes one DATA"),
    ],
)
def test_wrong_input_is_one_line(short_run, pictures, capsys, more, words):
    assert main(["explain", str(short_run), *pictures, *more]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("reslearn: ")]
    assert len(lines) == 1 and words in lines[0]


def test_nothing_named(short_run, capsys):
    assert main(["explain", str(short_run)]) == 2
    assert "name pictures" in capsys.readouterr().err
    assert main(["explain", str(short_run), "nowhere.png"]) == 2
    assert "nowhere.png" in capsys.readouterr().err


def test_layers_of_a_run(short_run, tmp_path, capsys):
    page = tmp_path / "layers.html"
    assert main(["explain", str(short_run), "--layers", "digits", "--json", "-o", str(page)]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["responses"][0]["layer"] == "stem" and len(value["gradients"]) == 5
    assert [one["block"] for one in value["branches"]] == ["stages.0.0"]
    assert value["lesion"]["dropped"][0][0] == "stages.0.0" and value["absent"] == {}
    assert page.read_text().count("<svg") == 4
    assert main(["explain", str(short_run), "--layers", "digits"]) == 0
    assert "|F| / |x|" in capsys.readouterr().out


def test_what_layers_cannot_be_measured_is_said(tmp_path, capsys):
    torch.manual_seed(0)
    net = reslearn.create_model("preact_resnet110_cifar", stage_blocks=(1, 1), stage_channels=(8, 16), stem_channels=8)
    model = tmp_path / "pre.safetensors"
    save_networks(model, net, preprocess=default_preprocess(8))
    assert main(["explain", str(model), "--layers", "digits", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["responses"] is None and "post-activation" in value["absent"]["responses"]
    assert main(["explain", str(model), "--layers"]) == 2
    assert "name DATA" in capsys.readouterr().err


def test_confident_mistakes_have_heat_in_the_report(short_run):
    from reslearn.jobs.pages.run import write_report

    reslearn.evaluate(short_run, "digits")
    text = write_report(short_run).read_text()
    assert text.count('alt="heat where it speaks for') == 12


def test_heat_is_what_lies_above_zero():
    values = np.array([[-3.0, 0.0], [1.0, 2.0]])
    heat = heat_of(values)
    assert heat[0].tolist() == [0, 0] and heat[1, 1] == pytest.approx(1) and 0.49 < heat[1, 0] < 0.52
    assert not heat_of(-np.ones((4, 4))).any() and not heat_of(np.full((4, 4), np.nan)).any()


def test_pictures_of_pictures(photo):
    for data in (shown(photo), overlay(photo, np.ones(photo.shape[:2], np.float32))):
        assert data[:2] == b"\xff\xd8"
    small = np.zeros((8, 8, 3), np.uint8)
    assert tiles(np.zeros((5, 8, 8), np.float32))[:4] == b"\x89PNG"
    import io

    assert Image.open(io.BytesIO(shown(small))).size == (192, 192)


def test_spread_is_even():
    assert list(spread(3, 5)) == [0, 1, 2] and list(spread(10, 5)) == [0, 2, 4, 6, 8]
