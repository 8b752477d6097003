"""What Sphinx reads: the sources of one language copied, links made to fit, generated pages added."""

from __future__ import annotations

import html
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from . import api, commands, corrections
from .notebooks import for_reader, for_site
from .pages import DOCS, FOLLOWS, ROOT, Page, PageError, read
from .running import Executed

LINK = re.compile(r"(?P<mark>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
FENCED = re.compile(r"(^(?P<ticks>`{3,}|~{3,}).*?^(?P=ticks)[ \t]*$)", re.MULTILINE | re.DOTALL)
PROJECT = {  # pages of the project that are a part of the English site, and where they stand there
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "benchmarks/RESULTS.md": "project/benchmarks.md",
}
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#|/")


def site_pages(language: str) -> dict[str, Page]:
    """Every source page of a language, by its path below docs/LANGUAGE."""
    folder = DOCS / language
    return {path.relative_to(folder).as_posix(): read(path) for path in sorted(folder.rglob("*.md"))}


class Tree:
    """The folder that Sphinx reads for one language."""

    def __init__(self, language: str, out: Path, done: dict[str, Executed], pages: dict[str, Page], others: set[str]):
        self.language, self.out, self.done, self.pages, self.others = language, out, done, pages, others

    def write(self) -> None:
        """Write it all afresh, and the notebooks for readers beside it (`notebooks/`)."""
        shutil.rmtree(self.out, ignore_errors=True)
        for name, page in self.pages.items():
            if page.executed:
                source = f"{self.language}/{name}"
                prose = self._prose(f"docs/{source}", name)
                found = self.done[f"en/{name}"]
                self._put(_renamed(name), for_site(page, found, prose, twin=name in self.others))
                boxed = self._prose(f"docs/{source}", name, links=False)
                self._put(f"notebooks/{_renamed(name)}", for_reader(page, found, boxed))
            else:
                self._put(name, self.relink(FOLLOWS.sub("", page.text), f"docs/{self.language}/{name}", name))
        if self.language == "en":
            for source, name in PROJECT.items():
                self._put(name, self.relink((ROOT / source).read_text(encoding="utf-8"), source, name))
            for name, text in {**api.pages(), "api/commands.md": commands.page()}.items():
                self._put(name, text)
        folder = DOCS / self.language
        for path in folder.rglob("*"):
            if path.suffix in (".png", ".svg", ".jpg"):
                target = self.out / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)

    def _prose(self, source: str, name: str, *, links: bool = True) -> Callable[[str], str]:
        def change(text: str) -> str:
            known = self.done[f"en/{corrections.PAGE}"].values[-1]
            text = corrections.placed(text, name, self.language, known)
            return self.relink(text, source, name) if links else text

        return change

    def _put(self, name: str, text: str) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def relink(self, text: str, source: str, name: str) -> str:
        """Links between files of the project as links within the site; `name` is the page's own place there."""
        parts = FENCED.split(text)
        kept = []
        for number, part in enumerate(parts):
            if number % 3 == 0:
                kept.append(LINK.sub(lambda match: self._link(match, source, name), part))
            elif number % 3 == 1:
                kept.append(part)  # a fenced block; the third of each group is its ticks alone
        return "".join(kept)

    def _link(self, match: re.Match[str], source: str, name: str) -> str:
        target = match["target"]
        if ELSEWHERE.match(target):
            return match[0]
        path, hash_, anchor = target.partition("#")
        repo = os.path.normpath(PurePosixPath(source).parent / path)
        where = self._place(repo)
        if where is None:
            other = next((one for one in ("en", "ko") if repo.startswith(f"docs/{one}/")), None)
            if other is not None and (ROOT / repo).is_file():
                inner = "../" * (name.count("/") + 1) + repo.removeprefix("docs/").removesuffix(".md")
                return f'<a href="{inner}.html{hash_}{anchor}">{html.escape(match["text"])}</a>'
            where = self._copied(repo, f"{source}: [{match['text']}]({target})")
        inner = os.path.relpath(where, PurePosixPath(name).parent)
        return f"{match['mark']}[{match['text']}]({inner}{hash_}{anchor})"

    def _place(self, repo: str) -> str | None:
        """Where a file of the project stands in this tree, if it is a page or a picture of it."""
        prefix = f"docs/{self.language}/"
        if repo == ("README.md" if self.language == "en" else "README.ko.md"):
            return "index.md"
        if repo in PROJECT and self.language == "en":
            return PROJECT[repo]
        if repo.startswith(prefix) and (ROOT / repo).is_file():
            name = repo.removeprefix(prefix)
            return _renamed(name) if name in self.pages and self.pages[name].executed else name
        return None

    def _copied(self, repo: str, where: str) -> str:
        """Any other file of the project: a copy of it that can be read beside the pages."""
        path = ROOT / repo
        if not path.is_file():
            raise PageError(f"{where}: there is no {repo}")
        target = self.out / "_files" / repo
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        return f"_files/{repo}"


def _renamed(name: str) -> str:
    """What an executed page is called where Sphinx reads it."""
    return name.removesuffix(".md") + ".ipynb"
