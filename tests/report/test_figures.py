"""Figures: what is drawn is what was given; inline ones follow the page, files are files."""

import dataclasses
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from PIL import Image

from reslearn.report import figures
from reslearn.report.confusion import confusion_matrix, opacity, pool
from reslearn.report.explained import bars_figure
from reslearn.report.ink import INK, to_inline_svg
from reslearn.report.pages import TEMPLATES
from reslearn.report.values import RateCurve

from .looks import CONTRAST, contrast

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_an_inline_figure_is_xml_in_the_page_s_colours_alone(report):
    svg = to_inline_svg(figures.error_curves(report().curves), 'error "over" <epochs>')
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == 'error "over" <epochs>'
    assert "var(--val)" in svg and "var(--ink)" in svg and "DejaVu" not in svg
    assert [colour for colour in INK.values() if colour in svg] == []


def test_the_last_values_stand_beside_the_names(report):
    svg = to_inline_svg(figures.error_curves(report().curves), "error")
    assert "train 6.67 %" in texts(svg) and "validation 7.22 %" in texts(svg)


def test_the_epoch_that_was_kept_is_ringed_and_its_value_stands_beside_the_name(report):
    curves = dataclasses.replace(report().curves, kept=4.0)
    drawn = texts(to_inline_svg(figures.error_curves(curves), "error"))
    assert "kept: epoch 4" in drawn and "validation 16.25 %" in drawn and "train 6.67 %" in drawn
    assert "kept: epoch 4" in texts(to_inline_svg(figures.loss_curves(curves), "loss"))
    rivals = texts(to_inline_svg(figures.rival_curves([("a", curves), ("b", report().curves)]), "rivals"))
    assert {"a: 16.25 %", "b: 7.22 %", "the epoch that was kept"} <= set(rivals)


def test_words_on_curves_that_leave_the_frame_stand_below_each_other(report):
    first = np.array([99.0, *np.linspace(20, 5, 29)])
    curves = dataclasses.replace(report(epochs=30).curves, train_error=first, val_error=first - 1)
    figure = figures.error_curves(curves)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 2 and not boxes[0].overlaps(boxes[1])


def test_a_curve_that_hardly_leaves_the_frame_stays_in_it(report):
    errors = np.array([25.0, *np.linspace(20, 19, 29)])
    curves = dataclasses.replace(report(epochs=30).curves, train_error=errors, val_error=errors)
    axes = figures.error_curves(curves).axes[0]
    assert not axes.texts and axes.get_ylim()[1] > 25


@pytest.mark.parametrize("colour", ["ink", "muted", "val", "wrong", "third", "fourth"])
def test_words_in_every_colour_can_be_read_by_day_and_by_night(colour):
    for palette in _palettes():
        rgb = {name: [int(palette[name][i : i + 2], 16) for i in (1, 3, 5)] for name in (colour, "card")}
        assert contrast(np.array(rgb[colour]), np.array(rgb["card"])) >= CONTRAST


def _palettes():
    """The colours of pages by day and by night, and those of files."""
    style = (TEMPLATES / "style.css").read_text()
    for part in re.findall(r":root \{(.*?)\}", style, re.DOTALL):
        yield dict(re.findall(r"--(\w+): (#\w{6})", part))
    yield INK | {"card": "#ffffff"}


@pytest.mark.parametrize("right", [True, False])
def test_numbers_on_the_strongest_cells_can_be_read_by_day_and_by_night(right):
    strength = float(opacity(np.array(1.0), right=right))
    for palette in _palettes():
        ink, card, cell = (
            np.array([int(palette[name][i : i + 2], 16) for i in (1, 3, 5)])
            for name in ("ink", "card", "val" if right else "wrong")
        )
        assert contrast(ink, strength * cell + (1 - strength) * card) >= CONTRAST


def test_a_small_confusion_matrix_prints_every_count_that_is_not_zero():
    matrix = np.array([[31, 2, 0], [0, 57, 0], [4, 0, 83]])
    drawn = texts(to_inline_svg(confusion_matrix(matrix, ("ant", "bee", "cow")), "confusion"))
    assert sorted(int(t) for t in drawn if t.isdigit()) == [2, 4, 31, 57, 83]
    assert drawn.count("ant") == 2


@pytest.mark.parametrize("most", [3.0, 5e-5])
def test_a_logarithmic_axis_is_labelled_in_numbers(most):
    rates = np.geomspace(1e-5, most, 100)
    found = RateCurve(rate=tuple(rates), loss=tuple(1 + rates), suggested=2e-5)
    drawn = texts(to_inline_svg(figures.rate_curve(found), "rates"))
    assert "1e−05" in drawn and not any("$" in text or "\\" in text for text in drawn)
    assert ("0.001" in drawn) == (most == 3.0)


def test_layers_on_a_logarithmic_axis_are_labelled_in_numbers():
    drawn = texts(to_inline_svg(bars_figure(["a", "b"], {"weights": [1e-3, 0.5]}, "norm", log=True), "norms"))
    assert {"0.001", "0.1"} <= set(drawn) and not any("$" in text or "\\" in text for text in drawn)


def test_names_that_look_like_formulas_or_are_not_latin_are_drawn_as_they_are():
    names = ("$x^2$", "éléphant", "_private")
    drawn = texts(to_inline_svg(confusion_matrix(np.eye(3, dtype=np.int64), names), "confusion"))
    assert [drawn.count(name) for name in names] == [2, 2, 2]


@pytest.mark.parametrize("classes", [1, 2, 20, 41, 61, 260])
def test_any_number_of_classes_can_be_drawn(classes):
    matrix = np.eye(classes, dtype=np.int64) * 3
    svg = to_inline_svg(confusion_matrix(matrix, tuple(f"class {i}" for i in range(classes))), "c")
    assert ElementTree.fromstring(svg) is not None and len(svg) < 400_000


def test_pooling_keeps_a_single_mistake_and_never_hides_the_diagonal():
    share = np.eye(7)
    share[0] = [0.9, 0, 0, 0, 0, 0, 0.1]
    pooled = pool(share, 2)
    assert pooled.shape == (4, 4)
    assert pooled[0, 3] == 0.1 and np.count_nonzero(pooled) == 5
    np.testing.assert_allclose(pooled.diagonal(), [0.95, 1, 1, 1])


def test_thinning_keeps_means_and_short_curves():
    x = np.arange(1000.0)
    thin_x, thin_y = figures.thin(x, x**2, points=400)
    assert len(thin_x) == len(thin_y) == 400 and np.all(np.diff(thin_x) > 0)
    sizes = np.diff(np.append(np.linspace(0, 1000, 401).astype(int)[:-1], 1000))
    assert np.sum(thin_y * sizes) == pytest.approx(np.sum(x**2))
    assert figures.thin(x[:10], x[:10])[0] is not None and len(figures.thin(x[:10], x[:10])[0]) == 10


def test_the_same_figures_come_as_files(report, tmp_path):
    values = report()
    written = figures.save_figures(tmp_path / "figures", values)
    assert {path.name for path in written} == {
        f"{name}.{kind}"
        for name in ("error", "loss", "learning_rate", "test_confusion", "test_reliability")
        for kind in ("png", "svg")
    }
    for path in written:
        if path.suffix == ".png":
            assert Image.open(path).getpixel((0, 0))[:3] == (255, 255, 255)
        else:
            assert ElementTree.parse(path).getroot().tag == f"{SVG}svg"
    again = figures.save_figures(tmp_path / "again", values)
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]
