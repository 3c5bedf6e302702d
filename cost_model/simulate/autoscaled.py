"""Instances that follow the load by target tracking.

Counts come first, minute by minute through a week: what target tracking sees is how much comes, and hardly how it is
served. Response times come from the container's policy in stretches of that week, with the counts of the time.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.simulate.load import HOUR_S, MINUTE_S, STRETCHES, WEEK_S, requests_by_minute
from cost_model.simulate.machine import Machine
from cost_model.simulate.policy import Fleet, Routing
from cost_model.simulate.realtime import WARM_UP, joined, run
from cost_model.simulate.scaler import Scaler, TargetTracking
from cost_model.simulate.simulated import Simulated
from cost_model.simulate.traffic import Demand

Array = NDArray[np.float64]
Counts = NDArray[np.int64]

CROWDED = 0.95
"""Up to this utilisation requests under way are those of processor sharing; beyond, a backlog."""

SAMPLED = 2_000
"""Requests whose mean is taken for all."""


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """A week, minute by minute, (minutes,) each."""

    invocations: Counts
    count: Counts
    """Instances in service."""
    paid: Counts
    """In service or starting."""
    backlog: Array
    """Seconds of compute that wait at the minute's start, all instances together."""


class _Sample(msgspec.Struct, frozen=True, kw_only=True):
    arrivals: Array
    counted: int
    """The first that counts."""
    fleet: Fleet


def simulate_autoscaled(
    machine: Machine,
    demand: Demand,
    tracking: TargetTracking,
    *,
    requests: int,
    routing: Routing = "random",
    seed: int = 0,
) -> Simulated:
    """A week of the workload, of which about `requests` requests are served in virtual time."""
    rng = np.random.default_rng(seed)
    service = mean_compute(machine, demand, seed)
    course = follow(requests_by_minute(demand, rng), service, tracking, machine.policy.time_limit_s)
    wanted = requests / STRETCHES / (1 - WARM_UP)
    samples = [_sample(course, middle, wanted, service, rng) for middle in _middles(course)]
    runs = [
        run(machine, demand, one.arrivals, one.fleet, rng=rng, routing=routing, seed=seed, first=one.counted)
        for one in samples
        if one
    ]
    sampled = joined(runs, 0)
    compute = float(course.invocations.sum()) * service
    return msgspec.structs.replace(
        sampled,
        utilisation=compute / (float(course.count.sum()) * MINUTE_S),
        seconds=float(WEEK_S),
        server_hours=float(course.paid.sum()) * MINUTE_S / HOUR_S,
    )


def mean_compute(machine: Machine, demand: Demand, seed: int) -> float:
    """Seconds that a request keeps a whole machine busy, on average, where others are always there: its engines' time
    over their number."""
    rng = np.random.default_rng(seed)
    return machine.busy(machine.draw(demand, rng, np.zeros(SAMPLED)), rng, seed=seed)


def follow(invocations: Counts, service: float, tracking: TargetTracking, most_backlog_s: float = math.inf) -> Course:
    """The counts that target tracking gives `invocations`, (minutes,), of `service` seconds each.

    It starts with what the first minutes need. An instance admits no more than it answers in `most_backlog_s`.
    """
    arriving = invocations * service
    scaler = Scaler(tracking, _enough(invocations[:15], service, tracking))
    counts, paid = np.empty_like(invocations), np.empty_like(invocations)
    backlogs = np.empty(len(invocations))
    backlog = 0.0
    for minute, (came, work) in enumerate(zip(invocations.tolist(), arriving.tolist(), strict=True)):
        now = float(minute * MINUTE_S)
        scaler.advance(now)
        count = scaler.count
        counts[minute], paid[minute], backlogs[minute] = count, scaler.wanted, backlog
        backlog = min(max(backlog + work - count * MINUTE_S, 0.0), count * most_backlog_s)
        by_invocations = tracking.metric == "InvocationsPerInstance"
        scaler.observe(came / count if by_invocations else under_way(work, backlog, service, count), now + MINUTE_S)
    return Course(invocations=invocations, count=counts, paid=paid, backlog=backlogs)


def under_way(work: float, backlog: float, service: float, count: int) -> float:
    """Requests per instance, waiting or served, in a minute that brought `work` seconds of compute.

    On an instance that is busy a share u of the time they are u / (1 - u) on average (processor sharing; Kleinrock
    1967); where more comes than is served, the backlog.
    """
    busy = min(work / (count * MINUTE_S), CROWDED)
    return busy / (1 - busy) + backlog / service / count


def _enough(invocations: Counts, service: float, tracking: TargetTracking) -> int:
    """Instances that keep the metric at its target from the beginning."""
    a_minute = float(invocations.mean())
    if tracking.metric == "InvocationsPerInstance":
        return math.ceil(a_minute / tracking.target)
    busy = tracking.target / (1 + tracking.target)
    return math.ceil(a_minute * service / MINUTE_S / busy)


def _middles(course: Course) -> list[float]:
    """Moments between which equal shares of the requests come, seconds."""
    cumulative = np.concatenate([[0], np.cumsum(course.invocations)])
    shares = (np.arange(STRETCHES) + 0.5) / STRETCHES * cumulative[-1]
    minutes = np.searchsorted(cumulative, shares, side="right") - 1
    return [float(minute * MINUTE_S) for minute in minutes]


def _sample(course: Course, middle: float, wanted: float, service: float, rng: np.random.Generator) -> _Sample | None:
    """About `wanted` requests around a moment; what waits at their beginning comes at once, and isn't counted."""
    first, last = _around(course.invocations, int(middle // MINUTE_S), wanted)
    width = min(MINUTE_S, MINUTE_S * wanted / max(float(course.invocations[first : last + 1].sum()), 1.0))
    parts = [np.zeros(round(course.backlog[first] / service))]
    for at in range(first, last + 1):
        come = rng.poisson(course.invocations[at] * width / MINUTE_S) if width < MINUTE_S else course.invocations[at]
        parts.append((at - first) * MINUTE_S + np.sort(rng.random(come)) * width)
    arrivals = np.concatenate(parts)
    counted = len(parts[0]) + int((len(arrivals) - len(parts[0])) * WARM_UP)
    if len(arrivals) < counted + 2:
        return None
    since = np.arange(last - first + 1, dtype=np.float64) * MINUTE_S
    since[0] = -math.inf
    return _Sample(arrivals=arrivals, counted=counted, fleet=Fleet(since=since, count=course.count[first : last + 1]))


def _around(invocations: Counts, minute: int, wanted: float) -> tuple[int, int]:
    """The fewest minutes, first and last, about `minute` in which so many come."""
    first = last = minute
    come = float(invocations[minute])
    while come < wanted and (first > 0 or last < len(invocations) - 1):
        if first > 0:
            first -= 1
            come += invocations[first]
        if last < len(invocations) - 1:
            last += 1
            come += invocations[last]
    return first, last
