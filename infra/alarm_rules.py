"""Which alarms an endpoint has, and what each waits for. Each names its section of docs/runbook.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from infra.alarm import Alarm
from infra.fleets import Fleet, fleets
from infra.metrics import (
    JOBS,
    MICROSECONDS_IN_MS,
    Metric,
    Resource,
    invocation,
    machine,
    queue,
    reports,
    requests,
    utilization,
)
from infra.scalable import sleeps
from infra.settings import effective_settings
from rerank_toolkit.catalog.instances import find_instance
from rerank_toolkit.contracts.plan import Deployment

LATENCY_MARGIN = 2.0
"""Times the p95 that the plan expects in its busiest hour. Expected speeds have intervals, and half as fast again is
within some of them; twice as slow is another machine, another model, or another load than was planned."""

IDLE_HOURS = 24
"""A night and a quiet day are none; also the longest that an alarm looks back with hours for periods."""

BACKLOG_S = 1800
"""An hour is as long as one request may compute, six as long as one may wait (AWS developer guide, "Asynchronous
inference"): after half an hour there is time left to do something about it."""

MOST_ROLLBACK_ALARMS = 10
"""That one rollout looks at (AutoRollbackConfig in SageMaker's service model)."""


def alarms_of(deployment: Deployment) -> list[Alarm]:
    """Those that tell people."""
    return [alarm for fleet in fleets(deployment) for alarm in _of_fleet(fleet)]


def job_alarms(deployment: Deployment, machine_arn: str) -> list[Alarm]:
    """Of the state machine of a batch deployment."""
    return [
        Alarm(
            endpoint=deployment.stack,
            name=name,
            section="failed-jobs",
            means=f"A batch job {what}; its execution has the reason.",
            metrics={
                "m": Metric(namespace=JOBS, name=metric, dimensions={"StateMachineArn": machine_arn}, statistic="Sum")
            },
            threshold=1,
            period_s=300,
            periods=1,
            datapoints=1,
        )
        for name, metric, what in (
            ("failed-jobs", "ExecutionsFailed", "failed"),
            ("stopped-jobs", "ExecutionsAborted", "was stopped before its end"),
            ("late-jobs", "ExecutionsTimedOut", "took longer than it may"),
        )
    ]


def rollback_alarms(deployment: Deployment, config_name: str) -> list[Alarm]:
    """Those that end a rollout of the endpoint configuration `config_name`, and tell nobody: they look at the new
    instances alone, so an endpoint that is ill already can still be given what heals it.

    The guide's advice and its dimension, "Auto-rollback configuration and monitoring". Errors come first where there
    are more than a rollout takes.
    """
    told = [fleet for fleet in fleets(deployment) if not fleet.shadow]
    errors = [_server_errors(fleet, share=0.05, periods=2, datapoints=2) for fleet in told]
    latencies = [alarm for fleet in told for alarm in _latency(fleet, periods=3, datapoints=3)]
    return [_of_rollout(alarm, config_name) for alarm in [*errors, *latencies][:MOST_ROLLBACK_ALARMS]]


def component_alarms(deployment: Deployment) -> list[Alarm]:
    """Those of alarms_of that end the rollout of an inference component."""
    return [alarm for alarm in alarms_of(deployment) if alarm.section in ("server-errors", "latency")]


def idle_names(deployment: Deployment) -> dict[str, Fleet]:
    """One alarm for each fleet that bills while nobody asks, by its name; what is serverless does not."""
    return {
        f"{fleet.endpoint}.{fleet.named('idle')}": fleet
        for fleet in fleets(deployment)
        if fleet.served.instance is not None
    }


def idle_parts(fleet: Fleet) -> tuple[Alarm, Alarm]:
    """Nobody asks; yet machines run. Both at once are money for nothing.

    Two, because CloudWatch publishes no zero where nobody asks, and what a sum over no data is, is not documented;
    what an alarm makes of no data, is.
    """

    def part(name: str, means: str, metric: Metric, *, below: bool) -> Alarm:
        return Alarm(
            endpoint=fleet.endpoint,
            name=fleet.named(name),
            section="idle",
            means=means,
            metrics={"m": metric},
            threshold=1,
            below=below,
            period_s=3600,
            periods=IDLE_HOURS,
            datapoints=IDLE_HOURS,
            missing="breaching" if below else "notBreaching",
        )

    return (
        part("unasked", f"No request for {IDLE_HOURS} hours; one half of idle.", requests(fleet), below=True),
        part("running", f"Instances for {IDLE_HOURS} hours; the other half of idle.", reports(fleet), below=False),
    )


def _of_fleet(fleet: Fleet) -> Iterator[Alarm]:
    if not fleet.shadow:  # nobody waits for its answers
        yield _server_errors(fleet, share=0.01, periods=5, datapoints=3)
        yield _client_errors(fleet)
        if fleet.mode in ("realtime", "inference-component"):
            yield _unanswered(fleet)
        yield from _latency(fleet, periods=5, datapoints=3)
        yield from _of_mode(fleet)
    yield _memory(fleet)
    if fleet.mode == "realtime" and not fleet.shadow:
        yield _saturated(fleet)


def _of_mode(fleet: Fleet) -> Iterator[Alarm]:
    scaling = fleet.served.scaling
    if fleet.mode == "serverless":
        yield _concurrency(fleet)
    if fleet.mode == "async":
        yield from _of_queue(fleet)
    if scaling and sleeps(scaling):
        yield _no_capacity(fleet)


def _server_errors(fleet: Fleet, *, share: float, periods: int, datapoints: int) -> Alarm:
    return Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("server-errors"),
        section="server-errors",
        means=f"{share:.0%} of the requests or more were answered with 5xx.",
        metrics={"m": invocation(fleet, "Invocation5XXErrors", "Average")},  # 1 for each that was, else 0
        threshold=share,
        periods=periods,
        datapoints=datapoints,
    )


