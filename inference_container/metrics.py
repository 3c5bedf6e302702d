"""What Prometheus scrapes at /metrics. Each Metrics has a registry of its own: nothing global to clash with."""

from __future__ import annotations

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from inference_container.engines import Engine
from rerank_toolkit.contracts.manifest import Manifest

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TOKENS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_SEQUENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one serving process."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "rerank_requests",
            "Requests answered, by body dialect and outcome",
            ["dialect", "outcome"],
            registry=registry,
        )
        self.refusals = Counter(
            "rerank_refusals", "Requests refused before compute, by reason", ["reason"], registry=registry
        )
        self.documents = Counter("rerank_documents", "Documents scored", registry=registry)
        self.tokens = Counter("rerank_tokens", "Tokens scored, the query counted for each document", registry=registry)
        self.truncated = Counter("rerank_truncated_documents", "Documents that were cut to fit", registry=registry)
        self.batch_tokens = Histogram("rerank_batch_tokens", "Tokens in a batch", registry=registry, buckets=_TOKENS)
        self.batch_sequences = Histogram(
            "rerank_batch_sequences", "Documents in a batch", registry=registry, buckets=_SEQUENCES
        )
        self.queue_seconds = Histogram(
            "rerank_queue_seconds",
            "Time of a request from admission to scores outside its own batches: before the first and between them",
            registry=registry,
            buckets=_SECONDS,
        )
        self.inference_seconds = Histogram(
            "rerank_inference_seconds", "Compute time of a request's batches", registry=registry, buckets=_SECONDS
        )
        self.queued_tokens = Gauge("rerank_queued_tokens", "Tokens admitted and not yet in a batch", registry=registry)
        self.ready = Gauge("rerank_ready", "1 while /ping answers 200", registry=registry)
        self.startup_seconds = Gauge(
            "rerank_startup_seconds", "Process start to the first answer of the warm-up", registry=registry
        )
        self._model = Info("rerank_model", "What is served", registry=registry)
        memory = Gauge("rerank_resident_memory_bytes", "Resident memory of this process", registry=registry)
        memory.set_function(lambda: psutil.Process().memory_info().rss)

    def describe(self, manifest: Manifest, engine: Engine) -> None:
        """Says what is served, as labels of rerank_model_info."""
        self._model.info(
            {
                "model": manifest.model_id,
                "revision": manifest.revision,
                "engine": engine.name,
                "engine_version": engine.version,
                "dtype": engine.dtype,
            }
        )

    def render(self) -> bytes:
        """The exposition format, in CONTENT_TYPE."""
        return generate_latest(self._registry)
