"""Charts and tables of a cell: what is drawn, in words of both languages, in a page's own colours."""

from __future__ import annotations

import warnings

import pytest

from reslearn.report.chart import bars, lines, table


def test_lines_are_drawn_as_they_are_given():
    chart = lines({"plain": ([1, 2, 3], [3.0, 2.0, 1.0]), "residual": [2.0, 1.0, 0.5]}, title="error", x="step", y="%",
                  dashed=("plain",))  # fmt: skip
    (axes,) = chart.panels[0][1].axes
    plain, residual = axes.get_lines()
    assert plain.get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]] and plain.get_linestyle() == "--"
    assert residual.get_xydata().tolist() == [[1, 2], [2, 1], [3, 0.5]] and residual.get_linestyle() == "-"
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("step", "%", "linear")


def test_two_charts_stand_beside_each_other():
    both = lines({"a": [1, 2]}, title="left", log=True) | bars({"a": 3}, title="right")
    text = both._repr_html_()
    assert text.count("<svg") == 2 and "left" in text and "right" in text
    assert both.panels[0][1].axes[0].get_yscale() == "log" and "mathdefault" not in text


def test_bars_are_as_long_as_their_values_and_say_them():
    (axes,) = bars({"A": 25.03, "B": 24.52}, digits=2).panels[0][1].axes
    assert [patch.get_width() for patch in axes.patches] == [25.03, 24.52]
    assert {"25.03", "24.52"} <= {text.get_text() for text in axes.texts}


def test_hangul_is_text_of_the_page_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = lines({"잔차": [1, 2]}, x="단계", y="오류율")._repr_html_()
    assert all(word in text for word in ("잔차", "단계", "오류율")) and "var(--" in text


@pytest.mark.parametrize(
    ("value", "text"), [(1234567, "1,234,567"), (0.123456, "0.1235"), ("x<y", "x&lt;y"), (True, "True")]
)
def test_a_table_shows_values_as_a_page_does(value, text):
    assert f"<td>{text}</td>" in table([{"what": value}])._repr_html_()


def test_a_table_has_the_first_rows_names():
    found = table([{"a": 1, "b": 2}, {"b": 4, "a": 3}])
    assert found._repr_html_().index("<th>a</th>") < found._repr_html_().index("<th>b</th>")
    assert repr(found) == "a: 1  b: 2\na: 3  b: 4"
