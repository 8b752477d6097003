"""A file that is replaced while it is served: looked for every two seconds, opened beside the old one, swapped in."""

from __future__ import annotations

import threading

from .models import Slot, Stamp, stamp_of
from .service import Service

EVERY = 2.0  # seconds between two looks; a file that is the same at two of them has settled


class Watching:
    """A thread that looks after the files of a service's models until the service closes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._seen: dict[str, Stamp | None] = {}
        self._bad: dict[str, Stamp | None] = {}
        self._end = threading.Event()
        service.on_close(self._end.set)
        threading.Thread(target=self._run, name="reslearn watching", daemon=True).start()

    def _run(self) -> None:
        while not self._end.wait(EVERY):
            for slot in self._service.slots.values():
                self.look(slot)

    def look(self, slot: Slot) -> None:
        """Swap in what has come to lie where the model's file was, if it has settled and verifies."""
        now, name = stamp_of(slot.path), slot.name
        before, self._seen[name] = self._seen.get(name), now
        if now is None or now in (slot.current.stamp, self._bad.get(name)) or now != before:
            return
        log, outcomes = self._service.log, self._service.metrics.swaps
        try:
            fresh = slot.open()
        except Exception as error:  # whatever is wrong with the file, the old one goes on
            self._bad[name] = now
            outcomes.labels(name, "refused").inc()
            log.say(f"{name}: the replaced file is not served, the old one is ({' '.join(str(error).split())})")
            return
        old = slot.current.sha256
        slot.swap(fresh)
        outcomes.labels(name, "swapped").inc()
        log.say(f"{name}: replaced, {old[:12]} by {fresh.sha256[:12]}")
