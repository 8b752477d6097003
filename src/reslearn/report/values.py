"""What a report is made from: plain numbers, arrays, texts and encoded pictures. No network, no data set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..spec.errors import UserError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Curves:
    """How a run went. x is in epochs; errors are percent; NaN marks what was not measured.

    The `step_*` arrays share one length (one entry per optimiser step), the others a second one (one per validation).
    `kept` is the epoch whose weights the model has, where these need not be the last ones.
    """

    step_epoch: Floats
    step_loss: Floats
    step_lr: Floats
    epoch: Floats
    train_error: Floats
    val_error: Floats
    train_loss: Floats
    val_loss: Floats
    kept: float | None = None

    def __post_init__(self) -> None:
        for group in (("step_epoch", "step_loss", "step_lr"), ("epoch", *_PER_EPOCH)):
            lengths = {name: len(getattr(self, name)) for name in group}
            if len(set(lengths.values())) > 1:
                raise UserError(f"curves: arrays of one group must have one length, got {lengths}")


_PER_EPOCH = ("train_error", "val_error", "train_loss", "val_loss")


@dataclass(frozen=True, kw_only=True)
class RateCurve:
    """A learning-rate range test: the loss (nats) at each rate, and the rate that it suggests."""

    rate: tuple[float, ...]
    loss: tuple[float, ...]
    suggested: float

    def __post_init__(self) -> None:
        if len(self.rate) != len(self.loss):
            raise UserError(f"a rate curve: {len(self.rate)} rates, {len(self.loss)} losses; give one each")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One card of a gallery."""

    data: bytes  # an encoded PNG or JPEG
    width: int
    height: int
    truth: str
    predicted: str
    probability: float  # of `predicted`
    truth_probability: float
    name: str  # the picture's identity
    heat: bytes = b""  # the picture again, with heat where it speaks for `predicted`; as `data`


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One line of the per-class table; fractions in 0..1, NaN where undefined (no pictures, never predicted)."""

    name: str
    support: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, kw_only=True)
class Confused:
    """How often one class was taken for another, and the share of the true class that this is."""

    truth: str
    answer: str
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Bins:
    """A reliability diagram: per bin of confidence its mean confidence, accuracy and pictures; NaN where empty."""

    confidence: Floats
    accuracy: Floats
    count: Counts


@dataclass(frozen=True, kw_only=True)
class Score:
    """One evaluated split in the table of scores. `interval` is a 95 % interval of `top1`, fractions in 0..1."""

    split: str
    images: int
    top1: float
    interval: tuple[float, float]
    loss: float
    top5: float | None = None
    ece: float | None = None
    calibrated: tuple[float, float, float] | None = None  # temperature, and loss and ECE at it; all else is at 1
    remark: str = ""  # protocol, precision, "selected on this split", ...


@dataclass(frozen=True, kw_only=True)
class Details:
    """What one evaluated split looks like from inside. `confusion` is (C, C): rows are truth, columns prediction."""

    split: str
    confusion: Counts
    classes: tuple[str, ...]
    per_class: tuple[ClassRow, ...]
    macro_f1: float
    weighted_f1: float
    confused: tuple[Confused, ...]  # commonest first
    bins: Bins
    ece: float
    plain_ece: float | None = None  # at temperature 1, as rows of scores have it
    temperature: float = 1.0  # of the probabilities that bins, ece and pictures show
    mistakes: tuple[Picture, ...] = ()  # most confident first
    hardest: tuple[Picture, ...] = ()  # highest loss first

    def __post_init__(self) -> None:
        count = len(self.classes)
        if self.confusion.shape != (count, count) or len(self.per_class) != count:
            raise UserError(
                f"details of {self.split}: {count} classes need a {count} x {count} confusion matrix and {count} "
                f"rows, got {self.confusion.shape} and {len(self.per_class)}"
            )


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One number at the top of a page, with a line that says what it is."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A titled list of name and value, printed as it is."""

    title: str
    rows: tuple[tuple[str, str], ...]
    note: str = ""
    folded: tuple[tuple[str, str], ...] = ()  # what only who asks for it sees: fields at their defaults


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A table with named columns, printed as it is: folds of a cross-validation, two runs side by side."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise UserError(f"{self.title}: {len(self.columns)} columns, but a row of {len(row)}")


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Pictures under a title."""

    title: str
    pictures: tuple[Picture, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class SearchAxis:
    """One setting of a sweep: its name, and where on it, in 0..1, which value stands."""

    name: str
    marks: tuple[tuple[float, str], ...]


@dataclass(frozen=True, kw_only=True)
class Search:
    """The trials of a sweep. A row of `places` is a trial's place on each axis, and last on that of the error."""

    axes: tuple[SearchAxis, ...]
    error: SearchAxis  # percent on validation
    places: tuple[tuple[float | None, ...], ...]  # in 0..1; None where a trial has none
    best: int  # its row
    importance: tuple[tuple[str, float], ...] = ()  # of each setting, in 0..1, the largest first; empty: not known

    def __post_init__(self) -> None:
        if any(len(row) != len(self.axes) + 1 for row in self.places):
            raise UserError(f"a sweep of {len(self.axes)} settings: each trial needs a place on each, and its error's")


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything a page shows of a run, an evaluation, a cross-validation, a sweep or a comparison; empty parts are
    left out."""

    name: str
    summary: str  # one line: network, data, when
    notes: tuple[str, ...] = ()  # what a reader must know before believing a number
    verdict: tuple[str, ...] = ()  # the result in plain words, a paragraph each
    facts: tuple[Fact, ...] = ()
    scores: tuple[Score, ...] = ()
    grids: tuple[Grid, ...] = ()
    curves: Curves | None = None
    rates: RateCurve | None = None
    search: Search | None = None
    rivals: tuple[tuple[str, Curves], ...] = ()  # runs whose validation errors are drawn in one figure
    details: tuple[Details, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    command: str = ""
    tables: tuple[Table, ...] = ()
