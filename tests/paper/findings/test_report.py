"""The report from a made-up store: verdicts, `not run` after a deletion, figures with units, no drawing twice."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from reslearn.paper.cells.store import Store
from reslearn.paper.experiments import experiments, get_experiment
from reslearn.paper.findings.groups import groups_of
from reslearn.paper.findings.markdown import refresh, render_published
from reslearn.paper.findings.report import sections_of, write_report
from reslearn.spec.errors import UserError


class Links(HTMLParser):
    """Everything a page would load."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found += [v for k, v in attrs if k in ("src", "href") and v and not v.startswith(("#", "data:"))]


def test_it_is_written_from_the_store_alone(full_store, tmp_path):
    drawn = ["p1-fig6", "study-bn", "study-operations"]
    found = write_report([full_store], tmp_path / "out", only=[*drawn, "p1-table6", "p1-table2"])
    html, markdown = ((tmp_path / "out" / f"report.{kind}").read_text() for kind in ("html", "md"))
    links = Links()
    links.feed(html)
    assert links.found == [] and html.count("<svg") == len(found["figures"])
    assert [Path(path).stem for path in found["figures"]] == drawn
    for name in re.findall(r"\]\((figures/[^)]*)\)", markdown):
        assert (tmp_path / "out" / name).stat().st_size > 5000
    assert found["verdicts"]["agrees"] + found["verdicts"]["differs"] > 0
    assert "/tmp" not in markdown and str(tmp_path) not in html


def test_a_deleted_result_is_not_run(add_result, tmp_path):
    folder = add_result("p1-table6", "ResNet-20", 8.75)
    add_result("p1-table6", "ResNet-32", 7.51)
    lines = {x.row: x for x in sections_of([tmp_path / "store"], ["p1-table6"])[0].lines}
    assert (lines["ResNet-20"].verdict, lines["ResNet-20"].ours) == ("agrees", "8.75")
    (folder / "result.json").unlink()
    lines = {x.row: x for x in sections_of([tmp_path / "store"], ["p1-table6"])[0].lines}
    assert (lines["ResNet-20"].verdict, lines["ResNet-20"].ours) == ("not run", "")
    assert lines["ResNet-20"].why == "needs CIFAR-10 at --data" and lines["ResNet-32"].verdict == "agrees"
    assert lines["Maxout"].why.startswith("outside: ")


def test_a_damaged_or_newer_result_is_one_line(add_result, tmp_path):
    path = add_result("p1-table6", "ResNet-20", 8.75) / "result.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps(value | {"format": 2}))
    with pytest.raises(UserError, match="newer than this reslearn"):
        sections_of([tmp_path / "store"])
    measured = tmp_path / "store" / "measured" / "study-gradients.json"
    measured.parent.mkdir()
    for damaged, texts in ((path, ("{", "[]", "3", "{}", '{"format": "x"}')), (measured, ("{", "[]", '{"rows": 3}'))):
        for text in texts:
            damaged.write_text(text)
            with pytest.raises(UserError, match=rf"{damaged.name}.*remove it, and `reslearn paper run` makes it anew"):
                sections_of([tmp_path / "store"], ["p1-table6", "study-gradients"])
        damaged.unlink()
    with pytest.raises(UserError, match="no results store; make one with"):
        write_report([tmp_path / "nothing"], tmp_path / "out")


@pytest.mark.parametrize("name", [e.name for e in experiments().values() if e.figure])
def test_every_figure_has_labelled_axes_and_lines_told_apart_without_colour(section, name):
    figure = section(name).draw()
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    for axes in figure.axes:
        if not axes.get_visible():
            continue
        shared = axes.get_shared_y_axes().get_siblings(axes)
        assert axes.get_xlabel() or any(a.get_xlabel() for a in figure.axes if a.bbox.bounds == axes.bbox.bounds)
        assert any(a.get_ylabel() for a in shared) or axes.get_yticklabels() or axes.get_title(), name
        drawn = [line for line in axes.lines if len(line.get_xdata()) > 1 and line.get_color() != "#777777"]
        looks = [(line.get_color(), line.get_marker(), str(line.get_linestyle())) for line in drawn]
        by_colour = {}
        for colour, marker, _ in looks:
            if marker != "None":
                by_colour.setdefault(marker, set()).add(colour)
        assert all(len(colours) == 1 for colours in by_colour.values()), f"{name}: one marker, two colours: {looks}"


