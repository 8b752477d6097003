"""Prose, cells and outputs put together: once for the site, once for a reader's own Jupyter."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import nbformat

from .pages import VALUE, Cell, Page
from .running import FIRST, Executed, Outputs

HIDE = {"fold": "hide-input", "quiet": "remove-input"}
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
SAID = {
    "en": ("Download this page as a notebook", "its cells took {} s when this page was made", "한국어로 읽기"),
    "ko": ("이 페이지를 노트북으로 내려받기", "이 페이지의 셀은 만들 때 {}초 걸렸습니다", "Read it in English"),
}
SETUP = {
    "en": "Runs in Jupyter where reslearn is installed, as this page was run; no data are downloaded.",
    "ko": "reslearn이 설치된 환경의 Jupyter에서 그대로 실행됩니다. 내려받는 데이터는 없습니다.",
}


def for_site(page: Page, done: Executed, prose: Callable[[str], str], *, twin: bool) -> str:
    """The notebook that Sphinx reads: with outputs, code folded where a cell says so, and a line of links on top."""
    language, cells = page.language, []
    outputs = done.ko if language == "ko" else done.en
    for part, behind in placed(page):
        if isinstance(part, Cell):
            tags = [HIDE[tag] for tag in part.tags if tag in HIDE]
            cells.append(nbformat.v4.new_markdown_cell(f'<span id="cell-{part.name}"></span>'))
            shown = [inlined(one) for one in outputs[part.name]]
            cells.append(_code(part.code, shown, tags=tags))
        elif part.strip():
            cells.append(nbformat.v4.new_markdown_cell(prose(filled(part, done.values[behind])).strip("\n")))
    first = next(cell for cell in cells if cell.cell_type == "markdown" and cell.source.lstrip().startswith("# "))
    title, _, rest = first.source.lstrip().partition("\n")
    first.source = f"{title}\n\n{_links(page, done, twin=twin)}\n{rest}"
    return _written(cells)


def for_reader(page: Page, done: Executed, prose: Callable[[str], str]) -> str:
    """The notebook to download: plain Markdown, every cell with what it put out."""
    language = page.language
    outputs = done.ko if language == "ko" else done.en
    cells = [nbformat.v4.new_markdown_cell(f"*{SETUP[language]}*"), _code(FIRST.format(language), [])]
    for part, behind in placed(page):
        if isinstance(part, Cell):
            cells.append(_code(part.code, outputs[part.name]))
        elif part.strip():
            text = plain(prose(filled(part, done.values[behind])))
            cells.append(nbformat.v4.new_markdown_cell(text.strip("\n")))
    return _written(cells)


def placed(page: Page) -> Iterator[tuple[str | Cell, int]]:
    """A page's parts, each with the number of cells before it."""
    behind = 0
    for part in page.parts:
        yield part, behind
        behind += isinstance(part, Cell)


def filled(text: str, values: Mapping[str, str]) -> str:
    """Prose with its values in place."""
    return VALUE.sub(lambda match: values[match[1].strip()], text)


def inlined(output: dict[str, Any]) -> dict[str, Any]:
    """A drawing as a part of the page: its style stands once in the site's style sheet."""
    svg = output.get("data", {}).get("image/svg+xml")
    if svg is None:
        return output
    text = "".join(svg) if isinstance(svg, list) else svg
    box = f'<div class="drawing">{STYLE.sub("", text)}</div>'
    return {**output, "data": {"text/html": box}}


def plain(text: str) -> str:
    """Markdown for Jupyter, which knows no directives: a box becomes its title in bold between two rules."""
    text = re.sub(r"^:::+\{[\w-]+\}\s*(.*)$", lambda match: f"---\n\n**{match[1]}**" if match[1] else "---", text,
                  flags=re.MULTILINE)  # fmt: skip
    text = re.sub(r"^:class: .*\n", "", text, flags=re.MULTILINE)
    return re.sub(r"^:::+\s*$", "\n---\n", text, flags=re.MULTILINE)


def diagram_style(svg: str) -> str:
    """The style that all drawings share, following the page's own light or dark setting."""
    match = STYLE.search(svg)
    style = match[1] if match else ""
    return re.sub(
        r"@media\(prefers-color-scheme:dark\)\{(\.[\w-]+)\{(.*?)\}\}",
        r"body[data-theme=dark] \1{\2}"
        r"@media(prefers-color-scheme:dark){body:not([data-theme=light]) \1{\2}}",
        style,
        flags=re.DOTALL,
    )


def _links(page: Page, done: Executed, *, twin: bool) -> str:
    """The line under a page's title; raw HTML, for these are files that Sphinx knows nothing of."""
    depth = page.path.count("/")
    up = "../" * (depth - 1)
    name = page.path.removeprefix(f"{page.language}/").removesuffix(".md")
    words = SAID[page.language]
    seconds = f"{sum(done.seconds.values()):.0f}"
    links = [f'<a href="{up}notebooks/{name}.ipynb" download>{words[0]}</a>', html.escape(words[1].format(seconds))]
    if twin:
        other = "en" if page.language == "ko" else "ko"
        links.append(f'<a href="{up}../{other}/{name}.html" lang="{other}">{words[2]}</a>')
    return f'<p class="page-links">{" · ".join(links)}</p>\n'


def _code(code: str, outputs: Outputs, *, tags: list[str] | None = None) -> Any:
    cell = nbformat.v4.new_code_cell(code, metadata={"tags": tags} if tags else {})
    cell.outputs = [nbformat.from_dict(one) for one in outputs]
    return cell


def _written(cells: list[Any]) -> str:
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    language = {"name": "python", "pygments_lexer": "ipython3"}  # it knows the `!` of a shell command
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": language})
    return str(nbformat.writes(notebook))
