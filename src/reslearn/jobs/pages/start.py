"""What a run's page says of the weights that it began from: their source, and what a linear probe makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ...report.pages import percent
from ...report.values import Fact, Table
from ...train.records.run import RunRecord
from ..probe import read_probe, verdict

KEPT = {"weights": "from", "licence": "licence", "recipe": "trained as told at"}  # of the record's `source`


def start_tables(folder: Path, record: RunRecord) -> Iterable[Table]:
    """Source, licence and digest of the weights, and the probe's verdict in full; nothing of a start from nothing."""
    if record.weights is None:
        return
    source = record.source or {}
    rows = [("named", record.weights)]
    rows += [(words, str(source[name])) for name, words in KEPT.items() if name in source]
    rows += [("sha256", record.weights_sha256)] if record.weights_sha256 else []
    probe = read_probe(folder)
    rows += [] if probe is None else [("linear probe", verdict(probe))]
    yield Table(title="Weights at the start", rows=tuple(rows))


def probe_facts(folder: Path, record: RunRecord) -> Iterable[Fact]:
    """What the linear probe reached on the validation pictures, and how the run compares."""
    probe = None if record.weights is None else read_probe(folder)
    if probe is None:
        return
    gain = 100 * probe["gain"]
    how = f"lost to it by {-gain:.2f} points" if gain < 0 else f"gained {gain:.2f} points over it"
    note = f"on the weights' features, the same pictures; fine-tuning {how}"
    yield Fact(label="linear probe", value=percent(probe["top1"]), note=note)
