"""docs/reference/metrics.md"""

from __future__ import annotations

from collections.abc import Iterator

from inference_container.emf import LEVELS, TOTALS, VALUES, Embedded
from inference_container.metrics import SERVED, Metrics
from tools.reference.markdown import code, join, table

_EMBEDDED: dict[str, Embedded] = {
    **{metric.source: metric for metric in (*TOTALS, *LEVELS)},
    **{f"rerank_{metric.source}": metric for metric in VALUES},
}


def page() -> str:
    return join(
        "# Metrics",
        "`GET /metrics` answers in Prometheus' exposition format. The front process counts for its workers too, so "
        "one scrape is the whole server.",
        table(("metric", "kind", "labels", "what it counts", "embedded as"), _rows()),
        "Outcomes and reasons are those of [errors](errors.md), and `ok`. The padding of a server is "
        "`rerank_padding_tokens_total / (rerank_padding_tokens_total + rerank_batch_tokens_sum)`.",
        "## Where nothing can scrape",
        "SageMaker hands what the container logs to CloudWatch. With `RERANK_EMF_INTERVAL_S=60` the same figures are "
        "written every minute as lines in CloudWatch's embedded metric format, from which CloudWatch makes metrics "
        "without an agent and without a permission. Their namespace is `RERANK_EMF_NAMESPACE`, their dimensions "
        "`Model`, `Engine` and `Dtype`, and `EndpointName` where `RERANK_ENDPOINT_NAME` tells it.",
        "Times and sizes are written value by value, so CloudWatch knows their percentiles; a line holds up to 100 "
        "of each, more take more lines. `Requests` and `Refusals` come in total, and besides with the dimension "
        "`Outcome` or `Reason`. CloudWatch bills each metric with each combination of dimensions as one custom "
        "metric, and the lines as logs.",
        table(("CloudWatch metric", "unit", "statistics that make sense"), _embedded_rows()),
    )


def _rows() -> Iterator[tuple[str, str, str, str, str]]:
    metrics = Metrics()
    metrics.requests.labels("jina", "ok")
    metrics.refusals.labels("queue_full")
    for family in metrics.registry.collect():
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
        seen = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        labels = SERVED if family.type == "info" else seen
        embedded = _EMBEDDED.get(name)
        yield (
            code(name),
            family.type,
            ", ".join(code(label) for label in labels),
            family.documentation,
            code(embedded.name) if embedded else "",
        )


def _embedded_rows() -> Iterator[tuple[str, str, str]]:
    for metrics, statistics in ((TOTALS, "sum"), (LEVELS, "average, maximum"), (VALUES, "average, p50, p95, p99")):
        for metric in metrics:
            yield code(metric.name), metric.unit, statistics
