"""The site's sources, without building it: cells, values, Korean twins, links, numbers, corrections, reference."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

import reslearn
from reslearn.jobs.draw.drawing import named_spec
from reslearn.paper.overview import details
from reslearn.spec.catalogue import get_spec
from reslearn.spec.recipes import get_recipe

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))

from sitebuild import api, commands, corrections, hangul, numbers, pages, values  # noqa: E402

ENGLISH = {p.path.removeprefix("en/"): p for p in map(pages.read, sorted((ROOT / "docs/en").rglob("*.md")))}
KOREAN = {p.path.removeprefix("ko/"): p for p in map(pages.read, sorted((ROOT / "docs/ko").rglob("*.md")))}
LESSONS = list(corrections.LESSONS.values())
HEADINGS = {"en": ("Exercises", "Three questions"), "ko": ("연습문제", "세 가지 질문")}


def test_there_are_pages_enough_in_both_languages():
    assert len(ENGLISH) >= 20 and len(KOREAN) >= 12
    assert set(LESSONS) <= set(ENGLISH) and set(LESSONS) <= set(KOREAN)
    assert len([name for name in ENGLISH if name.startswith("gallery/")]) >= 13  # a dozen recipes and their index


@pytest.mark.parametrize("name", sorted(KOREAN))
def test_a_korean_page_has_its_english_pages_cells_in_order(name):
    found = pages.translated(KOREAN[name], ENGLISH[name])
    assert found.cells == ENGLISH[name].cells


def test_no_korean_page_is_behind():
    """Read the English page's change, say it in Korean, then: PYTHONPATH=docs python -m sitebuild stamp PAGE."""
    assert pages.behind() == []


def test_a_page_that_is_behind_is_found(tmp_path, monkeypatch):
    for folder in ("en", "ko"):
        (tmp_path / "docs" / folder).mkdir(parents=True)
    (tmp_path / "docs/en/a.md").write_text("# A\n")
    (tmp_path / "docs/ko/a.md").write_text("# 가\n")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    monkeypatch.setattr(pages, "DOCS", tmp_path / "docs")
    assert "its first line" in pages.behind()[0]
    pages.stamp(tmp_path / "docs/ko/a.md")
    assert pages.behind() == [] and (tmp_path / "docs/ko/a.md").read_text().endswith(" -->\n# 가\n")
    (tmp_path / "docs/en/a.md").write_text("# A, changed\n")
    assert pages.behind() == ["docs/ko/a.md: docs/en/a.md has changed since"]
    pages.stamp(tmp_path / "docs/ko/a.md")
    assert pages.behind() == []


@pytest.mark.parametrize("page", [*ENGLISH.values(), *KOREAN.values()], ids=lambda page: page.path)
def test_no_result_is_typed_into_prose(page):
    assert numbers.typed_numbers(page) == []


def test_no_result_is_typed_into_the_corrections():
    for one in corrections.corrections():
        known = numbers.sums(numbers.prose_of(ENGLISH[corrections.LESSONS[one.lesson]]))
        assert [found for text in (*one.en, *one.ko) for found in numbers.typed(text, known)] == [], one.at


PLANTED = (
    *("The loss ends at 27.66.", "That is 598 times as much.", "It falls from 9 to 7.", "| ResNet-20 | 8 |"),
    *("It shrinks to 3e-12.", "It needs 12 MB.", "11689512 weights", "오류율은 9입니다.", "598배가 됩니다."),
)


@pytest.mark.parametrize("name", LESSONS)
def test_results_planted_behind_any_cell_are_found(name):
    for page in (ENGLISH[name], KOREAN[name]):
        prose = numbers.prose_of(page)
        for part in prose:
            found = numbers.typed("\n\n".join([part, *PLANTED]), numbers.sums(prose))
            assert len(found) == len(PLANTED) + 1, f"{page.path}: {found}"  # "from 9 to 7" are two