def _client_errors(fleet: Fleet) -> Alarm:
    return Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("client-errors"),
        section="client-errors",
        means="For a quarter of an hour 5% of the requests or more were answered with 4xx: wrong, too large, or too "
        "many at once.",
        metrics={"m": invocation(fleet, "Invocation4XXErrors", "Average")},
        threshold=0.05,
        period_s=300,
        periods=3,
        datapoints=3,
    )


def _unanswered(fleet: Fleet) -> Alarm:
    return Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("unanswered"),
        section="unanswered",
        means="1% of the requests or more got no answer from the container: it took too long, hung up, or is gone.",
        metrics={
            "failed": invocation(fleet, "InvocationModelErrors", "Sum"),
            "refused": invocation(fleet, "Invocation4XXErrors", "Sum"),
            "broken": invocation(fleet, "Invocation5XXErrors", "Sum"),
            "all": requests(fleet),
        },
        expression="(failed - refused - broken) / all",
        threshold=0.01,
        periods=5,
        datapoints=3,
    )


def _latency(fleet: Fleet, *, periods: int, datapoints: int) -> Iterator[Alarm]:
    """None where the plan expects nothing in particular. A queue's requests may take their time."""
    expected = fleet.served.expected.p95_ms
    if expected is None or fleet.mode == "async":
        return
    limit = expected * LATENCY_MARGIN
    yield Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("latency"),
        section="latency",
        means=f"p95 in the container is {limit:,.0f} ms or more, {LATENCY_MARGIN:g} times what the plan expects.",
        metrics={"m": invocation(fleet, "ModelLatency", "p95")},
        threshold=limit * MICROSECONDS_IN_MS,
        periods=periods,
        datapoints=datapoints,
    )


