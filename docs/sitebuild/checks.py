"""What is looked at after Sphinx: links, and addresses of other hosts."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass
class _Html(HTMLParser):
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "shortcut icon", "preload"):
            self.loads.append(values["href"])
        elif "src" in values:
            self.loads.append(values["src"])


def parsed(path: Path) -> _Html:
    """The ids, links and loaded files of one page."""
    found = _Html()
    found.feed(path.read_text(encoding="utf-8"))
    return found


def dead_links(root: Path) -> list[str]:
    """Links and loaded files of all pages below `root` that lead nowhere, and whatever is loaded from another host."""
    pages = {path: parsed(path) for path in sorted(root.rglob("*.html")) if "_static" not in path.parts}
    dead = []
    for path, page in pages.items():
        name = path.relative_to(root)
        for target in page.loads:
            if urlsplit(target).netloc or target.startswith("//"):
                dead.append(f"{name}: loads {target} from another host")
        for target in [*page.links, *page.loads]:
            split = urlsplit(target)
            if split.scheme or split.netloc:
                continue
            file = (path.parent / unquote(split.path)).resolve() if split.path else path.resolve()
            if not file.is_file():
                dead.append(f"{name}: {target}: no such file")
            elif split.fragment and file.suffix == ".html":
                there = pages.get(file) or pages.get(root / file.relative_to(root.resolve()))
                if there is not None and unquote(split.fragment) not in there.ids:
                    dead.append(f"{name}: {target}: no such place in that page")
    return dead
