"""The site's commands.

python -m sitebuild build          both languages, every cell executed
python -m sitebuild draft          the same without executing anything: seconds, to look at prose and links
python -m sitebuild live           build, serve on this machine, build again when a source changes
python -m sitebuild behind         Korean pages whose English page has changed since
python -m sitebuild stamp PAGE...  say that Korean pages follow their English ones again
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

from . import corrections
from .checks import dead_links
from .notebooks import diagram_style
from .pages import DOCS, Page, PageError, behind, stamp, translated
from .running import Executed, execute_all, not_executed
from .sources import Tree, site_pages

BUILD = DOCS / "_build"
HTML = BUILD / "html"
ENTRY = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>reslearn</title>
<meta http-equiv="refresh" content="0; url=en/index.html">
<meta name="viewport" content="width=device-width"><link rel="icon" href="en/_static/favicon.svg"></head>
<body><p><a href="en/index.html">English</a> · <a href="ko/index.html" lang="ko">한국어</a></p></body></html>
"""


def build(*, draft: bool = False) -> None:
    """Both languages, every cell executed unless it is a draft.

    Raises `PageError` for what is wrong in the sources, cells that fail, a warning of Sphinx's, and dead links.
    """
    start = time.monotonic()
    english, korean = site_pages("en"), site_pages("ko")
    for name, page in korean.items():
        if name not in english:
            raise PageError(f"{page.path}: a Korean page follows an English one, and there is no docs/en/{name}")
    korean = {name: translated(page, english[name]) for name, page in korean.items()}
    done = executed(english, korean, draft=draft)
    executing = time.monotonic() - start
    (BUILD / "static").mkdir(parents=True, exist_ok=True)
    (BUILD / "static" / "diagram.css").write_text(_diagram_style(), encoding="utf-8")
    shutil.rmtree(HTML, ignore_errors=True)
    for language, pages, others in (("en", english, set(korean)), ("ko", korean, set(english))):
        tree = Tree(language, BUILD / "source" / language, done, pages, others)
        tree.write()
        _sphinx(language, tree.out, others & set(pages))
        shutil.copytree(tree.out / "notebooks", HTML / language / "notebooks", dirs_exist_ok=True)
    (HTML / "index.html").write_text(ENTRY, encoding="utf-8")
    if dead := dead_links(HTML):
        raise PageError("\n".join(["dead links:", *dead]))
    counts = ", ".join(f"{len(list((HTML / one).rglob('*.html')))} {one}" for one in ("en", "ko"))
    cells = sum(one.processor for one in done.values())
    print(f"site      {HTML.relative_to(DOCS.parent)}/index.html ({counts} pages)")
    print(f"cells     {cells:.0f} s of processor in {executing:.0f} s; all in {time.monotonic() - start:.0f} s")
    for line in behind():
        print(f"behind    {line}")


def executed(english: dict[str, Page], korean: dict[str, Page], *, draft: bool = False) -> dict[str, Executed]:
    """The runs of all English pages that have cells, by path; each evaluates its Korean twin's values, too."""
    jobs = []
    for name, page in english.items():
        if page.executed:
            values = page.values
            for more in [korean[name].values] if name in korean else []:
                values = [one + other for one, other in zip(values, more, strict=True)]
            values[-1] += corrections.values() if name == corrections.PAGE else []
            jobs.append((page, [list(dict.fromkeys(one)) for one in values]))
    if draft:
        return {page.path: not_executed(page, values) for page, values in jobs}
    return execute_all(jobs, at_once=max(min(os.cpu_count() or 1, int(os.environ.get("SITE_JOBS", "2"))), 1))


def _diagram_style() -> str:
    from reslearn.jobs.draw.drawing import draw
    from reslearn.report.diagram import to_svg

    return diagram_style(to_svg(draw(["resnet18"])))


def _sphinx(language: str, source: Path, twins: set[str]) -> None:
    names = ";".join(sorted(name.removesuffix(".md") for name in twins))
    environment = {**os.environ, "SITE_LANGUAGE": language, "SITE_TWINS": names, "PYTHONPATH": str(DOCS)}
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-j", "2", "-b", "html",
               "-c", str(Path(__file__).parent), "-d", str(BUILD / "doctrees" / language),
               str(source), str(HTML / language)]  # fmt: skip
    if subprocess.run(command, env=environment).returncode != 0:
        raise PageError(f"docs/{language}: Sphinx warned; its lines stand above")


def live(port: int = 8000) -> None:
    """Build, serve on this machine, and build again when a source changes."""
    build()
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(HTML))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{port}/  (Ctrl-C ends)")
    seen = _changes()
    while True:
        time.sleep(1)
        if (now := _changes()) != seen:
            seen = now
            try:
                build()
            except PageError as error:
                print(error, file=sys.stderr)


def _changes() -> float:
    files = [path for folder in ("en", "ko", "sitebuild") for path in (DOCS / folder).rglob("*") if path.is_file()]
    return max(path.stat().st_mtime for path in files if "__pycache__" not in path.parts)


def main(words: list[str]) -> int:
    """The command line; the exit status."""
    try:
        match words:
            case ["build"] | ["draft"]:
                build(draft=words == ["draft"])
            case ["live"]:
                live()
            case ["behind"]:
                print("\n".join(behind()) or "no Korean page is behind")
                return 1 if behind() else 0
            case ["stamp", *paths] if paths:
                for path in paths:
                    stamp(Path(path).resolve())
            case _:
                print(f"{__doc__}found: {' '.join(words) or 'nothing'}", file=sys.stderr)
                return 2
    except PageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
