"""Before a score is believed: which of its pictures has the model seen?

before scoring    the pictures' file keys are looked up; files are read for them, nothing is decoded
after reading     their pixel keys too, which the reading for the scores has made
then              the rule decides, and only then is anything written
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..data.dataset import Dataset
from ..data.parts.keyed import Keyed
from ..data.parts.known import Mask, Recogniser, count
from ..runtime.process_group import joined
from ..spec.seen import Seen
from .sharding import shard

Write = Callable[[], None]


class Writes:
    """What a command writes of its scores (kept scores, ledgers): held back until all its pictures are looked up."""

    def __init__(self, lookouts: int = 1) -> None:
        """`lookouts` is how many sets of pictures must be `settled`."""
        self._open = lookouts
        self._waiting: list[Write] = []

    def __call__(self, write: Write) -> None:
        """Write when the time has come."""
        if self._open:
            self._waiting.append(write)
        else:
            write()

    def settled(self) -> None:
        """One more set of pictures is looked up and may be scored; after the last one all is written."""
        self._open -= 1
        if not self._open:
            for write in self._waiting:
                write()
            self._waiting.clear()


class Lookout:
    """Pictures that are scored by one or more models, and what these have seen of them.

    `pictures` are to be scored, in this order, in place of those given: they note their keys when they are read. `rule`
    is asked whenever more is known, and raises what stops the command. In a process group all processes call alike.
    """

    def __init__(
        self,
        pictures: Dataset,
        recognisers: Sequence[Recogniser],
        *,
        rule: Callable[[Lookout], None] = lambda lookout: None,
        writes: Writes | None = None,
    ) -> None:
        self.pictures = Keyed(pictures)
        self.recognisers = tuple(recognisers)
        self.writes = writes or Writes()
        self._rule, self._begun, self._whole = rule, False, False

    def before(self) -> None:
        """Look the file keys up. Raises `UserError` for a file that cannot be read, and what the rule raises."""
        if self._begun:
            return
        self._begun = True
        self.pictures.recall()
        world = joined()
        self.pictures.ask_files(shard(len(self.pictures), world.rank, world.size))
        self._share()
        self._rule(self)

    def after(self) -> None:
        """Look the pixel keys up too, of what was read by now and of what kept scores have spared the reading."""
        if self._whole:
            return
        self._share()
        world = joined()
        self.pictures.complete(shard(len(self.pictures), world.rank, world.size))
        self._share()
        self._whole = True
        if world.first:
            self.pictures.remember()
        self._rule(self)
        self.writes.settled()

    def seen(self, *recognisers: Recogniser) -> Seen:
        """What the models have seen of these pictures; of all models where none is named."""
        return count(recognisers or self.recognisers, self.pictures, self.pictures.rows)[0]

    def trained(self) -> Mask:
        """(N,) the pictures that any of the models was trained on, as far as keys are known by now."""
        return count(self.recognisers, self.pictures, self.pictures.rows)[1]

    def _share(self) -> None:
        world = joined()
        if world.size > 1:
            self.pictures.rows[:] = np.asarray(world.largest(self.pictures.rows))
