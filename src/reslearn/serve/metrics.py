"""What `/metrics` tells: requests by status, latency, pictures, batches and the queue, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
PICTURES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The counters of one app, in a registry of its own, so that several apps in a process do not meet."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self.requests = Counter("reslearn_requests", "Requests by route and status", ["route", "status"], registry=own)
        self.seconds = Histogram(
            "reslearn_request_seconds", "From a request's head to its answer", ["route"], buckets=SECONDS, registry=own
        )
        self.pictures = Counter("reslearn_pictures", "Pictures by outcome", ["model", "outcome"], registry=own)
        self.batch_size = Histogram(
            "reslearn_batch_size", "Pictures scored at once", ["model"], buckets=PICTURES, registry=own
        )
        self.batch_seconds = Histogram(
            "reslearn_batch_seconds", "Seconds of scoring a batch", ["model"], buckets=SECONDS, registry=own
        )
        self.queue = Gauge("reslearn_queue_pictures", "Pictures accepted, not yet answered", ["model"], registry=own)
        self.connections = Gauge("reslearn_connections", "Open connections", registry=own)
        self.swaps = Counter("reslearn_reloads", "Replaced files by outcome", ["model", "outcome"], registry=own)

    def batches(self, model: str) -> Callable[[int, float], None]:
        """What a model's thread tells of each batch: its pictures and its seconds."""
        size, seconds = self.batch_size.labels(model), self.batch_seconds.labels(model)

        def scored(count: int, took: float) -> None:
            size.observe(count)
            seconds.observe(took)

        return scored

    def text(self) -> bytes:
        """The page, in Prometheus' text format."""
        return generate_latest(self._registry)

    content_type = CONTENT_TYPE_PLAIN_0_0_4
