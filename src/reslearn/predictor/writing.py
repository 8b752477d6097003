"""Answers to any number of pictures as one file: parts beside it, each whole or not there, that become it at the end.

A part is a fixed number of pictures, so whoever goes on after a kill, with as many processes as he likes, gets the bits
that one undisturbed process would have got.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from ..runtime.files import (
    atomic_path,
    exclusive_lock,
    file_sha256,
    is_leftover,
    read_json,
    write_atomic,
    write_json,
)
from ..runtime.notes import note
from ..runtime.process_group import World
from ..runtime.replacing import check_outside_runs, replaceable
from ..spec.choices import Engine
from ..spec.errors import UserError
from .given import Given
from .predictor import Predictor
from .table import Columns, Format, format_of

PART = 512  # pictures: a minute of a large network on two cores at the most
PLAN, LOCK = "plan.json", "lock"
POLL = 0.2  # seconds between two looks at what the other processes have done
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What of the answers is written, and of which pictures: of `shard` i/n every n-th from the i-th on."""

    top: int = 5
    logits: bool = False
    features: str | None = None
    shard: str | None = None
    workers: int = 0

    @property
    def columns(self) -> Columns:
        """Beside those that there always are."""
        return Columns(self.logits, self.features is not None)


@dataclass(frozen=True)
class Written:
    """A file of answers that is whole; of `kept` pictures an earlier, killed command had the answers."""

    path: Path
    pictures: int
    errors: int
    kept: int
    engine: str
    precision: str
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """For `predict -o --json`."""
        return {
            "path": str(self.path), "pictures": self.pictures, "errors": self.errors, "kept": self.kept,
            "engine": self.engine, "precision": self.precision, "seconds": self.seconds,
        }  # fmt: skip


def sharded(count: int, text: str | None) -> range:
    """The pictures of `--shard i/n`: every n-th of `count` from the i-th on, i from 1 to n."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text or "1/1")
    i, n = map(int, found.groups()) if found else (0, 0)
    if not 1 <= i <= n:
        raise UserError(f"--shard is '{text}'; it must be i/n with i from 1 to n, e.g. 2/4")
    return range(i - 1, count, n)


def check_output(path: Path, inputs: Sequence[str]) -> Format:
    """Before any work: raise `UserError` for a file that answers cannot be written to."""
    form = format_of(path)
    check_outside_runs(replaceable(path, form.kind, "-o", inputs=inputs), "-o")
    return form


def parts_folder(path: Path) -> Path:
    """Where the parts of a file lie until it is whole."""
    return path.with_name(f"{path.name}.parts")


def kept_engine(path: Path) -> Engine | None:
    """The engine of the answers that a killed command has left for `path`: what goes on should keep to it."""
    plan: Any = None
    with contextlib.suppress(UserError, OSError):
        plan = read_json(parts_folder(path) / PLAN)
    told = plan.get("engine") if isinstance(plan, dict) else None
    return next((one for one in get_args(Engine) if one == told), None)


def write_answers(
    predictor: Predictor,
    given: Given,
    path: Path,
    wanted: Wanted,
    *,
    world: World | None = None,
    progress: Progress | None = None,
) -> Written | None:
    """Answer `given` into the file `path`, or go on where a killed command stopped.

    Of several processes (`world`) each answers every n-th part, and the first makes the file of them; the others return
    None. `progress` is told of pictures done by this process and how many it has. Raises `UserError` where nothing is
    given, and where the parts beside `path` are of another model, of other pictures or with other options.
    """
    began, world = time.monotonic(), world or World()
    form = format_of(path)
    places = sharded(len(given), wanted.shard)
    if not len(places):
        raise UserError("no pictures to answer" + (f" in --shard {wanted.shard}" if wanted.shard else ""))
    predictor.check_layer(wanted.features)
    parts = _Parts(parts_folder(path), form, places, PART // predictor.step * predictor.step or predictor.step)
    plan = _plan(predictor, given, wanted, len(places), parts.size)
    with contextlib.ExitStack() as stack:
        merged: int | None = None
        if world.first:
            parts.folder.mkdir(exist_ok=True)
            busy = f"{path}: another process is writing it; wait for it or stop it"
            stack.enter_context(exclusive_lock(parts.folder / LOCK, busy))
            merged = parts.agree(plan)
        errors = world.tell(merged if path.exists() else None)
        kept = len(places) if errors is not None else sum(parts.count(k) for k in parts.there())
        if errors is None:
            _answer(predictor, given, parts, wanted, world, progress)
        if not world.first:
            return None
        if errors is None:
            errors = parts.merged(path, wanted.columns)
            write_json(parts.folder / PLAN, plan | {"merged": True, "errors": errors})
        parts.remove()
    seconds = time.monotonic() - began
    return Written(path, len(places), errors, kept, predictor.engine, predictor.precision, seconds)


def _plan(predictor: Predictor, given: Given, wanted: Wanted, count: int, size: int) -> dict[str, Any]:
    """All that the answers depend on."""
    bundle = predictor.model.bundle
    return {
        "model": predictor.model.identity(), "threshold": bundle.threshold, "pictures": count, "names": given.digest(),
        "shard": wanted.shard, "top": wanted.top, "logits": wanted.logits, "features": wanted.features,
        "engine": predictor.engine, "precision": predictor.precision, "batch": predictor.step, "part": size,
    }  # fmt: skip


def _answer(
    predictor: Predictor, given: Given, parts: _Parts, wanted: Wanted, world: World, progress: Progress | None
) -> None:
    """Every part that is this process's and is not there."""
    there = parts.there()
    mine = range(world.rank, len(parts), world.size)
    todo = [k for k in mine if k not in there]
    total = sum(map(parts.count, mine))
    done = total - sum(map(parts.count, todo))
    answers = predictor.scored(given, [parts.places(k) for k in todo], layer=wanted.features, workers=wanted.workers)
    with contextlib.closing(answers):
        for k in todo:
            rows, errors = [], 0
            for _ in range(parts.count(k)):
                one = next(answers)
                rows.append(wanted.columns.row(one, predictor.prediction(one, wanted.top)))
                errors += one.error is not None
                done += 1
                if progress is not None:
                    progress(done, total)
            content = parts.form.part(rows, wanted.columns)
            write_atomic(parts.file(k, errors, content), content)


