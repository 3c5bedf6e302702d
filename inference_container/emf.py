"""The metrics as log lines in CloudWatch's embedded metric format, from which CloudWatch Logs makes metrics.

An endpoint's container can't be scraped, and may not call CloudWatch; what it logs arrives. Specification:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Literal

from inference_container.logs import log_metrics
from inference_container.metrics import Metrics
from rerank_toolkit.contracts.settings import Settings

MOST_VALUES = 100
"""Of one metric in one line, by the specification."""

MOST_CHARACTERS = 1024
"""Of a dimension's value, by the specification."""

Unit = Literal["Count", "Milliseconds", "Megabytes", "Percent"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A metric's name and unit in CloudWatch, and the sample or attribute of Metrics that it comes from."""

    name: str
    unit: Unit
    source: str
    factor: float = 1.0
    by: str = ""
    """A label of the source: each of its values gets lines with a dimension of its own besides."""


# Increase since the last line; sources are samples of counters.
TOTALS = (
    Embedded("Requests", "Count", "rerank_requests_total", by="outcome"),
    Embedded("Refusals", "Count", "rerank_refusals_total", by="reason"),
    Embedded("Documents", "Count", "rerank_documents_total"),
    Embedded("TruncatedDocuments", "Count", "rerank_truncated_documents_total"),
    Embedded("Tokens", "Count", "rerank_tokens_total"),
    Embedded("PaddingTokens", "Count", "rerank_padding_tokens_total"),
    Embedded("WorkerRestarts", "Count", "rerank_worker_restarts_total"),
)

# As they stand; sources are samples of gauges.
LEVELS = (
    Embedded("RequestsInFlight", "Count", "rerank_requests_in_flight"),
    Embedded("QueuedRequests", "Count", "rerank_queued_requests"),
    Embedded("QueuedTokens", "Count", "rerank_queued_tokens"),
    Embedded("Workers", "Count", "rerank_workers"),
    Embedded("Ready", "Count", "rerank_ready"),
    Embedded("Memory", "Megabytes", "rerank_memory_bytes", factor=1e-6),
)

# Each value since the last line, so that CloudWatch can tell percentiles; sources are attributes of Metrics.
VALUES = (
    Embedded("RequestTime", "Milliseconds", "request_seconds", factor=1e3),
    Embedded("QueueTime", "Milliseconds", "queue_seconds", factor=1e3),
    Embedded("InferenceTime", "Milliseconds", "inference_seconds", factor=1e3),
    Embedded("BatchTokens", "Count", "batch_tokens"),
    Embedded("BatchSequences", "Count", "batch_sequences"),
    Embedded("Padding", "Percent", "padding_ratio", factor=1e2),
)

Samples = Mapping[tuple[str, str], float]
"""By name and the value of the label in Embedded.by, if any."""


class EmbeddedMetrics:
    """Turns what `metrics`, which keeps its values, has counted since the last time into lines."""

    def __init__(self, metrics: Metrics, settings: Settings) -> None:
        self._metrics = metrics
        self._namespace = settings.emf_namespace
        self._endpoint = settings.endpoint_name
        self._told: Samples = {}

    def lines(self) -> list[dict[str, Any]]:
        """The documents to log, each to be one line; none before it is known what is served."""
        if not self._metrics.served:
            return []
        now = _samples(self._metrics)
        new = {key: value - self._told.get(key, 0.0) for key, value in now.items()}
        self._told = now
        totals = {total: sum(count for (name, _), count in new.items() if name == total.source) for total in TOTALS}
        levels = {level: now.get((level.source, ""), 0.0) * level.factor for level in LEVELS}
        kept = ([(value, chunk) for chunk in self._chunks(value)] for value in VALUES)
        more = (dict(filter(None, line)) for line in zip_longest(*kept))
        first: dict[Embedded, Any] = {**totals, **levels, **next(more, {})}
        return [
            self._document(first),
            *(self._document(line) for line in more),
            *(self._document({total: count}, {total.by: label}) for total, label, count in _labelled(new)),
        ]

    def _chunks(self, value: Embedded) -> Iterator[list[float]]:
        kept = getattr(self._metrics, value.source).take()
        for first in range(0, len(kept), MOST_VALUES):
            yield [round(each * value.factor, 3) for each in kept[first : first + MOST_VALUES]]

    def _document(self, values: Mapping[Embedded, Any], label: Mapping[str, str] | None = None) -> dict[str, Any]:
        served = self._metrics.served
        dimensions = {
            **({"EndpointName": self._endpoint} if self._endpoint else {}),
            "Model": served["model"],
            "Engine": served["engine"],
            "Dtype": served["dtype"],
            **{name.capitalize(): value for name, value in (label or {}).items()},
        }
        directive = {
            "Namespace": self._namespace,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in values],
        }
        return {
            "_aws": {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [directive]},
            **{name: value[:MOST_CHARACTERS] for name, value in dimensions.items()},
            **{metric.name: value for metric, value in values.items()},
        }


@asynccontextmanager
async def embedded_metrics(metrics: Metrics, settings: Settings) -> AsyncIterator[None]:
    """While the block runs, and once at its end: logs the lines every settings.emf_interval_s, unless that is 0."""
    if not settings.emf_interval_s:
        yield
        return
    embedded = EmbeddedMetrics(metrics, settings)

    async def repeat() -> None:
        while True:
            await asyncio.sleep(settings.emf_interval_s)
            _log(embedded)

    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()
        _log(embedded)


def _log(embedded: EmbeddedMetrics) -> None:
    for line in embedded.lines():
        log_metrics(line)


def _samples(metrics: Metrics) -> Samples:
    wanted = {metric.source: metric.by for metric in chain(TOTALS, LEVELS)}
    found: defaultdict[tuple[str, str], float] = defaultdict(float)
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name in wanted:
                found[sample.name, sample.labels.get(wanted[sample.name], "")] += sample.value
    return found


def _labelled(new: Samples) -> Iterator[tuple[Embedded, str, float]]:
    for total in TOTALS:
        for (name, label), count in new.items():
            if total.by and name == total.source and count:
                yield total, label, count