def shown_texts(figure):
    """Every text that can be seen: tick labels beyond an axis's limits exist, but are not drawn."""
    hidden = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            hidden |= {id(t.label1) for t in ticks if not low <= t.get_loc() <= high} | {id(t.label2) for t in ticks}
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and id(text) not in hidden:
            yield text.get_text(), text.get_window_extent()


@pytest.mark.parametrize("name", ["p1-fig6", "p1-fig7", "p3-fig7", "study-operations", "study-bn", "study-gate"])
def test_no_text_of_a_figure_overlaps_another(section, name):
    figure = section(name).draw()
    figure.draw_without_rendering()
    boxes = list(shown_texts(figure))
    assert len(boxes) > 10
    for i, (text, box) in enumerate(boxes):
        for other, second in boxes[i + 1 :]:
            width = min(box.x1, second.x1) - max(box.x0, second.x0)
            height = min(box.y1, second.y1) - max(box.y0, second.y0)
            assert width <= 2 or height <= 2, f"'{text}' lies on '{other}'"


def test_conclusions_follow_the_numbers(add_result, tmp_path):
    def told(name):
        section = sections_of([tmp_path / "store"], [name])[0]
        return " ".join(section.conclusion)

    assert told("study-degradation") == "Not run."
    add_result("study-degradation", "plain-56", 12.0, train=11.0)
    add_result("study-degradation", "plain-20", 9.0, train=6.0)
    assert "plain-56 is worse than plain-20 on training error. Found: 11.00 % against 6.00 %, as claimed" in told(
        "study-degradation"
    )
    add_result("study-degradation", "plain-56", 8.0, train=3.0)
    assert "3.00 % against 6.00 %, contrary to the claim" in told("study-degradation")
    assert "Gates lower the error of all 5 nets" in told("study-operations")


def test_a_study_of_one_row_compares_nothing(add_result, tmp_path):
    add_result("study-shortcuts", "none (plain)", 9.0)
    assert not sections_of([tmp_path / "store"], ["study-shortcuts"])[0].has_results
    add_result("study-shortcuts", "A: zero padding", 8.0)
    assert sections_of([tmp_path / "store"], ["study-shortcuts"])[0].draw is not None


def test_a_tables_trainings_are_those_behind_its_numbers(add_result, tmp_path):
    for row in ("ResNet-20", "ResNet-56"):
        add_result("p1-table6", row, 20.0, tier="short", fraction=0.05)
    for seed in (0, 1):
        add_result("p1-table6", "ResNet-20", 13.0, tier="short", fraction=0.2, seed=seed)
    table, figure = (sections_of([tmp_path / "store"], [name])[0] for name in ("p1-table6", "p1-fig6"))
    assert {line.row: line.tier for line in table.lines if line.ours} == {
        "ResNet-20": "short (1/5)", "ResNet-56": "short (1/20)"}  # fmt: skip
    assert [text.split(":")[0] for text in table.trainings] == ["ResNet-20", "ResNet-56"]
    assert [["2 runs" in text for text in section.trainings] for section in (table, figure)] == [
        [True, False], [False, False]]  # fmt: skip


def test_a_figure_of_some_rows_names_the_others(add_result, tmp_path):
    for row in ("none (plain)", "A: zero padding"):
        add_result("study-shortcuts", row, 9.0)
    section = sections_of([tmp_path / "store"], ["study-shortcuts"])[0]
    assert section.missing == ("Not among these: B: projections where shapes change, C: projections everywhere")
    for row in ("B: projections where shapes change", "C: projections everywhere"):
        add_result("study-shortcuts", row, 9.0)
    assert sections_of([tmp_path / "store"], ["study-shortcuts"])[0].missing == ""


