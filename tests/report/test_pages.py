"""Pages: self-contained, escaped, small, and quiet in a real browser."""

import dataclasses
import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from reslearn.report.pages import duration, interval, percent, render
from reslearn.report.values import Details, Gallery, Grid, Report


class Outside(HTMLParser):
    """Collects every address that a page would load, and every tag left open."""

    def __init__(self):
        super().__init__()
        self.addresses, self.tags, self.stack = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "link", "img", "br", "hr", "input"):
            self.stack.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href", "data", "srcset")]

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        assert self.stack and self.stack[-1] == tag, f"</{tag}> closes <{self.stack[-1:]}>"
        self.stack.pop()


def test_a_page_loads_nothing_and_closes_every_tag(report):
    page = Outside()
    text = render(report())
    page.feed(text)
    assert page.stack == []
    assert page.tags.count("svg") == 5 and page.tags.count("img") == 12
    assert "script" not in page.tags
    assert [a for a in page.addresses if not a.startswith(("data:", "#"))] == []
    assert re.findall(r"url\((?!#)|@import", text) == []


def test_a_page_shows_its_numbers(report):
    values = report()
    text = html.unescape(render(values))
    right = int(np.trace(values.details[0].confusion))
    for expected in (
        "90.10 %",
        interval((0.887, 0.913)),
        f"{right:,} of 2,000 pictures right",
        values.command,
        "resnet20_cifar",
    ):
        assert expected in text


def test_names_are_never_markup(report):
    text = render(report(("<script>alert(1)</script>", "a & b", '"quoted"')))
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text and "a &amp; b" in text


def test_a_class_without_pictures_or_predictions_gets_a_dash(report):
    values = report()
    part = values.details[0]
    row = dataclasses.replace(part.per_class[0], support=0, precision=np.nan, recall=np.nan, f1=np.nan)
    part = dataclasses.replace(part, per_class=(row, *part.per_class[1:]))
    text = render(dataclasses.replace(values, details=(part,)))
    assert "<td>–</td>" in text and "nan" not in re.sub(r"data:[^\"]*", "", text)


def test_a_run_without_validation_or_evaluation_still_has_a_page(report):
    values = report()
    curves = dataclasses.replace(values.curves, val_error=np.full(9, np.nan), val_loss=np.full(9, np.nan))
    text = render(dataclasses.replace(values, curves=curves, details=(), scores=()))
    assert "validation 0" not in text and "nan" not in text and "Learning rate" in text


def test_a_thousand_classes_stay_small(report):
    names = [f"class number {i:04d}" for i in range(1000)]
    text = render(report(names, count=50_000, shots=24, side=224))
    assert len(text.encode()) < 15e6
    assert "the other 988 classes" in text


def test_a_comparison_shows_its_verdict_both_runs_and_their_table(report):
    one = report()
    page = Report(
        name="plain20 and resnet20",
        summary="on cifar10-jpeg",
        verdict=("resnet20 is better: the difference is no accident (p < 0.001).",),
        grids=(Grid(title="Side by side", columns=("", "plain20", "resnet20"), rows=(("error", "9.1 %", "<8.0 %"),)),),
        rivals=(("plain20", one.curves), ("resnet20", one.curves)),
        galleries=(Gallery(title="Only resnet20 is right", pictures=one.details[0].mistakes),),
    )
    text = render(page)
    for expected in ("no accident (p &lt; 0.001)", "&lt;8.0 %", "plain20: 7.22 %", "resnet20: 7.22 %", "Only resnet20"):
        assert expected in text
    assert text.count("<svg") == 1 and "Repeat it" not in text
    with pytest.raises(ValueError, match="3 columns, but a row of 2"):
        Grid(title="x", columns=("a", "b", "c"), rows=(("1", "2"),))


def test_details_of_another_size_are_refused(report):
    part = report().details[0]
    with pytest.raises(ValueError, match="3 classes need a 3 x 3"):
        Details(**{**vars(part), "confusion": np.zeros((2, 2), np.int64)})


def test_numbers_as_people_say_them():
    assert [percent(0.98765), percent(float("nan")), percent(None)] == ["98.8 %", "–", "–"]
    assert interval((0.5, 0.625)) == "50.0\N{NO-BREAK SPACE}–\N{WORD JOINER}\N{NO-BREAK SPACE}62.5\N{NO-BREAK SPACE}%"
    assert [duration(s) for s in (4.21, 59.6, 119.7, 5400, 90061)] == [
        "4.2 s",
        "60 s",
        "2 min 0 s",
        "1 h 30 min",
        "25 h 1 min",
    ]


def test_every_number_of_the_scores_has_its_name_beside_it_on_a_phone(report):
    text = render(report())
    table = text[text.index('<table class="top stacked">') :].partition("</table>")[0]
    columns = re.findall("<th>(.*?)</th>", table)
    rows = table.split("<tr>")[2:]
    assert rows and all(re.findall('data-label="(.*?)"', row) == columns[1:] for row in rows)


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_has_nothing_to_complain_of(report, browse, tmp_path, width):
    page = tmp_path / "report.html"
    page.write_text(render(report()))
    complaints, picture = browse(page, width)
    assert complaints == []
    assert len(Image.open(picture).convert("RGB").getcolors(1 << 20)) > 50  # something was drawn


@pytest.mark.browser
def test_the_browser_would_have_told(browse, tmp_path):
    page = tmp_path / "broken.html"
    page.write_text("<title>x</title><script>nothing.here()</script>")
    assert len(browse(page)[0]) == 1
