"""What a dashboard shows of an endpoint: who asks, what goes wrong, how long it takes, on what, and for how much."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from infra.alarm_rules import LATENCY_MARGIN
from infra.fleets import Fleet, fleets
from infra.graph import PERIOD_S, Graph
from infra.metrics import MICROSECONDS_IN_MS, Resource, invocation, queue, reports, requests, utilization
from infra.served import Served, all_served, is_package
from infra.settings import effective_settings
from rerank_toolkit.catalog.instances import find_instance
from rerank_toolkit.contracts.plan import Deployment

HOURS_IN_MONTH = 730
"""As the plan's costs have it."""


def graphs_of(deployment: Deployment) -> list[Graph]:
    shown = fleets(deployment)
    return [graph for graph in _all(deployment, shown) if graph.rows]


def hourly_rate(served: Served) -> Decimal | None:
    """Dollars for an hour of one instance, from the plan's bill; None where it has none."""
    if served.instance is None:
        return None
    lines = served.expected.cost_components
    return next((line.rate for line in lines if line.unit == "hour" and line.name.startswith(served.instance)), None)


def _all(deployment: Deployment, shown: list[Fleet]) -> Iterator[Graph]:
    yield _requests(shown)
    yield _errors(shown)
    yield _latency(shown)
    if deployment.mode == "async":
        yield _backlog(shown[0])
        yield _oldest(shown[0])
        yield _lost(shown)
    else:
        yield _overhead(shown)
    if deployment.mode == "serverless":
        yield _concurrency(deployment, shown[0])
        yield _cold_starts(shown[0])
    yield _resource(shown, "CPU", "CPU")
    yield _resource(shown, "Memory", "Memory")
    yield _resource(shown, "GPU", "GPU")
    yield _resource(shown, "GPUMemory", "GPU memory")
    yield _copies(shown)
    yield _instances(shown)
    yield _cost(deployment, shown)
    yield from _container(deployment)


def _requests(shown: list[Fleet]) -> Graph:
    graph = Graph(title="Requests", unit="a minute")
    for fleet in shown:
        graph.add(_label(shown, fleet, "requests"), requests(fleet))
    return graph


def _errors(shown: list[Fleet]) -> Graph:
    graph = Graph(title="Answered with an error", unit="% of requests")
    for fleet in shown:
        for kind in ("4XX", "5XX"):
            metric = invocation(fleet, f"Invocation{kind}Errors", "Average")
            graph.add(_label(shown, fleet, kind.lower()), metric, "100 * {m}")
    return graph


def _latency(shown: list[Fleet]) -> Graph:
    levels = []
    for fleet in shown:
        if (expected := fleet.served.expected.p95_ms) is not None:
            levels.append((_label(shown, fleet, "p95 expected"), expected))
            if fleet.mode != "async" and not fleet.shadow:
                levels.append((_label(shown, fleet, "alarm"), expected * LATENCY_MARGIN))
    graph = Graph(title="Time in the container", unit="ms", levels=levels)
    for fleet in shown:
        for percentile in ("p50", "p95", "p99"):
            metric = invocation(fleet, "ModelLatency", percentile)
            graph.add(_label(shown, fleet, percentile), metric, f"{{m}} / {MICROSECONDS_IN_MS}")
    return graph


def _overhead(shown: list[Fleet]) -> Graph:
    """Percentiles, as of the time in the container; and the maximum, for of either the guide names extremes alone."""
    graph = Graph(title="Time in SageMaker besides", unit="ms")
    for fleet in shown:
        for statistic in ("p50", "p95", "Maximum"):
            metric = invocation(fleet, "OverheadLatency", statistic)
            graph.add(_label(shown, fleet, statistic.lower()), metric, f"{{m}} / {MICROSECONDS_IN_MS}")
    return graph


def _backlog(fleet: Fleet) -> Graph:
    graph = Graph(title="Requests in the queue", unit="requests")
    graph.add("waiting or at work", queue(fleet, "ApproximateBacklogSize", "Average"))
    graph.add("for each instance", queue(fleet, "ApproximateBacklogSizePerInstance", "Average"))
    return graph


def _oldest(fleet: Fleet) -> Graph:
    graph = Graph(title="Wait of the oldest", unit="s")
    graph.add("oldest", queue(fleet, "ApproximateAgeOfOldestRequest", "Maximum"))
    return graph


def _lost(shown: list[Fleet]) -> Graph:
    graph = Graph(title="Lost", unit="a minute")
    for fleet in shown:
        graph.add(_label(shown, fleet, "failed"), invocation(fleet, "InvocationFailures", "Sum"))
        graph.add(_label(shown, fleet, "waited too long"), invocation(fleet, "ExpiredRequests", "Sum"))
    return graph


def _concurrency(deployment: Deployment, fleet: Fleet) -> Graph:
    graph = Graph(title="Concurrency in use", unit="%", levels=[("throttled", 100.0)])
    graph.add("of all", invocation(fleet, "ServerlessConcurrentExecutionsUtilization", "Maximum"), "100 * {m}")
    if deployment.provisioned_concurrency:
        metric = invocation(fleet, "ServerlessProvisionedConcurrencyUtilization", "Maximum")
        graph.add("of what is kept warm", metric, "100 * {m}")
    return graph


def _cold_starts(fleet: Fleet) -> Graph:
    graph = Graph(title="Cold starts", unit="s, or starts a minute")
    graph.add("p95 of their time", invocation(fleet, "ModelSetupTime", "p95"), "{m} / 1000000")
    graph.add("starts", invocation(fleet, "ModelSetupTime", "SampleCount"))
    return graph


