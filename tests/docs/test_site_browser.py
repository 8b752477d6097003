"""The built site in a Chromium: six pages of each language at two widths, light and dark, and the search of both.

make docs && pytest -m slow tests/docs/test_site_browser.py      SITE_SHOTS=DIR keeps what was seen
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGES = {
    "en": ("index", "learn/01-block", "learn/03-vanishing", "learn/08-resnext", "gallery/few-pictures", "api/networks"),
    "ko": ("index", "learn/01-block", "learn/03-vanishing", "learn/08-resnext", "learn/10-ladder", "glossary"),
}
pytestmark = [pytest.mark.slow, pytest.mark.browser]


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def address():
    if not (SITE / "en" / "index.html").exists():
        pytest.skip("needs the site: make docs")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"needs a Chromium: one of {', '.join(BROWSERS)} on the PATH")
    with playwright.sync_playwright() as found:
        started = found.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser, url, *, width=1280, dark=False):
    """A page, with what its console complained of and which addresses it asked for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url, wait_until="networkidle")
    return page, said, asked


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("language", "name"), [(language, name) for language in PAGES for name in PAGES[language]])
def test_a_page_opens_without_complaint_and_asks_nobody_else(browser, address, language, name, width):
    for dark in (False, True):
        page, said, asked = opened(browser, f"{address}/{language}/{name}.html", width=width, dark=dark)
        try:
            if folder := os.environ.get("SITE_SHOTS"):
                shot = Path(folder) / f"{language}-{name.replace('/', '-')}-{width}{'-dark' if dark else ''}.png"
                page.screenshot(path=shot, full_page=True)
            assert said == []
            assert {urlsplit(one).netloc for one in asked if not one.startswith("data:")} == {urlsplit(address).netloc}
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate("document.documentElement.lang") == language
        finally:
            page.close()


@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("ko", "잔차"),
        ("ko", "항등 사상"),
        ("ko", "identity mapping"),
        ("en", "identity mapping"),
        ("en", "잔차"),
        ("en", "항등 사상"),
    ],
)
def test_search_finds_the_first_lesson(browser, address, language, query):
    page, said, asked = opened(browser, f"{address}/{language}/search.html?q={quote(query)}")
    try:
        page.wait_for_function("document.querySelector('.search-summary')?.innerText.match(/[0-9]|one page/)")
        page.wait_for_timeout(500)
        found = page.eval_on_selector_all("ul.search li a", "all => all.map(a => a.getAttribute('href'))")
        assert any("learn/01-block.html" in href for href in found), found
        assert said == [] and {urlsplit(one).netloc for one in asked} == {urlsplit(address).netloc}
    finally:
        page.close()


def test_the_theme_button_turns_drawings_dark_too(browser, address):
    page, *_ = opened(browser, f"{address}/en/learn/01-block.html")
    try:
        paper = "getComputedStyle(document.querySelector('.reslearn-diagram rect.paper')).fill"
        light = page.evaluate(paper)
        page.evaluate("document.body.dataset.theme = 'dark'")
        assert page.evaluate(paper) != light
    finally:
        page.close()