def _memory(fleet: Fleet) -> Alarm:
    return Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("memory"),
        section="memory",
        means="90% of the memory or more is in use; where it ends, the container is killed.",
        # Of the machine, for inference components too: a copy reserves what it needs at its peak, so it may use all.
        metrics={"m": machine(fleet, "MemoryUtilization", "Maximum")},
        threshold=90,
        period_s=300,
        periods=3,
        datapoints=3,
    )


def _saturated(fleet: Fleet) -> Alarm:
    resource, full, what = _compute(fleet)
    return Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("saturated"),
        section="saturated",
        means=f"For a quarter of an hour {what} of the instances have been busy: the next requests will wait.",
        metrics={"m": utilization(fleet, resource, "Average")},
        threshold=0.9 * full,
        period_s=300,
        periods=3,
        datapoints=3,
    )


def _concurrency(fleet: Fleet) -> Alarm:
    return Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("concurrency"),
        section="concurrency",
        means="90% of the concurrency or more is in use; beyond it, requests are throttled.",
        metrics={"m": invocation(fleet, "ServerlessConcurrentExecutionsUtilization", "Maximum")},  # 1 is all of it
        threshold=0.9,
        periods=5,
        datapoints=3,
    )


def _of_queue(fleet: Fleet) -> Iterator[Alarm]:
    yield Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("backlog"),
        section="backlog",
        means=f"The oldest request waits for {BACKLOG_S // 60} minutes or more.",
        metrics={"m": queue(fleet, "ApproximateAgeOfOldestRequest", "Maximum")},
        threshold=BACKLOG_S,
        period_s=300,
        periods=3,
        datapoints=3,
    )
    yield Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("lost-requests"),
        section="lost-requests",
        means="Requests of the queue failed, for whatever reason; each has its reason in the failure path.",
        metrics={"m": invocation(fleet, "InvocationFailures", "Sum")},
        threshold=1,
        period_s=300,
        periods=1,
        datapoints=1,
    )
    yield Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("expired-requests"),
        section="lost-requests",
        means="Requests waited in the queue for longer than they may, and are gone.",
        metrics={"m": invocation(fleet, "ExpiredRequests", "Sum")},
        threshold=1,
        period_s=300,
        periods=1,
        datapoints=1,
    )


def _no_capacity(fleet: Fleet) -> Alarm:
    """The same that wakes the fleet, but when waking didn't help."""
    waiting = (
        queue(fleet, "HasBacklogWithoutCapacity", "Maximum")
        if fleet.mode == "async"
        else invocation(fleet, "NoCapacityInvocationFailures", "Sum")
    )
    return Alarm(
        endpoint=fleet.endpoint,
        name=fleet.named("no-capacity"),
        section="no-capacity",
        means="For 20 minutes there have been requests, and nothing has come up to answer them.",
        metrics={"m": waiting},
        threshold=1,
        period_s=300,
        periods=4,
        datapoints=4,
    )


def _compute(fleet: Fleet) -> tuple[Resource, float, str]:
    """What a real-time instance computes with: the resource, its utilisation when it is busy, and its name."""
    if fleet.served.instance is None:
        raise TypeError(f"{fleet.endpoint} has no instance type, which a checked plan has. This is a bug.")
    instance = find_instance(fleet.served.instance)
    if instance.kind == "gpu":
        return "GPU", 100.0, "the GPU"  # one computes, however many there are
    threads = effective_settings(fleet.deployment, fleet.served).threads
    cores, _ = instance.cores
    # A core's second thread idles while the first computes, so a busy instance of two cores and four CPUs shows 200%.
    return "CPU", 100.0 * (threads or cores), "the cores"


def _of_rollout(alarm: Alarm, config_name: str) -> Alarm:
    (metric,) = alarm.metrics.values()
    return replace(
        alarm,
        name=f"{alarm.name}.rollout",
        section="rollback",
        means=f"Of the newest configuration alone: {alarm.means}",
        metrics={"m": metric.only(EndpointConfigName=config_name)},
    )