@pytest.mark.parametrize(
    ("prose", "typed"),
    [
        ("It ends at 27.66 % error.", True),
        ("It is 598 times as large.", True),
        ("It is 598-fold.", True),
        ("It is 598x larger.", True),
        ("It is 598 × as large.", True),
        ("11,689,512 weights", True),
        ("11 M parameters", True),
        ("12 million weights", True),
        ("11689512 weights", True),
        ("It falls from 9 to 7.", True),
        ("an accuracy of 91", True),
        ("| ResNet-20 | 9 |", True),
        ("It falls to 3e-12.", True),
        ("It falls to 10⁻¹².", True),
        ("It takes 12 ms.", True),
        ("It takes 2 hours.", True),
        ("It needs 3 GB.", True),
        ("85 of 100 pictures are right", True),
        ("one in 12 is wrong", True),
        ("figure 12 % better", True),
        ("정확도는 91.2 %입니다", True),
        ("3.5배 큽니다", True),
        ("손실이 5로 내려갑니다", True),
        ("3시간 걸립니다", True),
        ("It took 12 seconds.", True),
        ("It ends at {{ percent(error) }}, {{ ratio }} times as much.", False),
        ("ResNet-110 has 54 blocks of 3 × 3, section 4.2, arXiv 1512.03385, `lr=0.1`, [x](a-1.5.md)", False),
        ("ResNet-56과 plain-20, 4.2절, 28 × 28, 2015년", False),
        ("C = 32 groups of 4 channels, 6n + 2 layers, dy/dx = 1 + F′(x), strides 1, 2, 2, 2, top-5", False),
        ('"17 instead of 288" is said; 2 · 9 = 18', False),
        ("```console\n$ x\n12.3 %\n```\nafter", False),
    ],
)
def test_what_counts_as_a_typed_result(prose, typed):
    assert bool(numbers.typed(prose, numbers.sums([prose]))) is typed


def test_a_value_is_written_as_people_write_it():
    written = [values.as_text(one, "x") for one in (1234567, 24591.4, 597.57, 0.30741, 1e-12, 7.0, "7.1")]
    assert written == ["1,234,567", "24,591", "597.6", "0.3074", "1e-12", "7", "7.1"]
    with pytest.raises(TypeError, match="a number or a text"):
        values.as_text(None, "x")


@pytest.mark.parametrize("name", LESSONS)
@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_lesson_is_whole(name, language):
    """An experiment, drawings or charts, exercises with folded solutions, three questions, the box."""
    page = {"en": ENGLISH, "ko": KOREAN}[language][name]
    page = pages.translated(page, ENGLISH[name]) if language == "ko" else page
    text = page.text
    exercises, questions = (text.index(f"## {word}") for word in HEADINGS[language])
    assert len(re.findall(r"^\d\. ", text[exercises:questions], re.MULTILINE)) == 3
    assert len(re.findall(r"^\d\. ", text[questions:], re.MULTILINE)) == 3
    assert text.count("<details>") == text.count("</details>") == 6
    assert "<!-- box -->" in text and "<!-- slips -->" in text
    assert any("reslearn.draw(" in cell.code and "words" in cell.tags for cell in page.cells)
    assert len(page.cells) >= 8


def names_exist(command: str) -> bool:
    """Whether a command of the table names something that there is; each look-up raises where there is nothing."""
    looks = {"show": get_spec, "draw": named_spec, "recipes": get_recipe, "paper": details, "weights": str}
    words = shlex.split(command)
    names = [word for word in words[2:] if not word.startswith("-") and word != "show"]
    return words[0] == "reslearn" and bool(names) and all(looks[words[1]](name) is not None for name in names)


def test_every_correction_has_a_place_and_something_to_run():
    found = corrections.corrections()
    assert len({one.at for one in found}) == len(found) == len({one.key for one in found})
    notes = [one for one in found if one.at[:3] in ("000", "001", "002", "003", "004")]
    assert len(notes) >= 90
    for one in found:
        cells = [cell.name for cell in ENGLISH[corrections.LESSONS[one.lesson]].cells]
        kind, _, rest = one.run.partition(":")
        assert kind != "cell" or rest in cells, one
        assert kind == "cell" or one.run == "" or names_exist(one.run), one
    assert {one.lesson for one in found if one.box} == set(corrections.LESSONS)


def test_no_name_in_the_corrections_is_read_as_markup():
    """`__init__` outside of code would be printed as bold init."""
    for one in corrections.corrections():
        for text in (*one.en, *one.ko):
            assert "__" not in re.sub(r"`[^`]+`|\{\{.+?\}\}", "", text), one.at


