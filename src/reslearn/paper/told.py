"""What `paper list`, `show`, `run` and `report` tell: the types of their JSON, which the command line prints from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NotRequired, TypedDict


class Listed(TypedDict):
    """One name of `paper list`."""

    name: str
    kind: str
    title: str
    rows: int
    runnable: int  # rows whose network is here
    data: list[str]


class PublishedRow(TypedDict):
    """A row as printed; `outside` says why it is not run here, `context` why it, or a column of it, is never judged."""

    label: str
    cells: list[str]
    net: str | None
    changes: Mapping[str, object]
    outside: str | None
    note: str
    context: str


class Published(TypedDict):
    """A table as printed."""

    title: str
    columns: list[str]
    rows: list[PublishedRow]
    note: str
    statistics: list[str]
    protocols: list[str]


class EntryLine(TypedDict):
    """One row of an experiment."""

    label: str
    net: str | None
    changes: Mapping[str, object]
    recipe: str | None
    data: str
    protocols: list[str]
    runs: int
    outside: str | None
    smoke: bool


class RecipeLine(TypedDict):
    """The fields of a recipe that people are shown; its JSON has all."""

    name: str
    source: str
    departures: list[str]


class CheckLine(TypedDict):
    """A published figure beside the computed one."""

    table: str
    row: str
    column: str
    printed: str
    computed: float
    verdict: str
    reason: str
    counted: str


class OutsideLine(TypedDict):
    """A published figure that nothing here can be counted for."""

    table: str
    row: str
    column: str
    printed: str
    why: str | None


class CoveredLine(TypedDict):
    """One printed table, figure or text, and what of it is here."""

    paper: str
    what: str
    title: str
    state: str
    name: str
    why: str


class Static(TypedDict, total=False):
    """The check of every published size and cost."""

    checks: list[CheckLine]
    verdicts: dict[str, int]
    outside: list[OutsideLine]


class Shown(Static, total=False):
    """`paper show NAME`: a published table, an experiment, both, the static check, or the coverage."""

    name: str
    kind: str
    paper: str
    published: Published
    title: str
    question: str
    entries: list[EntryLine]
    recipes: list[RecipeLine]
    command: str | None
    coverage: list[CoveredLine]


class CellScores(TypedDict, total=False):
    """What a cell came to."""

    test_error: float | None
    train_error: float | None
    seen: Mapping[str, object]
    diverged: int | None
    seconds: float
    images_per_second: float


class CellLine(CellScores, total=False):
    """One training of `paper run`; `why` and `command` where it is not run here, scores where it is done."""

    row: str
    seed: int
    net: str | None
    changes: Mapping[str, object]
    recipe: str
    tier: str
    needs: str
    image_size: int
    steps: int | None
    batch_size: int
    macs: int
    state: str
    why: str | None
    command: str
    folder: str


class LeftOut(TypedDict):
    """A row that is not run, and why."""

    row: str
    why: str


class Measured(TypedDict):
    """What was measured on untrained nets, one row each; its JSON has more."""

    rows: list[dict[str, object]]


class Outcome(TypedDict):
    """`paper run`, also with `--dry-run`."""

    experiment: str
    tier: str
    data: str | None
    store: str
    cells: list[CellLine]
    left_out: list[LeftOut]
    note: NotRequired[str]  # where there are no cells, why
    measured: NotRequired[Measured | None]  # of an experiment that trains nothing; None until it is measured


class Written(TypedDict):
    """The files of `paper report`, and how many verdicts there are of each kind."""

    html: str
    markdown: str
    figures: list[str]
    verdicts: dict[str, int]


class Renewed(TypedDict):
    """The page of `paper report --page`, and its figures."""

    page: str
    figures: list[str]