def test_a_figure_names_every_row_that_it_does_not_draw(add_result, tmp_path, probes):
    for row in ("plain-20", "ResNet-20", "ResNet-56"):
        add_result("p1-fig7", row, 9.0, probes=probes if row == "ResNet-20" else None)
    found = sections_of([tmp_path / "store"], ["p1-fig7", "study-degradation"])
    assert found[0].missing == (
        "Not among these: plain-20, plain-56, ResNet-56, ResNet-110. Of plain-20, ResNet-56 the store lacks the "
        "deviation of every layer's output"
    )
    assert [text.split(":")[0] for text in found[0].trainings] == ["ResNet-20"]
    assert found[1].missing == (
        "Not among these: plain-56. Of plain-20, ResNet-56 the store lacks gradient norms by layer; their final errors "
        "alone are drawn"
    )


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("p1-fig6", ("plain-20", "ResNet-20", "ResNet-56")),
        ("p1-fig6", ("ResNet-110",)),
        ("p2-fig6", ("110, original", "164, original", "164, pre-activation")),
        ("p4-fig4", ("ResNet-50", "SE-ResNet-50", "SE-ResNet-152")),
    ],
)
def test_a_figure_draws_a_row_that_has_no_other_beside_it(add_result, tmp_path, name, rows):
    for row in rows:
        add_result(name, row, 9.0)
    figure = sections_of([tmp_path / "store"], [name])[0].draw()
    assert set(rows) <= {text.get_text() for text in figure.findobj(Text)}


def test_the_curve_shown_is_the_median_run(add_result, tmp_path):
    for seed, error in enumerate((9.0, 8.0, 8.5)):
        add_result("p1-fig1", "plain-20", error, seed=seed)
    (group,) = groups_of(get_experiment("p1-fig1"), list(Store(tmp_path / "store").results()))
    assert group.curves()["plain-20"].test_error == 8.5


def test_a_pages_marked_blocks_are_made_anew(add_result, tmp_path):
    add_result("p1-table6", "ResNet-20", 8.75)
    page = tmp_path / "page.md"
    page.write_text("# Mine\n\n<!-- paper p1-table6 -->\nold\n<!-- /paper -->\n\nkept\n")
    sections = sections_of([tmp_path / "store"])
    text = refresh(page, sections, "figures")
    assert "old" not in text and "| ResNet-20 | error | 8.75 | 8.75 |" in text and text.endswith("kept\n")
    page.write_text(text)
    assert refresh(page, sections, "figures") == text  # made twice, made the same
    page.write_text("<!-- paper p9 -->\n<!-- /paper -->")
    with pytest.raises(UserError, match="names no experiment"):
        refresh(page, sections, "figures")


def test_a_published_table_is_printed_as_the_paper_prints_it():
    assert "| ResNet-110 | 110 | 1.7M | best 6.43 (6.61±0.16) | `resnet110_cifar` |" in render_published("p1-table6")


def test_a_training_that_went_on_elsewhere_says_so(add_result, tmp_path):
    path = add_result("p1-fig6", "plain-56", 20.0) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"notes": ["of more than one arithmetic: a, b"]}))
    (told,) = sections_of([tmp_path / "store"], ["p1-fig6"])[0].trainings
    assert told.endswith("; of more than one arithmetic: a, b")


def test_no_figure_of_a_page_is_drawn_in_black(full_store, tmp_path):
    """Which nobody sees by night: every black comes from `INK`, and a page turns it into its own."""
    write_report([full_store], tmp_path / "out", only=["study-constructed", "p1-fig6", "study-operations"])
    html = (tmp_path / "out" / "report.html").read_text()
    assert "as built" in html and not re.search(r"(fill|stroke): #(000000|1c1f23)", html)


def test_a_training_that_lies_in_the_stores_twice_counts_once(add_result, tmp_path):
    folder = add_result("p1-table6", "ResNet-20", 8.75)
    add_result("p1-table6", "ResNet-20", 8.45, seed=1)
    store, other = tmp_path / "store", tmp_path / "other"
    shutil.copytree(store, other)
    shutil.copytree(folder, folder.with_name("seed0-copy"))
    lines = {x.row: x for x in sections_of([store, other, store], ["p1-table6"])[0].lines}
    alone = {x.row: x for x in sections_of([store], ["p1-table6"])[0].lines}
    assert lines["ResNet-20"] == alone["ResNet-20"] and (lines["ResNet-20"].runs, lines["ResNet-20"].ours) == (
        "2",
        "8.60",
    )