def test_the_tables_of_corrections_are_made_where_they_belong():
    known = dict.fromkeys(corrections.values(), "7")
    box = corrections.placed("<!-- box -->\n\n<!-- slips -->", corrections.LESSONS[8], "ko", known)
    own = [one for one in corrections.corrections() if one.lesson == 8]
    assert all(f'id="{one.key}"' in box for one in own) and "{{" not in box
    everything = corrections.placed("<!-- corrections -->", corrections.PAGE, "en", known)
    assert all(f"#{one.key}" in everything for one in corrections.corrections())


def slug(heading: str) -> str:
    """A heading's anchor, as in Markdown elsewhere."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize(
    "path",
    [*(ROOT / name for name in ("README.md", "README.ko.md", "CONTRIBUTING.md") if (ROOT / name).exists()),
     *sorted((ROOT / "docs/en").rglob("*.md")), *sorted((ROOT / "docs/ko").rglob("*.md"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)  # fmt: skip
def test_links_between_sources_lead_somewhere(path):
    """As a reader of the repository follows them; the site's own links are checked when it is built."""
    text = re.sub(r"^(`{3,}).*?^\1$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{path.name}: {target}"
        if anchor and there.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in map(slug, headings), f"{path.name}: {target}"


def test_a_page_says_what_is_wrong_with_it():
    with pytest.raises(pages.PageError, match="once in a page"):
        pages.parse("```{code-cell} a\n1\n```\n```{code-cell} a\n2\n```\n", "en/x.md")
    with pytest.raises(pages.PageError, match="no tag is called loud"):
        pages.parse("```{code-cell} a loud\n1\n```\n", "en/x.md")
    with pytest.raises(pages.PageError, match=r"its cells are b; en/x\.md has a"):
        english = pages.parse("```{code-cell} a\n1\n```\n", "en/x.md")
        pages.translated(pages.parse("```{cell} b\n```\n", "ko/x.md"), english)
    with pytest.raises(pages.PageError, match="file in docs/paper-results"):
        pages.parse("```{stored} a\n$ reslearn x\nb = missing.json : c\n```\n", "en/x.md")


def test_a_stored_cell_holds_the_files_numbers():
    page = pages.parse("```{stored} kept\n$ reslearn paper run study-gradients\nrows = measured/study-gradients.json : "
                       "tier rows\n```\n", "en/x.md")  # fmt: skip
    scope: dict[str, dict] = {}
    exec(page.cells[0].code, scope)
    assert scope["kept"]["rows"]["tier"] == "smoke" and len(scope["kept"]["rows"]["rows"]) == 16
    assert "reslearn paper run study-gradients" in page.cells[0].code


def test_the_reference_has_every_public_name_once():
    text = "\n".join(api.pages().values())
    for name in reslearn.__all__:
        kinds = "function|class|exception|data"
        assert len(re.findall(rf"\{{py:(?:{kinds})\}} reslearn\.{name}(?![\w.])", text)) == 1, name


def test_the_reference_has_every_command():
    text = commands.page()
    for name in ("train", "evaluate", "data check", "paper run", "draw", "export", "verify"):
        assert f"## reslearn {name}\n" in text
    assert "`--protocol`" in text and "`--dry-run`" in text


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("잔차는 남은 것입니다", "잔차"),
        ("잔차를 배운다", "잔차는"),
        ("항등사상을 배운다", "항등 사상"),
        ("항등 사상(identity mapping)", "identity mapping"),
        ("지름길 연결이 있는 망", "지름길 연결"),
        ("ResNet의 기울기소실", "기울기 소실"),
        ("ResNeXt에서", "ResNeXt"),
    ],
)
def test_korean_is_found_whatever_particle_it_carries(text, query):
    assert set(hangul.split_query(query)) <= set(hangul.split(text))


def test_other_words_are_not_found():
    assert not set(hangul.split_query("사과")) <= set(hangul.split("잔차는 항등 사상과 다릅니다"))
    assert hangul.split("망 3개") == ["망", "3", "개"]


def test_a_figure_of_words_is_drawn_in_the_pages_language():
    for page in ENGLISH.values():
        for cell in page.cells:
            assert bool(re.search(r"(?<!-)\blang\b", cell.code)) == ("words" in cell.tags), f"{page.path}: {cell.name}"