class _Parts:
    """The numbered parts of a file in their folder; the name of each says how many errors it holds, and its digest."""

    def __init__(self, folder: Path, form: Format, places: range, size: int) -> None:
        self.folder, self.form, self.size, self._places = folder, form, size, places
        self._name = re.compile(rf"part-(\d{{6,12}})-(\d{{1,12}})-([0-9a-f]{{16}}){re.escape(form.suffix)}")

    def __len__(self) -> int:
        return -(-len(self._places) // self.size)

    def places(self, k: int) -> range:
        """The numbers of the pictures of part `k`."""
        return self._places[k * self.size : (k + 1) * self.size]

    def count(self, k: int) -> int:
        """How many these are."""
        return len(self.places(k))

    def file(self, k: int, errors: int, content: bytes) -> Path:
        """What part `k` is called."""
        return self.folder / f"part-{k:06d}-{errors}-{hashlib.sha256(content).hexdigest()[:16]}{self.form.suffix}"

    def there(self) -> dict[int, tuple[Path, int]]:
        """Parts that are whole, and the errors in each."""
        found = filter(None, map(self._name.fullmatch, os.listdir(self.folder)))
        return {int(one[1]): (self.folder / one[0], int(one[2])) for one in found if int(one[1]) < len(self)}

    def _is_whole(self, name: str) -> bool:
        """Whether a part has the digest in its name: nobody has altered it, and no failing disk."""
        found = self._name.fullmatch(name)
        return found is None or file_sha256(self.folder / name).startswith(found[3])

    def agree(self, plan: dict[str, Any]) -> int | None:
        """See that what is in the folder is of this plan; of parts that were merged and not removed, the errors.

        Raises `UserError` for anything else. Parts that were altered are removed.
        """
        names = [name for name in os.listdir(self.folder) if name != LOCK and not is_leftover(name)]
        if not names:
            write_json(self.folder / PLAN, plan)
            return None
        before = read_json(self.folder / PLAN) if PLAN in names else None
        if not isinstance(before, dict):
            raise UserError(f"{self.folder}: a folder that no prediction has left; remove it, or name another file")
        other = [key for key, value in plan.items() if before.get(key) != value]
        merged = before.get("errors") if before.get("merged") is True else None
        if other and merged is not None:
            self._empty()
            write_json(self.folder / PLAN, plan)
            return None
        if other:
            raise UserError(
                f"{self.folder}: parts of a prediction with other {', '.join(other)}; give that command again to end "
                "it, or remove this folder to begin anew"
            )
        for name in names:
            if not self._is_whole(name):
                (self.folder / name).unlink()
                note(f"{self.folder / name}: altered since it was written, so its pictures are answered again")
        return merged if type(merged) is int else None

    def merged(self, path: Path, columns: Columns) -> int:
        """Make the file, once all parts are there; the number of errors in it."""
        while len(there := self.there()) < len(self):  # another process that fails ends this one, too
            time.sleep(POLL)
        with atomic_path(path) as temporary:
            self.form.merge([there[k][0] for k in range(len(self))], temporary, columns)
        return sum(errors for _, errors in there.values())

    def remove(self) -> None:
        """The folder, after its parts have become a file."""
        self._empty()
        for name in (PLAN, LOCK):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody has put a file of his own there
            self.folder.rmdir()

    def _empty(self) -> None:
        for name in os.listdir(self.folder):
            if self._name.fullmatch(name) or is_leftover(name):
                (self.folder / name).unlink(missing_ok=True)
