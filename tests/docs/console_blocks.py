"""Console and Python blocks of Markdown pages: found, compared, and, as a program, run in full and written back.

    python tests/docs/console_blocks.py README.md docs

runs every `console slow` block in a scratch folder and puts its standard output under each command.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One `$ ` line (with its `> ` continuations) and the output shown under it."""

    text: str
    output: str
    line: int  # in the page, from 1

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, whether it is slow, its text, and its place in the page."""

    language: str
    slow: bool
    body: str
    line: int
    span: tuple[int, int]

    @property
    def commands(self) -> list[Command]:
        found: list[Command] = []
        text: str | None = None
        shown: list[str] = []
        start = 0
        for number, line in enumerate(self.body.splitlines(), self.line + 1):
            if text is not None and text.endswith("\\") and line.startswith("> "):
                text = text[:-1] + line[2:]
            elif line.startswith("$ "):
                if text is not None:
                    found.append(Command(text, "\n".join(shown), start))
                text, shown, start = line[2:], [], number
            elif text is None:
                raise ValueError(f"line {number}: a console block begins with a `$ ` line, not {line!r}")
            else:
                shown.append(line)
        return [*found, Command(text, "\n".join(shown), start)] if text is not None else found


def blocks(page: str) -> list[Block]:
    """Every fenced block with a language."""
    found = []
    for match in FENCE.finditer(page):
        language, *words = match["info"].split() or [""]
        line = page.count("\n", 0, match.start()) + 1
        found.append(Block(language, "slow" in words, match["body"], line, match.span("body")))
    return found


def pages(paths: list[str]) -> list[Path]:
    """Markdown files as given, and those inside folders."""
    found = []
    for path in map(Path, paths):
        found += sorted(path.rglob("*.md")) if path.is_dir() else [path]
    return found


def tidy(text: str) -> list[str]:
    """Lines without trailing blanks, and without blank lines at either end."""
    return [line.rstrip() for line in "\n".join(line.rstrip() for line in text.splitlines()).strip("\n").splitlines()]


def same_output(shown: str, real: str) -> bool:
    """Whether `real` is what a page shows; a line `...` stands for any lines, `...` within a line for anything."""
    pattern = ""
    for line in tidy(shown):
        pattern += r"(?:.*\n)*" if line == "..." else ".*".join(map(re.escape, line.split("..."))) + r"\n"
    return re.fullmatch(pattern, "".join(line + "\n" for line in tidy(real))) is not None


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one line as a reader would, in `folder`, with this Python's `reslearn` on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = os.environ | {"PATH": path, "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True)


def refresh(page: Path, root: Path) -> None:
    """Run a page's slow blocks in full, in a scratch folder that sees the data lying in `root`; write the outputs."""
    text = page.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as scratch:
        slow = [block for block in blocks(text) if block.language == "console" and block.slow]
        bodies = [_run(block, Path(scratch), root) for block in slow]
    for block, body in reversed(list(zip(slow, bodies, strict=True))):  # last first: earlier places stay valid
        text = text[: block.span[0]] + body + text[block.span[1] :]
    page.write_text(text, encoding="utf-8")


def _run(block: Block, scratch: Path, root: Path) -> str:
    """The block's new body: each command and what it printed on standard output."""
    body = ""
    for command in block.commands:
        for word in command.words:
            top = Path(word).parts[0] if word and not os.path.isabs(word) else ""
            if top not in ("", ".", "..", "runs") and (root / top).exists() and not (scratch / top).exists():
                (scratch / top).symlink_to((root / top).resolve())
        print(f"$ {command.text}", flush=True)
        done = shell(command.text, scratch)
        if done.returncode != 0:
            sys.exit(f"exit status {done.returncode}: {done.stderr}")
        print(done.stdout, flush=True)
        body += "".join(line + "\n" for line in [f"$ {command.text}", *tidy(done.stdout)])
    return body


if __name__ == "__main__":
    for path in pages(sys.argv[1:]):
        print(f"== {path}")
        refresh(path, Path.cwd())
