"""What the serving process counts: scraped at /metrics by Prometheus, and on request written as log lines (emf.py).

The front process counts for its workers too. Each Metrics has a registry of its own: nothing global to clash with.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from inference_container.engines import Engine
from rerank_toolkit.contracts.manifest import Manifest

CONTENT_TYPE = CONTENT_TYPE_LATEST

# For this process: else every counter has a second series that says when it was made, and each series is billed.
disable_created_metrics()  # type: ignore[no-untyped-call]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TOKENS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)
_SEQUENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_RATIOS = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75)

SERVED = ("model", "revision", "engine", "engine_version", "dtype")
"""Labels of rerank_model_info."""

ProcessMemory = Callable[[], Mapping[str, float]]
"""Bytes of memory by process, such as {"front": 9e7, "worker-0": 2e8}."""


class Distribution:
    """A Prometheus histogram. With `keep`, each value is kept besides until `take` fetches it."""

    def __init__(
        self, name: str, documentation: str, buckets: Sequence[float], registry: CollectorRegistry, *, keep: bool
    ) -> None:
        self._histogram = Histogram(name, documentation, registry=registry, buckets=buckets)
        self._kept: deque[float] | None = deque() if keep else None

    def observe(self, value: float) -> None:
        """From any thread."""
        self._histogram.observe(value)
        if self._kept is not None:
            self._kept.append(value)

    def take(self) -> list[float]:
        """The values since the last call, oldest first; none unless they are kept."""
        return [self._kept.popleft() for _ in range(len(self._kept))] if self._kept else []


class Metrics:
    """Counters of one server: `keep` also keeps what emf.py needs."""

    def __init__(self, *, keep: bool = False) -> None:
        registry = self.registry = CollectorRegistry()

        def distribution(name: str, documentation: str, buckets: Sequence[float]) -> Distribution:
            return Distribution(name, documentation, buckets, registry, keep=keep)

        self.requests = Counter(
            "rerank_requests",
            "Requests answered, by body dialect and outcome",
            ["dialect", "outcome"],
            registry=registry,
        )
        self.refusals = Counter("rerank_refusals", "Requests refused, by reason", ["reason"], registry=registry)
        self.documents = Counter("rerank_documents", "Documents scored", registry=registry)
        self.tokens = Counter("rerank_tokens", "Tokens scored, the query counted for each document", registry=registry)
        self.truncated = Counter("rerank_truncated_documents", "Documents that were cut to fit", registry=registry)
        self.request_seconds = distribution(
            "rerank_request_seconds", "Time of a scored request from its head to its answer", _SECONDS
        )
        self.queue_seconds = distribution(
            "rerank_queue_seconds",
            "Time of a request from admission to scores in which no batch of it was computed",
            _SECONDS,
        )
        self.inference_seconds = distribution(
            "rerank_inference_seconds", "Time in which a batch with documents of the request was computed", _SECONDS
        )
        self.batch_tokens = distribution("rerank_batch_tokens", "Tokens in a batch, without padding", _TOKENS)
        self.batch_sequences = distribution("rerank_batch_sequences", "Documents in a batch", _SEQUENCES)
        self.padding_ratio = distribution(
            "rerank_padding_ratio", "Share of the tokens computed for a batch that was padding", _RATIOS
        )
        self.padding_tokens = Counter(
            "rerank_padding_tokens", "Tokens computed that were padding, beside rerank_batch_tokens", registry=registry
        )
        self.in_flight = Gauge("rerank_requests_in_flight", "Requests not answered yet", registry=registry)
        self.queued_requests = Gauge(
            "rerank_queued_requests", "Requests with documents admitted and not yet in a batch", registry=registry
        )
        self.queued_tokens = Gauge("rerank_queued_tokens", "Tokens admitted and not yet in a batch", registry=registry)
        self.workers = Gauge("rerank_workers", "Workers that can compute", registry=registry)
        self.worker_restarts = Counter(
            "rerank_worker_restarts", "Workers started in place of one that ended", registry=registry
        )
        self.ready = Gauge("rerank_ready", "1 while /ping answers 200", registry=registry)
        self.startup_seconds = Gauge(
            "rerank_startup_seconds", "Process start to the first answer of the warm-up", registry=registry
        )
        self._model = Info("rerank_model", "What is served", registry=registry)
        self._memory = _Memory()
        registry.register(self._memory)
        self.served: Mapping[str, str] = {}
        """What is served, by the names in SERVED; empty until it is described."""

    def describe(self, manifest: Manifest, engine: Engine) -> None:
        """Says what is served, as labels of rerank_model_info."""
        told = (manifest.model_id, manifest.revision, engine.name, engine.version, engine.dtype)
        self.served = dict(zip(SERVED, told, strict=True))
        self._model.info(dict(self.served))

    def watch_memory(self, processes: ProcessMemory) -> None:
        """From now on memory is what `processes` says when it is asked; before, it is that of this process."""
        self._memory.processes = processes

    def observe_batch(self, *, sequences: int, tokens: int, computed_tokens: int) -> None:
        """A batch was computed: `computed_tokens` are its `tokens` and the padding between them."""
        self.batch_sequences.observe(sequences)
        self.batch_tokens.observe(tokens)
        self.padding_tokens.inc(computed_tokens - tokens)
        self.padding_ratio.observe(padding_ratio(tokens, computed_tokens))

    def render(self) -> bytes:
        """The exposition format, in CONTENT_TYPE."""
        return generate_latest(self.registry)


def padding_ratio(tokens: float, computed_tokens: float) -> float:
    """Share of `computed_tokens` that was padding: 0 without any, towards 1 the more."""
    return 1 - tokens / computed_tokens if computed_tokens else 0.0


class _Memory(Collector):
    """Memory of each process at the moment of the scrape: workers come and go."""

    def __init__(self) -> None:
        self.processes: ProcessMemory = _memory_of_this_process

    def collect(self) -> Iterator[GaugeMetricFamily]:
        by_process = self.processes()
        each = GaugeMetricFamily(
            "rerank_process_memory_bytes", "Memory of each process of this server", labels=["process"]
        )
        for process, size in by_process.items():
            each.add_metric([process], size)
        yield each
        yield GaugeMetricFamily(
            "rerank_memory_bytes",
            "Memory of all processes of this server; pages that they share are counted once where the kernel tells",
            value=sum(by_process.values()),
        )


def _memory_of_this_process() -> Mapping[str, float]:
    return {"front": float(psutil.Process().memory_info().rss)}