def _resource(shown: list[Fleet], resource: Resource, title: str) -> Graph:
    """What is used of one instance, or of what an inference component's copies reserve."""
    graph = Graph(title=title, unit="% in use")
    for fleet in shown:
        parts = _parts(fleet, resource)
        for statistic in ("Average", "Maximum") if parts else ():
            metric = utilization(fleet, resource, statistic)
            graph.add(_label(shown, fleet, statistic.lower()), metric, f"{{m}} / {parts}" if parts > 1 else "")
    return graph


def _parts(fleet: Fleet, resource: Resource) -> int:
    """How often a resource counts 100 in SageMaker's figure of it; 0 if the fleet publishes none of it.

    An inference component's figures are of what its copies reserve, which is 100 whatever it is.
    """
    if fleet.served.instance is None:
        return int(resource == "Memory")
    instance = find_instance(fleet.served.instance)
    counts = {"CPU": instance.vcpu, "Memory": 1, "GPU": instance.gpu_count or 0, "GPUMemory": instance.gpu_count or 0}
    return min(1, counts[resource]) if fleet.component else counts[resource]


def _instances(shown: list[Fleet]) -> Graph:
    graph = Graph(title="Instances", unit="instances", levels=_bounds(shown) if shown[0].component is None else ())
    for fleet in shown:
        if fleet.served.instance is not None:
            graph.add(_label(shown, fleet, "now"), reports(fleet), _COUNTED)
    return graph


def _copies(shown: list[Fleet]) -> Graph:
    """Of an inference component, each of which reports as an instance does."""
    graph = Graph(title="Copies", unit="copies", levels=_bounds(shown))
    for fleet in shown:
        if fleet.component is not None:
            graph.add("now", utilization(fleet, "Memory", "SampleCount"), _COUNTED)
    return graph


def _bounds(shown: list[Fleet]) -> list[tuple[str, float]]:
    return [
        (_label(shown, fleet, name), bound)
        for fleet in shown
        if (scaling := fleet.served.scaling) and fleet.served.instance is not None
        for name, bound in (("least", scaling.min_instances), ("most", scaling.max_instances))
    ]


def _cost(deployment: Deployment, shown: list[Fleet]) -> Graph:
    graph = Graph(title="Dollars an hour", unit="$", levels=_planned(deployment))
    for fleet in shown:
        rate = hourly_rate(fleet.served)
        if rate is not None:
            graph.add(_label(shown, fleet, "now"), reports(fleet), f"{_COUNTED} * {rate}")
        elif fleet.mode == "serverless" and (by_second := _rate_by_second(fleet.served)) is not None:
            # Billed is about what the container computes: latencies in microseconds, of a minute.
            metric = invocation(fleet, "ModelLatency", "Sum")
            graph.add("computing now", metric, f"{{m}} / 1000000 * {by_second} * 3600 / {PERIOD_S}")
    return graph


_COUNTED = f"{{m}} / (PERIOD({{m}}) / {PERIOD_S})"
"""A count by the minute, whatever period is shown."""


def _rate_by_second(served: Served) -> Decimal | None:
    lines = served.expected.cost_components
    return next((line.rate for line in lines if line.unit == "second" and line.name.startswith("Processing")), None)


def _planned(deployment: Deployment) -> list[tuple[str, float]]:
    costs = [served.expected.monthly_cost for served in all_served(deployment)]
    known = [cost for cost in costs if cost is not None]
    if not known or len(known) < len(costs):
        return []
    return [("planned, on average", round(float(sum(known, Decimal())) / HOURS_IN_MONTH, 4))]


def _container(deployment: Deployment) -> Iterator[Graph]:
    """What the container itself counts, where its log lines tell CloudWatch (docs/reference/metrics.md)."""
    if is_package(deployment):
        return
    settings = effective_settings(deployment, deployment)
    if not settings.emf_interval_s or not settings.endpoint_name:
        return

    def search(name: str, statistic: str, *, by: str = "") -> str:
        """Over all variants, whose metrics have further dimensions."""
        dimensions = ",".join(filter(None, ("EndpointName", "Model", "Engine", "Dtype", by)))
        of_endpoint = f'EndpointName="{settings.endpoint_name}"'
        found = f'{{"{settings.emf_namespace}",{dimensions}}} MetricName="{name}" {of_endpoint}'
        return f"SEARCH('{found}', '{statistic}', {PERIOD_S})"

    waiting = Graph(title="Wait before a batch", unit="ms")
    computing = Graph(title="Time in batches", unit="ms")
    for percentile in ("p50", "p95"):
        waiting.add_expression(percentile, search("QueueTime", percentile))
        computing.add_expression(percentile, search("InferenceTime", percentile))
    yield waiting
    yield computing
    tokens = Graph(title="Tokens", unit="a second")
    tokens.add_expression("scored", f"{search('Tokens', 'Sum')} / {PERIOD_S}")
    tokens.add_expression("padding", f"{search('PaddingTokens', 'Sum')} / {PERIOD_S}")
    yield tokens
    queued = Graph(title="Tokens waiting", unit="tokens")
    queued.add_expression("most", search("QueuedTokens", "Maximum"))
    yield queued
    refused = Graph(title="Refused by the container", unit="a minute")
    refused.add_expression("${PROP('Dim.Reason')}", search("Refusals", "Sum", by="Reason"))
    yield refused
    workers = Graph(title="Workers", unit="workers")
    workers.add_expression("least", search("Workers", "Minimum"))
    workers.add_expression("started again", search("WorkerRestarts", "Sum"))
    yield workers


def _label(shown: list[Fleet], fleet: Fleet, what: str) -> str:
    return what if len(shown) == 1 else f"{fleet.variant}: {what}"
