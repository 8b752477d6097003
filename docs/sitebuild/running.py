"""Pages executed, each in a kernel and a folder of its own, its figures drawn in both languages by the one run."""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from .pages import DOCS, ROOT, Page, PageError

Outputs = list[dict[str, Any]]
FIRST = "lang = {!r}  # the language of the words in figures: 'en' or 'ko'"
PROCESSOR = (
    "import resource as __r\n"
    "print(sum(sum(__r.getrusage(__one)[:2]) for __one in (__r.RUSAGE_SELF, __r.RUSAGE_CHILDREN)))"
)
QUIET = ["--IPKernelApp.log_level=ERROR"]  # it warns that its talk on this machine is not encrypted
TIMEOUT = 240  # seconds a cell may take, and a kernel to start on a busy machine
HELPERS = (Path(__file__).parent / "values.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Executed:
    """What a page's cells put out, in English and Korean, by name; the values of its prose as text, by expression, for
    the prose before the first cell, behind it, and so on; each cell's seconds; and the processor's seconds of the whole
    kernel, which do not grow when the machine has other work."""

    en: dict[str, Outputs]
    ko: dict[str, Outputs]
    values: list[dict[str, str]]
    seconds: dict[str, float]
    processor: float = 0.0


def execute_all(jobs: list[tuple[Page, list[list[str]]]], *, at_once: int, say: Any = print) -> dict[str, Executed]:
    """Every page with the expressions that it and its Korean twin hold; `at_once` kernels at a time.

    A page whose cells, and all code below them, have not changed is read from docs/_build/runs. Raises `PageError` for
    a cell that fails.
    """
    code = code_digest()
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        waiting = {page.path: pool.submit(_kept, page, values, code, say) for page, values in jobs}
    if failed := [str(error) for one in waiting.values() if (error := one.exception())]:
        raise PageError("\n\n".join(failed))
    return {path: one.result() for path, one in waiting.items()}


def not_executed(page: Page, values: list[list[str]]) -> Executed:
    """A page as a draft: its cells without outputs, dots for its values."""
    none: dict[str, Outputs] = {cell.name: [] for cell in page.cells}
    return Executed(none, none, [dict.fromkeys(one, "...") for one in values], {})


def _kept(page: Page, values: list[list[str]], code: str, say: Any) -> Executed:
    said = json.dumps([code, [[c.name, c.code, c.tags] for c in page.cells], values], ensure_ascii=False)
    path = DOCS / "_build" / "runs" / f"{hashlib.sha256(said.encode()).hexdigest()[:24]}.json"
    if path.exists():
        return Executed(**json.loads(path.read_text(encoding="utf-8")))
    found = execute(page, values)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(vars(found), ensure_ascii=False), encoding="utf-8")
    part.replace(path)
    took = f"{sum(found.seconds.values()):.1f} s, {found.processor:.1f} s of processor"
    say(f"{page.path}: {len(page.cells)} cells, {took}")
    return found


def code_digest() -> str:
    """What the outputs depend on beside the page: the package and this builder."""
    files = sorted([*(ROOT / "src").rglob("*.py"), Path(__file__), Path(__file__).with_name("values.py")])
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()


def execute(page: Page, values: list[list[str]]) -> Executed:
    """Run a page's cells in order, and behind each the expressions of the prose that follows it."""
    notebook = nbformat.v4.new_notebook()
    with tempfile.TemporaryDirectory() as folder:
        place = {"metadata": {"path": folder}}
        client = NotebookClient(
            notebook, timeout=TIMEOUT, startup_timeout=TIMEOUT, resources=place, extra_arguments=QUIET
        )
        with client.setup_kernel(env=_environment()):
            run = _Runner(client, notebook, page.path)
            run(f"{FIRST.format('en')}\n__site = {{}}\nexec({HELPERS!r}, __site)", "language")
            en, ko, seconds, known = {}, {}, {}, [_evaluated(run, values[0])]
            for cell in page.cells:
                start = time.perf_counter()
                en[cell.name] = ko[cell.name] = run(cell.code, cell.name)
                if "words" in cell.tags:
                    run("lang = 'ko'", "language")
                    ko[cell.name] = run(cell.code, cell.name)
                    run("lang = 'en'", "language")
                seconds[cell.name] = round(time.perf_counter() - start, 3)
                known.append(_evaluated(run, values[len(known)]))
            return Executed(en, ko, known, seconds, float(run(PROCESSOR, "its time")[0]["text"]))


def _environment() -> dict[str, str]:
    own = {
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "84",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": "",
    }
    return {**os.environ, **own}


class _Runner:
    def __init__(self, client: NotebookClient, notebook: Any, path: str):
        self.client, self.notebook, self.path = client, notebook, path

    def __call__(self, code: str, name: str) -> Outputs:
        cell = nbformat.v4.new_code_cell(code)
        self.notebook.cells.append(cell)
        try:
            self.client.execute_cell(cell, len(self.notebook.cells) - 1)
        except CellExecutionError as error:
            raise PageError(f"{self.path}: cell {name} failed\n{code}\n{error}") from None
        return [_plain(dict(json.loads(json.dumps(one)))) for one in cell.outputs]


def _plain(output: dict[str, Any]) -> dict[str, Any]:
    """Printed text with this system's ends of lines; a command's own come through a terminal."""
    return {**output, "text": output["text"].replace("\r\n", "\n")} if "text" in output else output


def _evaluated(run: _Runner, values: list[str]) -> dict[str, str]:
    """Each expression as the text that stands in its place, over what the cells have computed so far."""
    if not values:
        return {}
    code = (
        f"print(__import__('json').dumps({{__one: __site['as_text'](eval(__one, {{**globals(), **__site}}), __one) "
        f"for __one in {values!r}}}))"
    )
    text = "".join(one["text"] for one in run(code, "values of the prose") if one.get("name") == "stdout")
    return dict(json.loads(text.strip().splitlines()[-1]))
