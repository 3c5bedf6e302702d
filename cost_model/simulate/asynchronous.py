"""An asynchronous endpoint: a queue before instances that follow its length, down to none.

Minutes through a week: the backlog grows by what comes and shrinks by what the instances in service compute. With no
instance and a backlog, an alarm on HasBacklogWithoutCapacity asks for one after a while; between one and the most,
target tracking follows the backlog per instance (SageMaker developer guide, "Autoscale an asynchronous endpoint").
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from cost_model.delays import load_delays
from cost_model.simulate.autoscaled import mean_compute, under_way
from cost_model.simulate.load import HOUR_S, MINUTE_S, WEEK_S, requests_by_minute
from cost_model.simulate.machine import Machine
from cost_model.simulate.scaler import Scaler, TargetTracking
from cost_model.simulate.simulated import Simulated
from cost_model.simulate.traffic import Demand

Array = NDArray[np.float64]

_QUEUE = load_delays().async_

MOST_AFTERWARDS = 7 * 24 * 60
"""Minutes after the week in which its backlog may be worked off."""

NOTHING = 1e-9
"""Seconds of compute."""


class Asynchronous(msgspec.Struct, frozen=True, kw_only=True):
    tracking: TargetTracking
    """Of the backlog per instance; its minimum may be 0."""
    wake_s: float = _QUEUE.wake_s
    """From the first request without an instance to the alarm."""
    around_s: float = _QUEUE.around_s
    """The way through the queue and the store."""


def simulate_asynchronous(
    machine: Machine, demand: Demand, endpoint: Asynchronous, *, requests: int, seed: int = 0
) -> Simulated:
    """A week of the workload; response times of `requests` of its requests, drawn at random.

    Each waits until the backlog before it is worked off, first come, first served, by all instances together, and then
    has one to itself: exact for one instance, and a little short for several that are rarely all busy.
    """
    rng = np.random.default_rng(seed)
    service = mean_compute(machine, demand, seed)
    invocations = requests_by_minute(demand, rng)
    if not invocations.sum():
        return Simulated(latency=np.empty(0), refused=0, late=0, utilisation=0, seconds=float(WEEK_S), server_hours=0)
    course = _work_off(invocations, service, endpoint)
    minutes = rng.choice(len(invocations), requests, p=invocations / invocations.sum())
    into = rng.random(requests)
    traffic = machine.draw(demand, rng, np.zeros(requests))
    alone = machine.alone(traffic, seed=seed)
    starts, cold = _starts(course, minutes, into, np.asarray(invocations * service))
    wait = starts - (minutes + into) * MINUTE_S
    hours = float(course.paid[: len(invocations)].sum()) * MINUTE_S / HOUR_S
    up = float(course.count[: len(invocations)].sum()) * MINUTE_S
    return Simulated(
        latency=endpoint.around_s + wait + alone + machine.around(traffic),
        refused=0.0,
        late=0.0,
        utilisation=min(float(invocations.sum()) * service / up, 1.0) if up else 0.0,
        seconds=float(WEEK_S),
        server_hours=hours,
        cold_starts=float(np.mean(cold)),
    )


class _Course(msgspec.Struct, frozen=True, kw_only=True):
    """(minutes,) each, the week and what it takes to work off its backlog."""

    count: NDArray[np.int64]
    paid: NDArray[np.int64]
    backlog: Array
    """Seconds of compute at the minute's start."""


def _work_off(invocations: NDArray[np.int64], service: float, endpoint: Asynchronous) -> _Course:
    scaler = Scaler(endpoint.tracking, endpoint.tracking.minimum)
    counts, paid, backlogs = [], [], []
    backlog, waiting_s = 0.0, 0.0
    coming = [*(invocations * service).tolist(), *([0.0] * MOST_AFTERWARDS)]
    for minute, work in enumerate(coming):
        now = float(minute * MINUTE_S)
        if minute >= len(invocations) and backlog <= NOTHING:
            break
        scaler.advance(now)
        counts.append(scaler.count)
        paid.append(scaler.wanted)
        backlogs.append(backlog)
        backlog = max(backlog + work - scaler.count * MINUTE_S, 0.0)
        if scaler.count:
            waiting_s = 0.0
            scaler.observe(under_way(work, backlog, service, scaler.count), now + MINUTE_S)
        elif scaler.wanted == 0 and backlog > NOTHING:
            waiting_s += MINUTE_S
            if waiting_s >= endpoint.wake_s:
                scaler.start(1, now + MINUTE_S)
    return _Course(count=np.array(counts), paid=np.array(paid), backlog=np.array(backlogs))


def _starts(course: _Course, minutes: NDArray[np.int64], into: Array, coming: Array) -> tuple[Array, NDArray[np.bool_]]:
    """When the backlog before each request, (n,), is worked off, in seconds; and whether it waited for an instance.

    By the curve of the capacity there was: a request that finds `ahead` seconds of compute starts when the curve has
    grown by as much.
    """
    capacity = np.concatenate([[0.0], np.cumsum(course.count * float(MINUTE_S))])
    of_minute = course.count[minutes] * float(MINUTE_S)
    ahead = np.maximum(course.backlog[minutes] + (coming[minutes] - of_minute) * into, 0.0)
    reached = capacity[minutes] + of_minute * into + ahead
    at = np.clip(np.searchsorted(capacity, reached + NOTHING, side="left") - 1, 0, len(course.count) - 1)
    rate = np.maximum(course.count[at], 1)
    starts = at * float(MINUTE_S) + np.maximum(reached - capacity[at], 0.0) / rate
    moments = (minutes + into) * MINUTE_S
    return np.maximum(starts, moments), course.count[minutes] == 0
