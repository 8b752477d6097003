"""Names in any script: the letters are found, or what is missing is said once; no library speaks for itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image

from reslearn.report import fonts
from reslearn.report.axes import loss_ticks
from reslearn.report.confusion import confusion_matrix
from reslearn.report.figures import error_curves, loss_curves, rival_curves, save_figures
from reslearn.report.fonts import HOUSE, fonts_for
from reslearn.report.ink import to_inline_svg
from reslearn.report.pages import render
from reslearn.report.values import Curves

STRANGE = ("고양이", "犬の写真", "قطة", "cat 🐈", "naïve Ω Я")


@pytest.fixture
def _as_if_new(monkeypatch):
    monkeypatch.setattr(fonts, "_told", set())


@pytest.mark.usefixtures("_as_if_new")
def test_names_of_any_script_give_figures_and_no_warning_of_a_library(report, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = report(STRANGE)
        for _ in range(2):
            save_figures(tmp_path, values)
    told = [str(one.message) for one in caught]
    assert all(text.startswith("no font on this machine draws") for text in told) and len(told) <= 1
    svg = (tmp_path / "test_confusion.svg").read_text()
    inline = to_inline_svg(confusion_matrix(np.eye(5, dtype=np.int64), STRANGE), "c")
    for name in STRANGE:
        assert name in svg and name in inline


def test_a_font_that_has_the_letters_is_found():
    families, missing = fonts_for(frozenset("고양이"))
    if missing:
        pytest.skip("needs a font that has Hangul")
    assert families[0] == HOUSE and len(families) == 2
    assert set("고양이") <= fonts._letters_of(font_manager.findfont(families[1]))
    assert fonts_for(frozenset("ΩЯ")) == ((HOUSE,), frozenset())


def test_found_letters_are_drawn(tmp_path):
    """A name in Hangul is other ink than the box that stands for a missing letter."""
    if fonts_for(frozenset("고양이"))[1]:
        pytest.skip("needs a font that has Hangul")
    drawn = []
    for name in ("고양이", "\U000f0000\U000f0000\U000f0000"):  # nobody's letters
        figure = confusion_matrix(np.eye(1, dtype=np.int64), (name,))
        with fonts.quietly():
            figure.savefig(tmp_path / "one.png")
        drawn.append(np.asarray(Image.open(tmp_path / "one.png").convert("L"), dtype=int))
    assert drawn[0].shape == drawn[1].shape and np.abs(drawn[0] - drawn[1]).max() > 100


@pytest.mark.usefixtures("_as_if_new")
def test_what_no_font_has_is_said_once_and_only_where_pixels_are_written(report, tmp_path):
    nobody = "\U000f0001"
    values = report((nobody, "ant", "bee"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        render(values)  # a browser has fonts of its own
    with pytest.warns(UserWarning, match="no font on this machine draws \U000f0001"):
        save_figures(tmp_path, values)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figures(tmp_path, values)


def curves(errors, losses=None):
    at = np.arange(1.0, len(errors) + 1)
    losses = np.linspace(2.0, 1.0, len(errors)) if losses is None else np.asarray(losses, float)
    return Curves(
        step_epoch=at, step_loss=losses, step_lr=at, epoch=at, train_error=np.asarray(errors, float),
        val_error=np.asarray(errors, float) + 1, train_loss=losses, val_loss=losses,
    )  # fmt: skip


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_curve_that_leaves_the_frame_is_marked_and_another_is_not():
    high = curves([90, *np.linspace(12, 8, 30)])
    for figure in (error_curves(high), rival_curves([("a", high), ("b", high)])):
        assert texts(figure) and all(text.startswith("up to 9") for text in texts(figure))
    assert texts(error_curves(curves(np.linspace(12, 8, 30)))) == []


@pytest.mark.parametrize("losses", [[2.3, 0.4, 0.3], [2.3, 0.4], [0.05, 0.01, 0.004], [14058.0, 2.0, 1.5],
                                    [1e-9, 1e6, 1.0], [0.7, 0.69, 0.68], [0.0, 0.0], [3.0]])  # fmt: skip
def test_a_loss_axis_has_at_least_three_labels_whatever_it_spans(losses):
    figure = loss_curves(curves(np.ones(len(losses)), losses))
    figure.canvas.draw()
    axis = figure.axes[0].yaxis
    low, high = figure.axes[0].get_ylim()
    shown = [tick for tick in axis.get_majorticklocs() if low <= tick <= high]
    assert 3 <= len(shown) <= 10, shown


def test_ticks_are_round_and_inside():
    for low, high in ((0.29, 2.4), (1e-6, 1e6), (0.5, 0.9), (1.01, 1.02)):
        ticks = loss_ticks(low, high)
        assert len(ticks) >= 3 and ticks == sorted(ticks) and all(low <= tick <= high for tick in ticks)


def test_a_legend_of_long_names_is_not_cut_off():
    for names in (
        ("a", "b"),
        ("chosen-by-the-table-eight-epochs", "fast-cifar-for-three-epochs"),
        ("run-" * 20, "try-" * 20),
    ):
        figure = rival_curves([(name, curves([9, 8, 7])) for name in names])
        figure.canvas.draw()
        (legend,) = figure.legends
        assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_folds_that_coincide_are_drawn_in_widths_that_show_each():
    figure = rival_curves([(f"fold {k}", curves([9, 8, 7])) for k in range(1, 6)])
    lines = figure.axes[0].get_lines()
    assert len({line.get_linewidth() for line in lines}) == 5
    assert [line.get_linewidth() for line in lines] == sorted((one.get_linewidth() for one in lines), reverse=True)
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 5


def test_the_confusion_matrix_has_a_legend():
    figure = confusion_matrix(np.array([[5, 1], [0, 6]]), ("ant", "bee"))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels[0] == "right" and any("wrong" in label for label in labels)
