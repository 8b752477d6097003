"""Words of pages: what no line's end divides, names of any script, and tables that no phone has room for."""

from __future__ import annotations

import html
import re

import pytest

from reslearn.report.pages import render
from reslearn.report.values import Grid, Report
from reslearn.report.words import path, sentence, too_wide, value, whole, words


@pytest.mark.parametrize(
    ("text", "together"),
    [
        ("14 of 30; 95 %: 30.2", ["95 %"]),
        ("ahead of bad; 95 %: +6.00 to +28.00", ["95 %: +6.00 to +28.00"]),
        ("(95 % interval +6 to +28, p = 0.006). So", ["(95 %", "+6 to +28", "p = 0.006"]),
        ("by -0.006 (95 %: -0.042 .. +0.030)", ["(95 %: -0.042 .. +0.030"]),
        ("1 of 402 pictures, 12 a class", []),
    ],
)
def test_no_line_ends_inside_a_number(text, together):
    found = str(whole(text))
    assert re.findall('<span class="whole">(.*?)</span>', found) == together
    assert re.sub("<[^>]*>", "", found) == text


def test_words_are_never_markup():
    for made in (whole, path, words, value):
        assert "<b>" not in made("<b>5 %</b> & \u0642\u0637\u0629/<b>.png")


def test_folders_of_a_name_keep_their_order_and_nothing_turns_the_rest():
    assert str(path("test/\u0642\u0637\u0629/0003.jpg")) == (
        "<bdi>test</bdi>/<bdi>\u0642\u0637\u0629</bdi>/<bdi>0003.jpg</bdi>"
    )
    assert str(path("test/고양이/3.jpg")) == "test/고양이/3.jpg"
    assert "\\u202e" in path("dup \u202egpj.exe") and "\u202e" not in path("dup \u202egpj.exe")
    page = render(Report(name="a\u202eb", summary="\x1b[2J", command="reslearn train 'a\u202eb' --epochs 2"))
    assert "\u202e" not in page and "\x1b" not in page and "a\\u202eb" in page


def test_no_name_of_a_class_turns_a_figure(report):
    page = render(report(("a\u202eb\x1b", "ant", "bee")))
    assert "\u202e" not in page and "\x1b" not in page and "a\\u202eb\\x1b" in page


def test_a_line_of_a_command_ends_between_its_words():
    assert re.findall('<span class="whole">(.*?)</span>', str(words("reslearn train x --html y"))) == [
        "reslearn", "train", "x", "--html", "y",
    ]  # fmt: skip


def test_a_digest_breaks_into_even_lines_and_stays_one_word_for_who_copies_it():
    digest = "0123456789abcdef" * 4
    assert re.findall(">([0-9a-f]{16})(?=<)", value(digest)) == [digest[:16]] * 4
    assert re.sub("<[^>]*>", "", value(digest)) == digest and "<wbr>" in value(digest)
    assert value("16, 32, 64") == "16, 32, 64"


def test_names_of_classes_in_a_list_keep_their_order():
    assert value("2: ant, \u0642\u0637\u0629") == "<bdi>2: ant</bdi>, <bdi>\u0642\u0637\u0629</bdi>"


def test_advice_is_a_sentence_and_a_name_at_its_begin_stays_as_it_is():
    assert sentence("it has learned nothing yet") == "It has learned nothing yet."
    assert sentence("run is better than other.") == "run is better than other."
    assert sentence("lr=0.1 is best") == "lr=0.1 is best." and sentence("resnet20_cifar wins") == "resnet20_cifar wins."


def test_a_table_too_wide_for_a_phone_stands_in_rows_with_the_names_of_its_columns():
    narrow = (("", "held out", "top-1", "loss"), (("fold 1", "100", "27.00 %", "2.0747"),))
    wide = (("", "fine-tuned-from-imagenet", "from-nothing-at-all"), (("the top-1 error", "9.1 %", "<8.0 %"),))
    assert not too_wide(*narrow) and too_wide(*wide) and not too_wide(("a",), ())
    page = render(Report(name="x", summary="y", grids=(Grid(title="t", columns=wide[0], rows=wide[1]),)))
    assert '<table class="stacked">' in page
    assert '<td data-label="from-nothing-at-all">&lt;8.0 %</td>' in html.unescape(page).replace("<8.0", "&lt;8.0")
