"""Does a page look as it should? Opens it at two widths, light and dark, and lists what a program can see is wrong.

python tests/report/looks.py FOLDER PAGE...      writes a PNG a view into FOLDER, for whoever looks at them
"""

from __future__ import annotations

import io
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

WIDTHS, SCHEMES = (1280, 390), ("light", "dark")
CONTRAST = 4.5  # WCAG 2.2, 1.4.3, for text of any size
SCRIPT = (Path(__file__).parent / "looks.js").read_text(encoding="utf-8")
WITHOUT_TEXT = "* { -webkit-text-fill-color: transparent !important } svg text { visibility: hidden !important }"
HIDE = "css => { const one = new CSSStyleSheet(); one.replaceSync(css); document.adoptedStyleSheets.push(one) }"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TALL = 16000  # pixels; Chromium paints no window higher


def look(browser, page, *, shots=None, name="page", prepare=None):
    """What is wrong with `page` (a path or an address): a list of lines, each with its width and scheme before it."""
    home = page.resolve().as_uri() if isinstance(page, Path) else page
    found = []
    for width in WIDTHS:
        for scheme in SCHEMES:
            view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            try:
                said, asked = [], []
                view.on("console", lambda one, said=said: said.append(one.text))
                view.on("pageerror", lambda one, said=said: said.append(str(one)))
                view.on("request", lambda one, asked=asked: asked.append(one.url))
                view.goto(home)
                if prepare is not None:
                    prepare(view)
                lines = [f"console: {one}" for one in said]
                lines += [f"asks for {one}" for one in asked if not one.startswith((home, "data:", "blob:"))]
                shot = None if shots is None else Path(shots) / f"{name}-{width}-{scheme}.png"
                found += [f"{width} {scheme}: {line}" for line in [*lines, *_inspect(view, width, shot)]]
            finally:
                view.close()
    return found


def _inspect(view, width: int, shot: Path | None) -> Iterator[str]:
    if shot is not None:
        view.screenshot(path=shot, full_page=True)
    view.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    height = view.evaluate("document.documentElement.scrollHeight")
    view.set_viewport_size({"width": width, "height": min(max(height, 900), TALL)})
    seen = view.evaluate(SCRIPT)
    yield from seen["found"]
    view.evaluate(HIDE, WITHOUT_TEXT)
    ground = np.asarray(Image.open(io.BytesIO(view.screenshot())).convert("RGB"))
    yield from sorted({line for text in seen["texts"] if (line := _faint(text, ground))})


def _faint(text: dict, ground: np.ndarray) -> str:
    """What is said of a text that stands out too little from what is below it; else nothing."""
    top, bottom, left, right = (max(round(text[edge]), 0) for edge in ("top", "bottom", "left", "right"))
    below = ground[top : max(bottom, top + 1), left : max(right, left + 1)]
    if not below.size:
        return ""
    paper = np.median(below.reshape(-1, 3), axis=0)
    *colour, alpha = _rgba(text["colour"])
    alpha *= text["opacity"]
    ink = alpha * np.array(colour) + (1 - alpha) * paper
    ratio = contrast(ink, paper)
    return "" if ratio >= CONTRAST else f"contrast {ratio:.1f}: {text['name']}"


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """The contrast of two colours (3 values of 0 to 255), from 1 to 21, as WCAG 2.2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: np.ndarray) -> float:
    part = np.asarray(colour, dtype=float) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _rgba(text: str) -> tuple[float, ...]:
    numbers = [float(one) for one in re.findall(r"[\d.]+", text)]
    if text.startswith("color(srgb"):
        return (*(255 * one for one in numbers[:3]), *(numbers[3:] or [1.0]))
    return (*numbers[:3], *(numbers[3:] or [1.0]))


def main(folder: str, *pages: str) -> int:
    from playwright.sync_api import sync_playwright

    Path(folder).mkdir(parents=True, exist_ok=True)
    path = next(filter(None, map(shutil.which, BROWSERS)))
    wrong = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for page in pages:
            name, _, where = page.rpartition("=")
            found = look(browser, Path(where), shots=folder, name=name or Path(where).stem)
            print(f"{page}: {len(found)} lines", *found, sep="\n  ")
            wrong += len(found)
        browser.close()
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
