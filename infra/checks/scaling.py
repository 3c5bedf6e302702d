"""What scales an endpoint, by which metric, between which bounds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from zoneinfo import available_timezones

from infra.cron import cron_faults
from infra.scalable import SCALABLE, Scalable, sleeps
from infra.served import Served, is_shadow
from rerank_toolkit.contracts.faults import Fault
from rerank_toolkit.contracts.plan import Deployment, Scaling, ScheduledBounds

_BURSTABLE = re.compile(r"ml\.t\d")
"""Types that Application Auto Scaling refuses to register (SageMaker developer guide, "Register a model")."""


def check_scaling(deployment: Deployment, field: str) -> Iterator[Fault]:
    """Of the deployment and of each of its variants."""
    yield from _check_served(deployment, deployment, field)
    for index, variant in enumerate(deployment.variants):
        yield from _check_served(deployment, variant, f"{field}.variants[{index}]")


def _check_served(deployment: Deployment, served: Served, field: str) -> Iterator[Fault]:
    scaling, kind, field = served.scaling, SCALABLE.get(deployment.mode), f"{field}.scaling"
    if scaling is None:
        return
    if kind is None:
        yield Fault(field, "is set; a batch job runs on `count` instances from its beginning to its end, leave it out")
        return
    if is_shadow(served):
        yield Fault(field, "is set; a shadow keeps the instances that it has, leave it out")
        return
    if served.instance and _BURSTABLE.match(served.instance):
        yield Fault(field, f"is set; AWS scales no burstable types such as {served.instance}")
    yield from _check_bounds(scaling, kind, deployment.mode, field)
    yield from _check_start(scaling, kind, deployment, served, field)
    if deployment.mode == "serverless" and deployment.concurrency is not None:
        yield from _check_ceiling(scaling, deployment.concurrency, field)
    yield from _check_metric(scaling, kind, deployment.mode, field)
    for name in ("scale_in_cooldown_s", "scale_out_cooldown_s"):
        if getattr(scaling, name) < 0:
            yield Fault(f"{field}.{name}", f"is {getattr(scaling, name)}; expected 0 or more seconds")
    if sleeps(scaling) and not scaling.scale_in:
        yield Fault(
            f"{field}.scale_in",
            "is false, so that what once ran would never come down to 0; set it to true or min_instances to 1",
        )
    yield from _check_schedule(scaling.schedule, field)


def _check_start(
    scaling: Scaling, kind: Scalable, deployment: Deployment, served: Served, field: str
) -> Iterator[Fault]:
    """How many there are to begin with."""
    low, high = scaling.min_instances, scaling.max_instances
    serverless = deployment.mode == "serverless"
    start = deployment.provisioned_concurrency if serverless else served.count
    name = "provisioned_concurrency" if serverless else "count"
    if start is None:
        yield Fault(field, f"is set, but {name} is not; what is scaled are {kind.unit}")
    elif low <= high and not low <= start <= high:
        yield Fault(field, f"ranges from {low} to {high} {kind.unit}, but {name} starts with {start}")


def _check_bounds(scaling: Scaling, kind: Scalable, mode: str, field: str) -> Iterator[Fault]:
    for at, bounds in _all_bounds(scaling, field):
        low, high = bounds.min_instances, bounds.max_instances
        if low < kind.smallest:
            yield Fault(f"{at}.min_instances", f"is {low}; of its {kind.unit} {mode} keeps at least {kind.smallest}")
        if low > high:
            yield Fault(f"{at}.min_instances", f"is {low}, above max_instances, which is {high}")
    if scaling.max_instances < 1:
        yield Fault(f"{field}.max_instances", "is 0; nothing would ever run")


def _check_ceiling(scaling: Scaling, concurrency: int, field: str) -> Iterator[Fault]:
    for at, bounds in _all_bounds(scaling, field):
        if bounds.max_instances > concurrency:
            yield Fault(
                f"{at}.max_instances",
                f"is {bounds.max_instances}, above concurrency, which is {concurrency}: no more can be kept warm "
                "than may run",
            )


def _check_metric(scaling: Scaling, kind: Scalable, mode: str, field: str) -> Iterator[Fault]:
    metric = kind.metric(scaling.metric)
    if metric is None:
        known = " or ".join(metric.name for metric in kind.metrics)
        yield Fault(f"{field}.metric", f"is {scaling.metric!r}; of {mode} AWS publishes {known}")
    if scaling.target <= 0:
        yield Fault(f"{field}.target", f"is {scaling.target:g}; expected more than 0")
    elif metric and scaling.target > metric.highest_target:
        yield Fault(
            f"{field}.target",
            f"is {scaling.target:g}; {metric.name} is a share, expected more than 0 and at most "
            f"{metric.highest_target:g}",
        )


def _check_schedule(schedule: list[ScheduledBounds], field: str) -> Iterator[Fault]:
    times = Counter(bounds.name for bounds in schedule)
    zones = available_timezones() if schedule else set()
    for at, bounds in _scheduled(schedule, field):
        if times[bounds.name] > 1:
            yield Fault(f"{at}.name", f"is {bounds.name!r}, which {times[bounds.name]} of the schedule claim")
        for fault in cron_faults(bounds.schedule):
            yield Fault(f"{at}.schedule", f"is {bounds.schedule!r}, which {fault}")
        if zones and bounds.timezone not in zones:  # a machine without the database knows none
            yield Fault(f"{at}.timezone", f"is {bounds.timezone!r}; expected a name such as Europe/Berlin or Etc/UTC")


def _all_bounds(scaling: Scaling, field: str) -> Iterator[tuple[str, Scaling | ScheduledBounds]]:
    yield field, scaling
    yield from _scheduled(scaling.schedule, field)


def _scheduled(schedule: list[ScheduledBounds], field: str) -> Iterator[tuple[str, ScheduledBounds]]:
    return ((f"{field}.schedule[{index}]", bounds) for index, bounds in enumerate(schedule))
