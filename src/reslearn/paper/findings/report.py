"""`paper report`: HTML and Markdown from a results store alone; what is not in the store says `not run`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from ...report.ink import PIXELS, STYLE, to_page_svg
from ...report.pages import TEMPLATES as SHARED
from ...report.words import templates
from ...runtime.files import write_atomic
from ...runtime.replacing import PAGE, replaceable, write_page
from ...spec.errors import UserError
from ..cells.store import Store
from ..coverage import coverage
from ..experiments import experiments, get_experiment
from ..findings import verdicts
from ..overview import static_values
from ..published.claims import PAPERS
from ..told import Renewed, Written
from .markdown import MARKS, refresh, render_coverage, render_section, render_static
from .sections import Section, make_section

TEMPLATES = Path(__file__).parent
FIGURES = "papers"  # the folder of figures beside a Markdown page
RULE = (verdicts.__doc__ or "").split("\n\n", 1)[1].split("\n\n")
VERDICTS = ("agrees", "differs", "partial", "not judged", "not run")


def sections_of(stores: Sequence[str | Path], only: Sequence[str] | None = None) -> list[Section]:
    """Every section of a report. Raises `UserError` for unknown names and damaged results."""
    store = Store(*stores)
    results = list(store.results())
    chosen = [get_experiment(name) for name in only] if only else list(experiments().values())
    return [make_section(experiment, results, store) for experiment in chosen]


def write_report(stores: Sequence[str | Path], out: str | Path, *, only: Sequence[str] | None = None) -> Written:
    """Write report.html (self-contained), report.md and figures/*.png, *.svg into the folder `out`."""
    missing = [str(store) for store in stores if not Path(store).is_dir()]
    needs = [name for name in only or experiments() if get_experiment(name).entries or get_experiment(name).measured]
    if needs and missing and len(missing) == len(stores):
        raise UserError(
            f"{missing[0]}: no results store; make one with: reslearn paper run p1-fig6 --store {missing[0]}"
        )
    folder = Path(out)
    check_folder(folder)
    sections = sections_of(stores, only)
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    drawn = {section.name: section.draw() for section in sections if section.draw}
    for name, figure in drawn.items():
        save_figure(figure, folder / "figures" / name)
    counts = count_verdicts(sections)
    write_page(folder / "report.html", _html(sections, drawn, counts))
    write_atomic(folder / "report.md", _markdown(sections, counts))
    return {
        "html": str(folder / "report.html"),
        "markdown": str(folder / "report.md"),
        "figures": [str(folder / "figures" / f"{name}.png") for name in drawn],
        "verdicts": counts,
    }


def check_folder(folder: Path) -> None:
    """Raise `UserError` unless a report may be written there: nothing is there, or an earlier report."""
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / "report.html").exists():
            raise UserError(f"--out {folder}: not empty, and no report of the papers; name a new folder")
        replaceable(folder / "report.html", PAGE, "--out")


def renew_page(stores: Sequence[str | Path], page: str | Path) -> Renewed:
    """Make the marked blocks of a Markdown page anew from the stores, their figures into the folder beside it."""
    path = Path(page)
    if not path.is_file():
        raise UserError(f"{path}: no such page; it must hold blocks like {MARKS}")
    sections = sections_of(stores)
    folder = path.parent / FIGURES
    text = refresh(path, sections, FIGURES)
    drawn = {s.name: s for s in sections if s.draw and f"<!-- paper {s.name} -->" in text}
    folder.mkdir(exist_ok=True)
    for name, section in drawn.items():
        if section.draw is not None:
            save_figure(section.draw(), folder / name)
    write_atomic(path, text)
    return {"page": str(path), "figures": [str(folder / f"{name}.png") for name in drawn]}


def count_verdicts(sections: Sequence[Section]) -> dict[str, int]:
    """How many published errors have each verdict."""
    found = Counter(line.verdict for section in sections for line in section.lines)
    return {verdict: found[verdict] for verdict in VERDICTS}


def save_figure(figure: Figure, stem: Path) -> None:
    """STEM.png (200 dpi, white ground) and STEM.svg, the same bytes for the same values."""
    figure.patch.set(alpha=1, facecolor="white")
    with matplotlib.rc_context(STYLE):
        figure.savefig(stem.with_suffix(".png"), dpi=2 * PIXELS, metadata={"Software": None})
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})


def _html(sections: Sequence[Section], drawn: dict[str, Figure], counts: dict[str, int]) -> str:
    for figure in drawn.values():
        figure.patch.set_alpha(0)
    return (
        templates(TEMPLATES)
        .get_template("papers.html.jinja")
        .render(
            css=(SHARED / "style.css").read_text(encoding="utf-8"),
            papers=PAPERS,
            counts=counts,
            rule=RULE,
            static=static_values(),
            coverage=coverage(),
            kinds=[(title, [s for s in sections if s.kind == kind]) for kind, title in KINDS.items()],
            figures={name: to_page_svg(figure, name) for name, figure in drawn.items()},
        )
    )


KINDS = {"table": "Tables", "figure": "Figures", "study": "Studies"}


def _markdown(sections: Sequence[Section], counts: dict[str, int]) -> str:
    parts = ["# The papers, checked", ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + "."]
    parts += [*RULE, "## What each paper prints", render_coverage(), "## Sizes and costs", render_static()]
    for kind, title in KINDS.items():
        chosen = [section for section in sections if section.kind == kind]
        if chosen:
            parts.append(f"## {title}")
        parts += [f"### {s.name}: {s.title}\n\n{render_section(s, 'figures')}" for s in chosen if s.has_results]
        idle = [f"- {s.name}: {s.title}. {s.idle}" for s in chosen if not s.has_results]
        parts += ["\n".join(idle)] if idle else []
    return "\n\n".join(parts) + "\n"
